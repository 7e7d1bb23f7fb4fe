"""The rules of EC2's security groups: what they let in and out, opened and closed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Network, ip_network
from typing import Any

from dust.backends.ec2client import Cloud, CloudError

#: Where the world's own view of this machine's address is asked.
OWN_ADDRESS = "https://checkip.amazonaws.com"
_PORTS = re.compile(r"(?:(\d{1,5})(?:-(\d{1,5}))?|(all))(?:/(tcp|udp))?")
_VALUES = 200


@dataclass(frozen=True)
class Ports:
    """Ports of a protocol, from first to last; `-1` stands for every protocol and port."""

    protocol: str
    first: int = -1
    last: int = -1

    @classmethod
    def parsed(cls, text: str) -> Ports:
        """From `8080`, `8000-8010`, `53/udp`, `icmp` or `all`; raises `ValueError`."""
        if text in ("icmp", "all"):
            return cls("icmp" if text == "icmp" else "-1")
        found = _PORTS.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no port: such as 8080, 8000-8010, 53/udp, icmp or all")
        protocol = found[4] or "tcp"
        first = 0 if found[3] else int(found[1])
        last = 65535 if found[3] else int(found[2] or found[1])
        if not first <= last <= 65535:
            raise ValueError(f"{text!r} is no range of ports within 0-65535")
        return cls(protocol, first, last)

    def __str__(self) -> str:
        if self.protocol == "-1":
            return "all"
        if self.first < 0:
            return self.protocol
        if (self.first, self.last) == (0, 65535):
            return f"all/{self.protocol}"
        span = str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
        return f"{span}/{self.protocol}"

    def permission(self, network: str) -> dict[str, Any]:
        """As a call of EC2 takes it, for one network."""
        if ":" in network:
            peers = {"Ipv6Ranges": [{"CidrIpv6": network}]}
        else:
            peers = {"IpRanges": [{"CidrIp": network}]}
        ports = {} if self.protocol == "-1" else {"FromPort": self.first, "ToPort": self.last}
        return {"IpProtocol": self.protocol, **ports, **peers}


@dataclass(frozen=True)
class Rule:
    """One rule: what it is about, the other side (a network, a group) and what was noted of it."""

    group: str
    incoming: bool
    ports: Ports
    peer: str
    note: str


def network(text: str) -> str:
    """A network or an address in EC2's form, `world` for all; raises `ValueError`."""
    if text == "world":
        return "0.0.0.0/0"
    try:
        return str(ip_network(text))
    except ValueError:
        loose = ip_network(text, strict=False)  # raises for what is none at all
        raise ValueError(f"{text} is not the beginning of a network; is {loose} meant?") from None


def is_world(network: str) -> bool:
    """Whether a network is so large that it is as good as everybody."""
    parsed = ip_network(network)
    return parsed.prefixlen < (16 if isinstance(parsed, IPv6Network) else 8)


def own_address(url: str = OWN_ADDRESS) -> str:
    """The address that this machine has for the world; raises `CloudError`."""
    from urllib.request import urlopen

    try:
        with urlopen(url, timeout=10) as answer:
            return str(ip_network(answer.read(100).decode("ascii").strip()))
    except (OSError, ValueError) as error:
        raise CloudError(
            f"cannot find out this machine's own address from {url}: {error}; give the network"
        ) from error


def rules(cloud: Cloud, groups: Sequence[str]) -> tuple[dict[str, str], list[Rule]]:
    """The names of groups by their ids, and all their rules. Raises `CloudError`."""
    names: dict[str, str] = {}
    found: list[Rule] = []
    for at in range(0, len(groups), _VALUES):
        wanted = [{"Name": "group-id", "Values": list(groups[at : at + _VALUES])}]
        for page in cloud.pages("ec2", "describe_security_groups", Filters=wanted):
            for group in page["SecurityGroups"]:
                names[group["GroupId"]] = group["GroupName"]
                for key, incoming in ("IpPermissions", True), ("IpPermissionsEgress", False):
                    for permission in group.get(key, ()):
                        found += _read(group["GroupId"], incoming, permission)
    return names, found


def _read(group: str, incoming: bool, permission: Mapping[str, Any]) -> Iterator[Rule]:
    protocol = str(permission["IpProtocol"])
    ports = Ports(protocol, permission.get("FromPort", -1), permission.get("ToPort", -1))
    for key, name in (
        ("IpRanges", "CidrIp"),
        ("Ipv6Ranges", "CidrIpv6"),
        ("UserIdGroupPairs", "GroupId"),
        ("PrefixListIds", "PrefixListId"),
    ):
        for peer in permission.get(key, ()):
            yield Rule(group, incoming, ports, str(peer[name]), str(peer.get("Description", "")))


def open_(cloud: Cloud, group: str, ports: Ports, network: str) -> str:
    """Let a network in to these ports; returns what holds now. Raises `CloudError`."""
    try:
        _change(cloud, "authorize_security_group_ingress", group, ports, network)
    except CloudError as error:
        if error.code != "InvalidPermission.Duplicate":
            raise
        return f"{ports} was open to {network} already"
    return f"{ports} is open to {network}"


def close(cloud: Cloud, group: str, ports: Ports, network: str) -> str:
    """Take back the rule that lets a network in to just these ports; returns what holds now."""
    _change(cloud, "revoke_security_group_ingress", group, ports, network)
    return f"{ports} is closed to {network}"


def _change(cloud: Cloud, operation: str, group: str, ports: Ports, network: str) -> None:
    permissions = [ports.permission(network)]
    cloud.call("ec2", operation, GroupId=group, IpPermissions=permissions)
