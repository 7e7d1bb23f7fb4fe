"""How ssh gets to an instance: its public address, its private one, or a tunnel of AWS's tools."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dust.backends.ec2client import Cloud, CloudError

#: Where an instance finds its own id.
_OWN_ID = Path("/sys/devices/virtual/dmi/id/board_asset_tag")
_ID = re.compile(r"i-[0-9a-f]{8,17}")


@dataclass(frozen=True)
class Route:
    """An address, and a ProxyCommand that holds where the user's configuration has no proxy.

    `note` says what there is to know about it, "" for what is as usual.
    """

    address: str = ""
    proxy: str = ""
    note: str = ""


def own_id(path: Path = _OWN_ID) -> str:
    """The id of the instance that this machine is, or ""."""
    try:
        text = path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return text if _ID.fullmatch(text) else ""


def routes(
    cloud: Cloud, items: Sequence[Mapping[str, Any]], own: str, address: str = "auto"
) -> dict[str, Route]:
    """The route to each instance, by id. Asks AWS only where an instance has no usual one.

    `own` is the id of the instance that this machine is, or ""; `address` is the setting of this
    name: `public` or `private` says which to take, whatever this machine is.
    """
    vpcs = [item.get("VpcId", "") for item in items if item["InstanceId"] == own]
    if address == "public":
        vpcs = []
    found: dict[str, Route] = {}
    apart: list[Mapping[str, Any]] = []
    for item in items:
        public, private = item.get("PublicIpAddress", ""), item.get("PrivateIpAddress", "")
        if private and address == "private":
            found[item["InstanceId"]] = Route(private, note="private, by the setting `address`")
        elif private and item.get("VpcId", "") in vpcs:
            found[item["InstanceId"]] = Route(private, note="private: it is in this machine's VPC")
        elif public or not private or item["State"]["Name"] != "running":
            found[item["InstanceId"]] = Route(public or private)
        else:
            apart.append(item)
    if apart:
        tunnels = _Tunnels(cloud, apart)
        found |= {item["InstanceId"]: tunnels.to(item) for item in apart}
    return found


class _Tunnels:
    """What AWS's own tools offer for instances without a public address, as far as installed."""

    def __init__(self, cloud: Cloud, items: Iterable[Mapping[str, Any]]) -> None:
        self._cloud = cloud
        self._aws = shutil.which("aws") is not None
        self._plugin = self._aws and shutil.which("session-manager-plugin") is not None
        vpcs = {str(item.get("VpcId", "")) for item in items}
        self._endpoints = _endpoints(cloud, vpcs) if self._aws else {}
        alone = not vpcs <= set(self._endpoints)
        self._managed = _managed(cloud) if self._plugin and alone else set()

    def to(self, item: Mapping[str, Any]) -> Route:
        """The route to an instance: by an endpoint in its VPC, else by SSM where it is online."""
        private, id = str(item["PrivateIpAddress"]), str(item["InstanceId"])
        if endpoint := self._endpoints.get(str(item.get("VpcId", ""))):
            words = ["ec2-instance-connect", "open-tunnel", "--instance-connect-endpoint-id"]
            proxy = self._command([*words, endpoint, "--private-ip-address"], "%h --remote-port %p")
            return Route(private, proxy, "by EC2 Instance Connect, having no public address")
        if id in self._managed:
            words = ["ssm", "start-session", "--target", id, "--document-name"]
            proxy = self._command([*words, "AWS-StartSSHSession"], "--parameters portNumber=%p")
            return Route(private, proxy, "by SSM, having no public address")
        return Route(private, note=f"it has no public address: {self._advice()}")

    def _command(self, words: Sequence[str], last: str) -> str:
        """A ProxyCommand; what is not ours in it is quoted for the shell and for ssh's tokens."""
        account = ["--region", self._cloud.region]
        if self._cloud.profile:
            account += ["--profile", self._cloud.profile]
        plain = shlex.join(["aws", *account, *words]).replace("%", "%%")
        return f"{plain} {last}"

    def _advice(self) -> str:
        advice = "unless this machine is in its network, ~/.ssh/config needs a ProxyJump for it"
        if not self._plugin:
            missing = "session-manager-plugin" if self._aws else "aws and session-manager-plugin"
            return f"{advice}, or install {missing}"
        return f"{advice}; its VPC has no EC2 Instance Connect endpoint, and SSM does not see it"


def _endpoints(cloud: Cloud, vpcs: set[str]) -> dict[str, str]:
    """The EC2 Instance Connect endpoint of each VPC that has one; none without the permission."""
    found: dict[str, str] = {}
    wanted = [{"Name": "vpc-id", "Values": sorted(vpcs)}]
    try:
        pages = cloud.pages("ec2", "describe_instance_connect_endpoints", Filters=wanted)
        for page in pages:
            for each in page["InstanceConnectEndpoints"]:
                if each["State"] == "create-complete":
                    found[str(each["VpcId"])] = str(each["InstanceConnectEndpointId"])
    except CloudError:
        return {}
    return found


def _managed(cloud: Cloud) -> set[str]:
    """The instances that SSM is connected to; none without the permission to ask."""
    wanted = [{"Key": "PingStatus", "Values": ["Online"]}]
    try:
        pages = cloud.pages("ssm", "describe_instance_information", Filters=wanted)
        return {
            str(each["InstanceId"]) for page in pages for each in page["InstanceInformationList"]
        }
    except CloudError:
        return set()
