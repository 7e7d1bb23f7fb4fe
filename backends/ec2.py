"""Nodes that are EC2 instances of one account and region."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dust.backend import Change
from dust.backends import ec2kept
from dust.backends.ec2client import Cloud, CloudError
from dust.backends.ec2nodes import as_node
from dust.node import Node
from dust.screen import printable

#: Instances that are gone are listed by AWS for an hour; they are no nodes any more.
_LISTED = ["pending", "running", "shutting-down", "stopping", "stopped"]
#: A filter takes this many values.
_VALUES = 200
_MANY = 1000
#: Refusals that concern single instances, not the call.
_SINGLE = {
    "InvalidInstanceID.NotFound",
    "InvalidInstanceID.Malformed",
    "IncorrectInstanceState",
    "IncorrectState",
    "OperationNotPermitted",
    "UnsupportedOperation",
    "InsufficientInstanceCapacity",
}
_NOT_FOUND = "InvalidInstanceID.NotFound"
#: What ends each change; the second ends it too, but is not what was asked.
_ENDS = {
    "start_instances": ("running", ("stopped", "terminated")),
    "stop_instances": ("stopped", ("terminated",)),
    "terminate_instances": ("terminated", ()),
}
#: Seconds until following is given up, and tries for an instance that AWS does not see yet.
_PATIENCE, _TRIES = 900.0, 5


class Ec2Backend:
    """The instances of an account in a region; one call for many, followed to the end state."""

    name = "ec2"
    ssh_config: Path | None = None
    ssh_defaults: Mapping[str, str] = MappingProxyType({"StrictHostKeyChecking": "accept-new"})

    def __init__(self, cloud: Cloud, sleep: Callable[[float], None] = time.sleep) -> None:
        """Ask nothing yet; `sleep` takes seconds."""
        self.cloud = cloud
        where = cloud.region or "(no region)"
        self.label = " ".join(filter(None, ("ec2", printable(cloud.profile), printable(where))))
        self._sleep = sleep

    def nodes(self) -> list[Node]:
        """Return all instances but the terminated ones, in the order of their names."""
        found = list(self._described({"instance-state-name": _LISTED}))
        images = self._images({item.get("ImageId", "") for item in found} - {""})
        nodes = [as_node(item, images.get(item.get("ImageId", ""), "")) for item in found]
        nodes.sort(key=_order)
        ec2kept.keep(self._file(), nodes)
        return nodes

    def kept(self) -> tuple[list[Node], float] | None:
        """The last listing of this profile and region, without a call."""
        return ec2kept.kept(self._file())

    def start(self, ids: Sequence[str]) -> list[Change]:
        """Start these instances and wait until they run, or say why one does not."""
        return self._change("start_instances", ids)

    def stop(self, ids: Sequence[str]) -> list[Change]:
        """Stop these instances and wait until they are stopped."""
        return self._change("stop_instances", ids)

    def reboot(self, ids: Sequence[str]) -> list[Change]:
        """Reboot these instances; AWS counts them as running all the time."""
        errors = self._all_asked("reboot_instances", ids)
        states = self._states(ids)
        return [Change(id, states.get(id, "unknown"), errors.get(id, "")) for id in ids]

    def terminate(self, ids: Sequence[str]) -> list[Change]:
        """Terminate these instances and wait until they are."""
        return self._change("terminate_instances", ids)

    def _described(self, filters: Mapping[str, Sequence[str]]) -> Iterable[dict[str, Any]]:
        given = [{"Name": key, "Values": list(values)} for key, values in filters.items()]
        for page in self.cloud.pages("ec2", "describe_instances", Filters=given):
            for reservation in page["Reservations"]:
                yield from reservation["Instances"]

    def _images(self, ids: set[str]) -> dict[str, str]:
        """The names of images, by id; without the permission to ask, none."""
        names: dict[str, str] = {}
        for some in _chunks(sorted(ids), _VALUES):
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

    def _change(self, operation: str, ids: Sequence[str]) -> list[Change]:
        """One call for all, then one question for all until each is at its end."""
        errors = self._all_asked(operation, ids)
        states = self._followed(operation, [id for id in ids if id not in errors], errors)
        missing = [id for id in errors if id not in states]
        states |= self._states(missing)
        return [Change(id, states.get(id, "unknown"), errors.get(id, "")) for id in ids]

    def _all_asked(self, operation: str, ids: Sequence[str]) -> dict[str, str]:
        ec2kept.drop(self._file())  # whatever becomes of this, the listing is out of date
        errors: dict[str, str] = {}
        for some in _chunks(list(dict.fromkeys(ids)), _MANY):
            errors |= self._asked(operation, some)
        return errors

    def _file(self) -> Path:
        return ec2kept.path_of(self.cloud.profile, self.cloud.region)

    def _asked(self, operation: str, ids: list[str]) -> dict[str, str]:
        """Make the call for all that can be changed; returns why the others cannot, by id."""
        errors: dict[str, str] = {}
        tries = 0
        while ids:
            try:
                self.cloud.call("ec2", operation, InstanceIds=ids)
                break
            except CloudError as error:
                if error.code not in _SINGLE:
                    raise
                named = [id for id in ids if id in str(error)] or (ids if len(ids) == 1 else [])
                if not named:  # somebody in there; each half is asked on its own
                    half = len(ids) // 2
                    asked = self._asked(operation, ids[:half])
                    return errors | asked | self._asked(operation, ids[half:])
                if error.code == _NOT_FOUND and tries < _TRIES and self._states(named):
                    tries += 1  # a new instance is not known everywhere at once
                    self._sleep(0.5 * 2**tries)
                    continue
                errors |= dict.fromkeys(named, str(error))
                ids = [id for id in ids if id not in named]
        return errors

    def _followed(self, operation: str, ids: list[str], errors: dict[str, str]) -> dict[str, str]:
        """Ask until all are at their end; what ends otherwise, or not in time, is in `errors`."""
        end, failed = _ENDS[operation]
        states: dict[str, str] = {}
        waited, pause = 0.0, 0.5
        while True:
            left = [id for id in ids if states.get(id) not in (end, *failed)]
            states |= self._states(left)
            if end == "terminated":  # AWS may have forgotten it already
                states |= {id: end for id in left if id not in states}
            left = [id for id in left if states.get(id) not in (end, *failed)]
            if not left or waited >= _PATIENCE:
                break
            self._sleep(pause)
            waited += pause
            pause = min(5.0, pause * 1.5)
        for id in ids:
            if states.get(id) in failed:
                errors[id] = f"it is {states[id]}, not {end}"
            elif id in left:
                errors[id] = f"still {states.get(id, 'unknown')} after {waited / 60:.0f} minutes"
        return states

    def _states(self, ids: Sequence[str]) -> dict[str, str]:
        states: dict[str, str] = {}
        for some in _chunks(list(ids), _VALUES):
            for item in self._described({"instance-id": some}):
                states[item["InstanceId"]] = item["State"]["Name"]
        return states


def _chunks(values: list[str], size: int) -> Iterable[list[str]]:
    return (values[at : at + size] for at in range(0, len(values), size))


def _order(node: Node) -> tuple[str, list[tuple[int, str]], str]:
    """By cluster, then by name with `w2` before `w10`."""
    parts = [
        (int(part), "") if part.isascii() and part.isdecimal() else (-1, part)
        for part in re.split(r"([0-9]+)", node.name[:200])
    ]
    return node.cluster, parts, node.id
