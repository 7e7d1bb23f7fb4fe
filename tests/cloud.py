"""A moto server over HTTP, and what stands in for an account on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from moto.server import ThreadedMotoServer

from dust.backends.ec2client import Cloud


@contextmanager
def serving() -> Iterator[str]:
    """The address of a server while it lasts, with nothing in it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        empty(f"http://{host}:{port}")  # all servers of a process have the same in them
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def empty(endpoint: str) -> None:
    """Remove all that was made on a server."""
    urlopen(Request(f"{endpoint}/moto-api/reset", method="POST")).close()


def account(patch: pytest.MonkeyPatch, endpoint: str, folder: Path) -> None:
    """Have everything of AWS's be asked of this endpoint, with nothing of the user's own."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN"):
        patch.delenv(name, raising=False)
    patch.setenv("AWS_ENDPOINT_URL", endpoint)
    patch.setenv("AWS_ACCESS_KEY_ID", "testing")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    patch.setenv("AWS_CONFIG_FILE", str(folder / "aws.conf"))
    patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "credentials"))
    patch.setenv("DUST_HOME", str(folder / "home"))


def launch(cloud: Cloud, name: str, **more: object) -> str:
    """An instance with this name (none for ""); returns its id."""
    tags = [{"Key": "Name", "Value": name}] if name else []
    tags.append({"Key": "env", "Value": "a:b=c"})
    given = {"ImageId": "ami-12c6146b", "InstanceType": "t3.nano", "KeyName": "mine", **more}
    answer = cloud.call(
        "ec2",
        "run_instances",
        MinCount=1,
        MaxCount=1,
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
        **given,
    )
    return str(answer["Instances"][0]["InstanceId"])
