"""Changes of many EC2 instances: one call for all, then one question for all until they end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from dust.backend import Change, Follow
from dust.backends.ec2client import Cloud, CloudError

#: A filter takes this many values; one call changes so many.
VALUES, _MANY = 200, 1000
#: Refusals that concern single instances, not the call.
_SINGLE = {
    "InvalidInstanceID.NotFound",
    "InvalidInstanceID.Malformed",
    "InvalidID",
    "TagLimitExceeded",
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


def described(cloud: Cloud, filters: Mapping[str, Sequence[str]]) -> Iterator[dict[str, Any]]:
    """What DescribeInstances has of the instances that pass these filters. Raises `CloudError`."""
    given = [{"Name": key, "Values": list(values)} for key, values in filters.items()]
    paging = {"PageSize": _MANY}
    for page in cloud.pages("ec2", "describe_instances", Filters=given, PaginationConfig=paging):
        for reservation in page["Reservations"]:
            owner = reservation.get("OwnerId", "")
            yield from ({"OwnerId": owner, **item} for item in reservation["Instances"])


def chunks(values: Sequence[str], size: int) -> Iterable[list[str]]:
    """The values in lists of at most `size`."""
    return (list(values[at : at + size]) for at in range(0, len(values), size))


class Power:
    """What changes the instances of one account and region.

    A call that fails as a whole raises `CloudError`, unless some nodes have been changed by then.
    """

    def __init__(self, cloud: Cloud, sleep: Callable[[float], None] = time.sleep) -> None:
        """Ask nothing yet; `sleep` takes seconds."""
        self._cloud = cloud
        self._sleep = sleep

    def check(self, operation: str, ids: Sequence[str]) -> None:
        """Make the call as a trial, which changes nothing; raises `CloudError` where it may not be.

        What only single instances stand against is not told: EC2 looks at the permission first.
        """
        for some in chunks(ids, _MANY):
            try:
                self._cloud.call("ec2", operation, InstanceIds=some, DryRun=True)
            except CloudError as error:
                if error.code != "DryRunOperation" and error.code not in _SINGLE:
                    raise

    def change(self, operation: str, ids: Sequence[str], follow: Follow) -> list[Change]:
        """Such as `stop_instances`: asked for all, and followed as long as `follow` says so."""
        errors = self._all_asked(operation, ids, "InstanceIds")
        states = {}
        if asked := [id for id in dict.fromkeys(ids) if id not in errors]:
            states = self._followed(operation, asked, errors, follow)
        return self._told(ids, states, errors)

    def reboot(self, ids: Sequence[str]) -> list[Change]:
        """Reboot instances, which count as running all the time."""
        errors = self._all_asked("reboot_instances", ids, "InstanceIds")
        return self._told(ids, {}, errors)

    def tag(self, ids: Sequence[str], tags: Mapping[str, str | None]) -> list[Change]:
        """Set tags of instances, or remove those that are None; until they can be seen."""
        given = [{"Key": key, "Value": text} for key, text in tags.items() if text is not None]
        gone = [{"Key": key} for key, text in tags.items() if text is None]
        operation, wanted = ("create_tags", given) if given else ("delete_tags", gone)
        errors = self._all_asked(operation, ids, "Resources", Tags=wanted)
        there = self._states(ids)
        errors |= {id: f"EC2 has no instance {id}" for id in ids if id not in {**there, **errors}}
        changed = [id for id in there if id not in errors]
        for tries in range(1, _TRIES + 1):
            if all(self._tags(changed, key) <= {text} for key, text in tags.items()):
                break
            self._sleep(0.25 * 2**tries)
        return self._told(ids, there, errors)

    def _tags(self, ids: Sequence[str], key: str) -> set[str | None]:
        """The values that instances have under a key, None among them if one has it not."""
        found: set[str | None] = set()
        for some in chunks(ids, VALUES):
            for item in described(self._cloud, {"instance-id": some}):
                tags = {tag["Key"]: tag["Value"] for tag in item.get("Tags", ())}
                found.add(tags.get(key))
        return found

    def _told(
        self, ids: Sequence[str], states: dict[str, str], errors: Mapping[str, str]
    ) -> list[Change]:
        states = {**self._states([id for id in ids if id not in states]), **states}
        return [Change(id, states.get(id, "unknown"), errors.get(id, "")) for id in ids]

    def _all_asked(
        self, operation: str, ids: Sequence[str], named: str, **more: Any
    ) -> dict[str, str]:
        """Make the call for all that can be changed; returns why the others cannot, by id.

        `named` is what the call takes the ids as.
        """

        def call(some: list[str]) -> None:
            self._cloud.call("ec2", operation, **{named: some}, **more)

        errors: dict[str, str] = {}
        wanted = list(dict.fromkeys(ids))
        failure: CloudError | None = None
        for some in chunks(wanted, _MANY):
            failure = self._asked(call, some, errors) or failure
        if failure is not None and len(errors) == len(wanted):
            raise failure
        return errors

    def _asked(
        self, call: Callable[[list[str]], None], ids: list[str], errors: dict[str, str]
    ) -> CloudError | None:
        """One call, and more for what it refuses; returns what is no fault of single instances."""
        tries = 0
        while ids:
            try:
                call(ids)
                break
            except CloudError as error:
                if error.code not in _SINGLE:
                    errors |= dict.fromkeys(ids, str(error))
                    return error
                named = [id for id in ids if id in str(error)] or (ids if len(ids) == 1 else [])
                if not named:  # somebody in there; each half is asked on its own
                    half = len(ids) // 2
                    first = self._asked(call, ids[:half], errors)
                    return self._asked(call, ids[half:], errors) or first
                if error.code == _NOT_FOUND and tries < _TRIES and self._states(named):
                    tries += 1  # a new instance is not known everywhere at once
                    self._sleep(0.5 * 2**tries)
                    continue
                errors |= dict.fromkeys(named, str(error))
                ids = [id for id in ids if id not in named]
        return None

    def _followed(
        self, operation: str, ids: list[str], errors: dict[str, str], follow: Follow
    ) -> dict[str, str]:
        """Ask until all are at their end; what ends otherwise, or not in time, is in `errors`."""
        end, failed = _ENDS[operation]
        states: dict[str, str] = {}
        waited, pause = 0.0, 0.5
        left = ids
        while True:
            try:
                states |= self._states(left)
            except CloudError as error:
                errors |= {id: f"it was asked to, but what became of it: {error}" for id in left}
                return {**dict.fromkeys(ids, "unknown"), **states}
            if end == "terminated":  # AWS may have forgotten it already
                states |= {id: end for id in left if id not in states}
            left = [id for id in ids if states.get(id) not in (end, *failed)]
            if not follow(states) or not left:
                break
            if waited >= _PATIENCE:
                late = f"after {waited / 60:.0f} minutes"
                errors |= {id: f"still {states.get(id, 'unknown')} {late}" for id in left}
                break
            self._sleep(pause)
            waited += pause
            pause = min(5.0, pause * 1.5)
        errors |= {id: f"it is {states[id]}, not {end}" for id in ids if states.get(id) in failed}
        return states

    def _states(self, ids: Sequence[str]) -> dict[str, str]:
        states: dict[str, str] = {}
        for some in chunks(ids, VALUES):
            for item in described(self._cloud, {"instance-id": some}):
                states[item["InstanceId"]] = item["State"]["Name"]
        return states
