"""Nodes that are EC2 instances of one account and region."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from dust.backend import Backend, Change, Follow, to_the_end
from dust.backends import ec2kept, ec2reach
from dust.backends.ec2client import Cloud, CloudError
from dust.backends.ec2nodes import as_node
from dust.backends.ec2power import VALUES, Power, chunks, described
from dust.errors import BackendError
from dust.node import Node
from dust.plain import printable

#: Instances that are gone are listed by AWS for an hour; they are no nodes any more.
_LISTED = ["pending", "running", "shutting-down", "stopping", "stopped"]


class Ec2Backend:
    """The instances of an account in a region; one call for many, followed to the end state."""

    name = "ec2"
    ssh_defaults: Mapping[str, str] = MappingProxyType({"StrictHostKeyChecking": "accept-new"})

    def __init__(
        self,
        cloud: Cloud,
        sleep: Callable[[float], None] = time.sleep,
        ssh_config: Path | None = None,
        address: str = "auto",
    ) -> None:
        """Ask nothing yet; `sleep` takes seconds, `ssh_config` is used in place of the user's.

        `address` is the setting of this name.
        """
        self.cloud = cloud
        self.ssh_config = ssh_config
        self._address = address
        self.region = cloud.region or "(no region)"
        parts = self.name, printable(cloud.profile), printable(self.region)
        self.label = " ".join(filter(None, parts))
        self._power = Power(cloud, sleep)

    def nodes(self) -> list[Node]:
        """Return all instances but the terminated ones, in the order of their names."""
        found = list(described(self.cloud, {"instance-state-name": _LISTED}))
        images = self._images({item.get("ImageId", "") for item in found} - {""})
        routes = ec2reach.routes(self.cloud, found, ec2reach.own_id(), self._address)
        nodes = [
            as_node(item, images.get(item.get("ImageId", ""), ""), routes[item["InstanceId"]])
            for item in found
        ]
        nodes.sort(key=_order)
        ec2kept.keep(self._file(), nodes)
        return nodes

    def kept(self) -> tuple[list[Node], float] | None:
        """The last listing of this profile and region, without a call."""
        return ec2kept.kept(self._file())

    def forget(self) -> None:
        """Drop the last listing, which is about to be wrong."""
        ec2kept.drop(self._file())

    def regions(self) -> list[str]:
        """The regions that boto3 knows; without a call."""
        return self.cloud.regions()

    def elsewhere(self, region: str) -> Ec2Backend:
        """The same account in another region."""
        cloud = Cloud(self.cloud.profile, region)
        return Ec2Backend(cloud, ssh_config=self.ssh_config, address=self._address)

    def check(self, verb: str, ids: Sequence[str]) -> None:
        """Ask EC2 whether it would take the call."""
        self._power.check(f"{verb}_instances", ids)

    def start(self, ids: Sequence[str], follow: Follow = to_the_end) -> list[Change]:
        """Start these instances and wait until they run, or say why one does not."""
        self.forget()  # whatever becomes of this, the listing is out of date
        return self._power.change("start_instances", ids, follow)

    def stop(self, ids: Sequence[str], follow: Follow = to_the_end) -> list[Change]:
        """Stop these instances and wait until they are stopped."""
        self.forget()
        return self._power.change("stop_instances", ids, follow)

    def reboot(self, ids: Sequence[str], follow: Follow = to_the_end) -> list[Change]:
        """Reboot these instances; AWS counts them as running all the time."""
        self.forget()
        return self._power.reboot(ids)

    def terminate(self, ids: Sequence[str], follow: Follow = to_the_end) -> list[Change]:
        """Terminate these instances and wait until they are."""
        self.forget()
        return self._power.change("terminate_instances", ids, follow)

    def tag(self, ids: Sequence[str], tags: Mapping[str, str]) -> list[Change]:
        """Give these instances tags, and wait until EC2 shows them."""
        self.forget()
        return self._power.tag(ids, dict(tags))

    def untag(self, ids: Sequence[str], keys: Sequence[str]) -> list[Change]:
        """Take tags from these instances, and wait until EC2 does not show them."""
        self.forget()
        return self._power.tag(ids, dict.fromkeys(keys))

    def _images(self, ids: set[str]) -> dict[str, str]:
        """The names of images, by id; without the permission to ask, none."""
        names: dict[str, str] = {}
        for some in chunks(sorted(ids), VALUES):
            # By a filter: one that was removed would fail a call that names it.
            wanted = [{"Name": "image-id", "Values": some}]
            try:
                answer = self.cloud.call("ec2", "describe_images", Filters=wanted)
            except CloudError as error:
                if not error.code:
                    raise
                return names  # the login is then ssh's own business
            for image in answer["Images"]:
                names[image["ImageId"]] = image.get("Name", "")
        return names

    def _file(self) -> Path:
        return ec2kept.path_of(self.cloud.profile, self.cloud.region, self._address)


def cloud_of(backend: Backend, what: str) -> Cloud:
    """The account of a backend that is EC2; raises `BackendError` for one that has no `what`."""
    if not isinstance(backend, Ec2Backend):
        raise BackendError(f"{backend.label} has no {what}: only `--backend ec2` has")
    return backend.cloud


def _order(node: Node) -> tuple[str, list[tuple[int, str]], str]:
    """By cluster, then by name with `w2` before `w10`."""
    parts = [
        (int(part), "") if part.isascii() and part.isdecimal() else (-1, part)
        for part in re.split(r"([0-9]+)", node.name[:200])
    ]
    return node.cluster, parts, node.id
