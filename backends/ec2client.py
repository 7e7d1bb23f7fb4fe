"""Calls of AWS: one boto3 session, made when first asked, and errors that say what to do.

The only place that imports boto3.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from configparser import Error as ConfigParserError
from configparser import RawConfigParser
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from dust.errors import BackendError

_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
_UNKNOWN = {
    "AuthFailure",
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_FORBIDDEN = {"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"}
_THROTTLED = {"RequestLimitExceeded", "Throttling", "ThrottlingException", "TooManyRequests"}
_SIGN_IN_AGAIN = {"TokenRetrievalError", "UnauthorizedSSOTokenError", "SSOTokenLoadError"}
#: What botocore raises where there is no way to an endpoint, and how often it is tried.
_UNREACHED = {
    "EndpointConnectionError",
    "ConnectTimeoutError",
    "ProxyConnectionError",
    "SSLError",
    "HTTPClientError",
}
_UNANSWERED = {"ConnectionClosedError", "ReadTimeoutError"}
_TRIES = 3


class CloudError(BackendError):
    """AWS refused a call; `code` is its own name for why, "" where it was never reached."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class Cloud:
    """The account of one profile in one region. Its methods may be called from any thread."""

    def __init__(self, profile: str = "", region: str = "") -> None:
        """Import and ask nothing yet; what is not given is what the AWS tools would take."""
        self.profile = profile or os.environ.get("AWS_PROFILE", "")
        self.region = region or configured_region(self.profile)
        self._session: Any = None
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def client(self, service: str) -> Any:
        """The boto3 client of a service; errors of its calls are translated by `errors` only."""
        with self._lock, self.errors():
            if service not in self._clients:
                self._clients[service] = self._made(service)
            return self._clients[service]

    def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """One call, such as `call("ec2", "stop_instances", InstanceIds=[...])`, and its answer.

        Raises `CloudError`.
        """
        client = self.client(service)
        with self.errors():
            answer: dict[str, Any] = getattr(client, operation)(**parameters)
            return answer

    def pages(self, service: str, operation: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        """The answers of a call that comes in pages. Raises `CloudError`."""
        client = self.client(service)
        with self.errors():
            yield from client.get_paginator(operation).paginate(**parameters)

    def regions(self) -> list[str]:
        """The regions with EC2 that boto3 knows, sorted; without a call."""
        with self._lock, self.errors():
            known: list[str] = self._begun().get_available_regions("ec2")
            return sorted(known)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn what botocore raises into a `CloudError` of one line."""
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError

        try:
            yield
        except ClientError as error:
            raise self._refused(error) from error
        except BotoCoreError as error:
            raise CloudError(self._unreached(error)) from error
        except ResponseParserError as error:
            text = "AWS was asked, but something else answered; is a proxy in between?"
            raise CloudError(text) from error

    def _made(self, service: str) -> Any:
        from botocore.config import Config

        session = self._begun()  # which names a profile that is not there
        if not self.region:
            raise CloudError(
                "no AWS region is chosen: give --region, set `region` in config.yaml, "
                "or set AWS_REGION"
            )
        retries: Any = {"mode": "standard", "max_attempts": 10}
        # Ctrl-C must not wait a minute for a network that is silent.
        config = Config(retries=retries, connect_timeout=10, read_timeout=60)
        try:
            client = session.client(service, config=config)
            client.meta.events.register_first("needs-retry", _give_up)
            return client
        except ValueError as error:  # an endpoint that is no address
            raise CloudError(f"AWS: {error}") from error

    def _begun(self) -> Any:
        import boto3
        import botocore.session

        if self._session is None:
            core = botocore.session.Session(profile=self.profile or None)
            self._share_roles(core)
            make: Callable[..., Any] = boto3.session.Session
            self._session = make(botocore_session=core, region_name=self.region or None)
        return self._session

    def _share_roles(self, core: Any) -> None:
        """Use the roles that the aws command has taken on, and never ask for a code.

        The question would come from a thread, in the midst of what is being typed.
        """
        from botocore.utils import JSONFileCache

        def ask(question: str) -> str:
            of = f" --profile {self.profile}" if self.profile else ""
            raise CloudError(
                f"the role{self._of_profile()} wants a code ({question.strip(' :')}): run "
                f"`aws sts get-caller-identity{of}`, and dust uses what that keeps"
            )

        roles = core.get_component("credential_provider").get_provider("assume-role")
        roles.cache = JSONFileCache(os.path.expanduser("~/.aws/cli/cache"))
        roles._prompter = ask

    def _refused(self, error: Any) -> CloudError:
        code = str(error.response.get("Error", {}).get("Code", ""))
        text = " ".join(str(error.response.get("Error", {}).get("Message", "")).split())
        if code in _EXPIRED:
            message = f"the AWS credentials{self._of_profile()} have expired: {self._sign_in()}"
        elif code in _UNKNOWN:
            message = (
                f"AWS does not accept the credentials{self._of_profile()} in {self.region} "
                f"({code}): check the keys, this machine's clock, and that the region is enabled"
            )
        elif code in _FORBIDDEN:
            message = (
                f"not allowed{self._of_profile()}: {error.operation_name} ({code}): "
                "the account's policy has to permit this action"
            )
        elif code in _THROTTLED:
            message = f"AWS takes no more calls for now ({error.operation_name}, {code}): wait"
        elif code == "OptInRequired":
            message = f"this account has not enabled what it asks for in {self.region}: {text}"
        else:
            message = f"AWS refused {error.operation_name}: {text or code} ({code})"
        return CloudError(message, code)

    def _unreached(self, error: Exception) -> str:
        kind = type(error).__name__
        if kind == "CredentialRetrievalError":
            return f"no AWS credentials{self._of_profile()}: {' '.join(str(error).split())}"
        if kind in ("NoCredentialsError", "PartialCredentialsError"):
            return (
                f"no AWS credentials{self._of_profile()} were found: run `aws configure`, or set "
                "AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            )
        if kind == "ProfileNotFound":
            return f"no AWS profile {self.profile}{self._nearest_profile()}"
        if kind in _SIGN_IN_AGAIN:
            return f"the AWS sign-in{self._of_profile()} has ended: {self._sign_in()}"
        if kind == "InvalidRegionError":
            return f"{ascii(self.region)} cannot be an AWS region; one is us-east-1"
        if kind == "HTTPClientError":  # its text has headers in it, with a signature
            return "AWS could not be asked: a credential or a proxy is malformed"
        if kind in _UNREACHED | _UNANSWERED:
            text = " ".join(str(error).split())
            return self._no_region() or f"cannot reach AWS in {self.region}: {text}"
        return f"AWS: {' '.join(str(error).split())}"

    def _of_profile(self) -> str:
        return f" of profile {self.profile}" if self.profile else ""

    def _sign_in(self) -> str:
        profile = f" --profile {self.profile}" if self.profile else ""
        return f"`aws sso login{profile}`, or take new ones from where they came"

    def _nearest_profile(self) -> str:
        import botocore.session

        known = list(botocore.session.Session().available_profiles)
        close = get_close_matches(self.profile, known, 1)
        if close:
            return f"; did you mean {close[0]}?"
        return f"; there are {', '.join(known)}" if known else "; ~/.aws/config has none"

    def _no_region(self) -> str:
        """What to say where the region is none that boto3 knows, or ""."""
        known = self._session.get_available_regions("ec2") if self._session else []
        if not known or self.region in known:
            return ""
        close = get_close_matches(self.region, known, 1)
        hint = f"did you mean {close[0]}?" if close else "is it misspelt?"
        return f"cannot reach AWS: there is no region {self.region}; {hint}"


def _give_up(caught_exception: object = None, attempts: int = 0, **_: object) -> None:
    """End the tries where nobody answers: ten of them, for throttling, take minutes."""
    if attempts >= _TRIES and isinstance(caught_exception, Exception):
        if type(caught_exception).__name__ in _UNREACHED | _UNANSWERED:
            raise caught_exception


def configured_region(profile: str) -> str:
    """The region that the environment or the AWS configuration says, without boto3; or ""."""
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if region:
        return region
    path = Path(os.path.expanduser(os.environ.get("AWS_CONFIG_FILE") or "~/.aws/config"))
    parser = RawConfigParser()
    try:
        parser.read(path, encoding="utf-8")
    except (ConfigParserError, UnicodeDecodeError, OSError):
        return ""  # boto3 says what is wrong with it when it is asked
    section = f"profile {profile}" if profile and profile != "default" else "default"
    return parser.get(section, "region", fallback="").strip()
