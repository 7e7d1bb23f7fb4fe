"""What a spec would become on EC2, and what that costs: checked, and nothing is made."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import ip_network
from urllib.parse import urlsplit

from dust.backends import ec2groups, ec2keys
from dust.backends.ec2client import Cloud, CloudError
from dust.backends.ec2images import Chosen, chosen
from dust.backends.ec2prices import NoPrice, Prices
from dust.clusterspec import Group, Spec
from dust.errors import BackendError
from dust.nodeset import fold
from dust.stack import Plan

_HEADERS = ("nodes", "count", "type", "bought", "image", "login", "$/hour")


def planned(cloud: Cloud, spec: Spec) -> Plan:
    """The plan of a spec; `more` is the images of its groups and the network ssh comes from.

    Raises `BackendError` for what the account has not, and `CloudError` where it cannot be asked.
    """
    images = chosen(cloud, spec)
    _check_given(cloud, spec)
    source = spec.allow_ssh_from or own_network(cloud)
    costs = [_cost(cloud, group, image) for group, image in zip(spec.groups, images, strict=True)]
    rows = [
        _row(group, image, cost)
        for group, image, (cost, _) in zip(spec.groups, images, costs, strict=True)
    ]
    remarks = [f"ssh from {source}, everything inside the cluster", _sum(spec, costs)]
    remarks += [_absent(name) for name in sorted(_keys(spec)) if not ec2keys.is_kept(name)]
    if spec.create_vpc:
        remarks.insert(0, "a network (VPC) of its own")
    return Plan(spec, _HEADERS, tuple(rows), tuple(remarks), more=(images, source))


def own_network(cloud: Cloud) -> str:
    """The network that holds this machine alone, as the cloud sees it. Raises `CloudError`."""
    url = urlsplit(cloud.client("ec2").meta.endpoint_url)
    host = url.hostname or ""
    if host.endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws")):
        return ec2groups.own_address()
    # A cloud of one's own: the address from which it is called.
    try:
        with socket.create_connection((host, url.port or 443), timeout=10) as connection:
            return str(ip_network(connection.getsockname()[0]))
    except OSError as error:
        raise CloudError(f"cannot reach {host}: {error}") from error


def _check_given(cloud: Cloud, spec: Spec) -> None:
    """Raise `BackendError` for a key pair, network or subnet that there is not."""
    subnets = sorted({group.options.subnet_id for group in spec.groups} - {""})
    if keys := sorted(_keys(spec)):
        cloud.call("ec2", "describe_key_pairs", KeyNames=keys)
    if spec.vpc_id:
        cloud.call("ec2", "describe_vpcs", VpcIds=[spec.vpc_id])
    if subnets:
        found = cloud.call("ec2", "describe_subnets", SubnetIds=subnets)["Subnets"]
        if outside := [each for each in found if each["VpcId"] != spec.vpc_id]:
            raise BackendError(
                f"{outside[0]['SubnetId']} is not in {spec.vpc_id}, but {outside[0]['VpcId']}"
            )


def _cost(cloud: Cloud, group: Group, image: Chosen) -> tuple[float | None, str]:
    """Dollars an hour for all nodes of a group, at most; or None, and why."""
    count, options = len(group.names), group.options
    if options.spot and options.max_price:
        return count * float(options.max_price), ""
    try:
        listed = Prices(cloud).listed(group.instance_type, image.operation, "default")
    except (NoPrice, CloudError) as error:
        return None, f"{group.instance_type}: {error}"
    return count * listed.hourly, ""


def _keys(spec: Spec) -> set[str]:
    """The key pairs that a spec names."""
    return {group.options.key for group in spec.groups} - {""}


def _absent(name: str) -> str:
    return f"the key {name} is not in {ec2keys.folder()}: ssh has to have it from elsewhere"


def _row(group: Group, image: Chosen, cost: float | None) -> tuple[str, ...]:
    options = group.options
    bought = "on-demand"
    if options.spot:
        bought = f"spot, at most ${options.max_price}" if options.max_price else "spot"
    return (
        fold(group.names),
        str(len(group.names)),
        group.instance_type,
        bought,
        image.name or image.image.id,
        options.username or image.image.username,
        "" if cost is None else f"{cost:.4f}",
    )


def _sum(spec: Spec, costs: Sequence[tuple[float | None, str]]) -> str:
    known = sum(cost for cost, _ in costs if cost is not None)
    missing = [why for _, why in costs if why]
    if missing:
        return f"what it costs an hour is not known: {'; '.join(dict.fromkeys(missing))}"
    most = "at most " if any(group.options.spot for group in spec.groups) else ""
    return f"all: {most}${known:.4f} an hour for computing, without disks and traffic"
