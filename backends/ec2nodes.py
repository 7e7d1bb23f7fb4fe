"""What EC2 says of an instance, as a node. Pure, but for a look at the keys that are there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dust import config
from dust.backends.ec2reach import Route
from dust.clusterfile import check_login
from dust.node import Node
from dust.plain import printable
from dust.ssh import quoted

#: The tag by which CloudFormation marks what belongs together.
STACK = "aws:cloudformation:stack-name"
#: The tag that says who logs in.
LOGIN = "dust:username"
#: The login that an image of some name has, the first that matches.
_LOGINS = (
    (r"ubuntu", "ubuntu"),
    (r"debian", "admin"),
    (r"amzn|al20\d\d|amazon.linux|rhel|suse|sles", "ec2-user"),
    (r"centos", "centos"),
    (r"rocky", "rocky"),
    (r"fedora", "fedora"),
    (r"bitnami", "bitnami"),
)
_DETAILS = {
    "key": "KeyName",
    "image": "ImageId",
    "vpc": "VpcId",
    "subnet": "SubnetId",
    "dns": "PublicDnsName",
    "private_dns": "PrivateDnsName",
    "architecture": "Architecture",
    "state_reason": "StateTransitionReason",
    "platform": "PlatformDetails",
    "operation": "UsageOperation",
    "account": "OwnerId",
}


def login_of(image: str) -> str:
    """The login user of an image by its name, or "" if that says nothing."""
    found = (user for pattern, user in _LOGINS if re.search(pattern, image, re.IGNORECASE))
    return next(found, "")


def _chosen_login(tags: Mapping[str, str]) -> str:
    """The login that the cluster's spec says, by the tag that its nodes have; "" if none does."""
    try:
        return check_login(tags.get(LOGIN, ""))
    except ValueError:  # anybody who may set tags may write anything there
        return ""


def as_node(item: Mapping[str, Any], image: str, route: Route) -> Node:
    """An item of DescribeInstances as a node; `image` is the name of its image."""
    tags = {str(tag["Key"]): str(tag["Value"]) for tag in item.get("Tags", ())}
    details = {name: str(item[key]) for name, key in _DETAILS.items() if item.get(key)}
    details["az"] = str(item.get("Placement", {}).get("AvailabilityZone", ""))
    details["tenancy"] = str(item.get("Placement", {}).get("Tenancy", ""))
    details["lifecycle"] = str(item.get("InstanceLifecycle", "on-demand"))
    details["groups"] = ",".join(str(each["GroupName"]) for each in item.get("SecurityGroups", ()))
    details["group_ids"] = ",".join(str(each["GroupId"]) for each in item.get("SecurityGroups", ()))
    if "LaunchTime" in item:
        details["launch_time"] = item["LaunchTime"].strftime("%Y-%m-%dT%H:%M:%SZ")
    if image:
        details["image_name"] = image
    if user := _chosen_login(tags) or login_of(image):
        details["username"] = user
    if route.note:
        details["reach"] = route.note
    node_id = str(item["InstanceId"])
    return Node(
        # As `show` prints it is how it is typed; the tag itself stays as it is.
        name=printable(tags.get("Name", "")).strip() or node_id,
        id=node_id,
        backend="ec2",
        state=str(item["State"]["Name"]),
        type=str(item.get("InstanceType", "")),
        ip=str(item.get("PublicIpAddress", "")),
        private_ip=str(item.get("PrivateIpAddress", "")),
        cluster=tags.get(STACK, ""),
        tags=tags,
        details={name: value for name, value in details.items() if value},
        ssh=_facts(item, route),
        ssh_defaults=_guesses(user, route),
    )


def _facts(item: Mapping[str, Any], route: Route) -> dict[str, str]:
    # A machine keeps its key under its id: a recycled address is another machine.
    found = {"HostKeyAlias": str(item["InstanceId"])}
    if route.address:
        found["HostName"] = route.address
    name = str(item.get("KeyName", ""))
    if re.fullmatch(r"[A-Za-z0-9_@+=,-][A-Za-z0-9 _.@+=,-]*", name):
        key = config.home() / "keys" / f"{name}.pem"
        if key.is_file():
            found["IdentityFile"] = quoted(str(key), tokens=True)
    return found


def _guesses(user: str, route: Route) -> dict[str, str]:
    """What holds where the user's own configuration says nothing."""
    found = {"UserKnownHostsFile": quoted(str(config.home() / "known_hosts"), tokens=True)}
    if user:
        found["User"] = user
    if route.proxy:
        found["ProxyCommand"] = route.proxy
    return found
