"""The images that a cluster's nodes boot: named by the spec, or the newest of a system."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from dust.backends.ec2client import Cloud, CloudError
from dust.backends.ec2nodes import login_of
from dust.backends.ec2template import Image
from dust.clusterspec import Group, Spec
from dust.errors import BackendError

#: What is booted where a spec names no image, and how AWS is asked for the newest.
DEFAULT = "amazon-linux"
_AMAZON_LINUX = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{}"
#: Makers of images whose names are to be trusted: anybody may give an image any name.
_CANONICAL, _DEBIAN = "099720109477", "136693071363"
_TRUSTED = ["self", "amazon", _CANONICAL, _DEBIAN]
_UBUNTU = "ubuntu/images/hvm-ssd*/ubuntu-*-server-*"
_RELEASE = re.compile(r"ubuntu-[a-z]+-(\d\d)\.04-")


@dataclass(frozen=True)
class Chosen:
    """The image of a group of nodes, its name, and what EC2 counts it as in its prices."""

    image: Image
    name: str
    operation: str


def chosen(cloud: Cloud, spec: Spec) -> list[Chosen]:
    """The images of a spec's groups. Raises `BackendError` for a type or image there is not."""
    types = _types(cloud, sorted({group.instance_type for group in spec.groups}))
    known: dict[tuple[str, str], Chosen] = {}
    found = []
    for group in spec.groups:
        kind = types[group.instance_type]
        _check(group, kind)
        runs = kind["ProcessorInfo"]["SupportedArchitectures"]
        key = group.options.image or DEFAULT, "arm64" if "arm64" in runs else "x86_64"
        if key not in known:
            known[key] = _chosen(cloud, *key, group)
        found.append(known[key])
    return found


def _types(cloud: Cloud, types: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """What EC2 says of instance types."""
    try:
        answer = cloud.call("ec2", "describe_instance_types", InstanceTypes=list(types))
    except CloudError as error:
        if error.code != "InvalidInstanceType":
            raise
        offered = [
            str(each["InstanceType"])
            for page in cloud.pages("ec2", "describe_instance_type_offerings")
            for each in page["InstanceTypeOfferings"]
        ]
        missing = next((each for each in types if each not in offered), types[0])
        close = get_close_matches(missing, offered, 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        text = f"there is no instance type {missing} in {cloud.region}{hint}"
        raise BackendError(text) from error
    return {str(each["InstanceType"]): each for each in answer["InstanceTypes"]}


def _check(group: Group, kind: Mapping[str, Any]) -> None:
    """Refuse what nodes of a type cannot be."""
    strategies = kind.get("PlacementGroupInfo", {}).get("SupportedStrategies", ["cluster"])
    if group.options.use_placement_group and "cluster" not in strategies:
        raise BackendError(
            f"{group.instance_type} cannot be in a placement group: "
            f"`use_placement_group: no` for {group.names[0]}, or another type"
        )
    if group.options.spot and "spot" not in kind.get("SupportedUsageClasses", ["spot"]):
        raise BackendError(f"{group.instance_type} is not sold as spot")


def _chosen(cloud: Cloud, wanted: str, architecture: str, group: Group) -> Chosen:
    if wanted == DEFAULT:
        parameter = cloud.call("ssm", "get_parameter", Name=_AMAZON_LINUX.format(architecture))
        item = _by_id(cloud, str(parameter["Parameter"]["Value"]))
    elif wanted.startswith("ami-"):
        item = _by_id(cloud, wanted)
    elif wanted == "ubuntu":
        item = _newest(_named(cloud, _UBUNTU, architecture, [_CANONICAL]), wanted, architecture)
    else:
        item = _newest(_named(cloud, wanted, architecture, _TRUSTED), wanted, architecture)
    if item["Architecture"] != architecture:
        raise BackendError(
            f"image {wanted} is made for {item['Architecture']}, "
            f"and {group.instance_type} is {architecture}"
        )
    name = str(item.get("Name", ""))
    device = str(item.get("RootDeviceName", "/dev/sda1"))
    image = Image(str(item["ImageId"]), device, login_of(name))
    return Chosen(image, name, str(item.get("UsageOperation", "RunInstances")))


def _by_id(cloud: Cloud, id: str) -> dict[str, Any]:
    found = cloud.call("ec2", "describe_images", ImageIds=[id])["Images"]
    if not found:
        raise BackendError(f"there is no image {id} in {cloud.region}")
    item: dict[str, Any] = found[0]
    return item


def _named(
    cloud: Cloud, name: str, architecture: str, owners: Sequence[str]
) -> list[dict[str, Any]]:
    wanted = {"name": name, "architecture": architecture, "state": "available"}
    filters = [{"Name": key, "Values": [value]} for key, value in wanted.items()]
    pages = cloud.pages("ec2", "describe_images", Owners=list(owners), Filters=filters)
    return [item for page in pages for item in page["Images"]]


def _newest(found: Sequence[dict[str, Any]], wanted: str, architecture: str) -> dict[str, Any]:
    """The newest image; of Ubuntu, the newest that is supported for long."""
    if wanted == "ubuntu":
        found = [item for item in found if _release(item) % 2 == 0]
    if not found:
        raise BackendError(
            f"no image of this account, Amazon, Ubuntu or Debian for {architecture} is called "
            f"{wanted}; `ubuntu`, `{DEFAULT}` or an id such as ami-0abc is taken too"
        )
    return max(found, key=lambda item: (_release(item), str(item.get("CreationDate", ""))))


def _release(item: Mapping[str, Any]) -> int:
    """The year of an Ubuntu release of April, -1 for anything else."""
    found = _RELEASE.search(str(item.get("Name", "")))
    return int(found[1]) if found else -1
