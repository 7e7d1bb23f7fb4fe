"""CloudWatch's logs: groups, streams, and what was written to them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from dust.backends.ec2client import Cloud, CloudError

#: Milliseconds that an entry may come late and still be seen by who follows a group.
_LATE = 30_000
_MISSING = "ResourceNotFoundException"


@dataclass(frozen=True)
class Entry:
    """One entry: when it was written (milliseconds since 1970), in which stream, and its text."""

    id: str
    when: int
    stream: str
    text: str


def groups(cloud: Cloud) -> list[tuple[str, int, int]]:
    """Name, size in bytes and days of keeping (0: for ever) of each group."""
    return [
        (group["logGroupName"], group.get("storedBytes", 0), group.get("retentionInDays", 0))
        for page in cloud.pages("logs", "describe_log_groups")
        for group in page["logGroups"]
    ]


def streams(cloud: Cloud, group: str, most: int) -> list[tuple[str, int]]:
    """Name and time of the last entry (milliseconds, 0 for none) of a group's latest streams."""
    found: list[tuple[str, int]] = []
    with _named(cloud, group):
        more: dict[str, Any] = {}
        while len(found) < most:
            answer = cloud.call(
                "logs",
                "describe_log_streams",
                logGroupName=group,
                orderBy="LastEventTime",
                descending=True,
                **more,
            )
            found += [
                (each["logStreamName"], each.get("lastEventTimestamp", 0))
                for each in answer["logStreams"]
            ]
            if not answer.get("nextToken"):
                break
            more = {"nextToken": answer["nextToken"]}
    return found[:most]


def newest(cloud: Cloud, group: str, stream: str, most: int) -> list[Entry]:
    """The newest entries of a stream, the oldest of them first."""
    with _named(cloud, group, stream):
        answer = cloud.call(
            "logs",
            "get_log_events",
            logGroupName=group,
            logStreamName=stream,
            limit=most,
            startFromHead=False,
        )
    return [
        Entry(f"{each['timestamp']} {at}", each["timestamp"], stream, each["message"])
        for at, each in enumerate(answer["events"])
    ]


class Following:
    """What is written to a group, or to one of its streams, from now on or from an entry on."""

    def __init__(
        self,
        cloud: Cloud,
        group: str,
        stream: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Ask nothing yet; `clock` says seconds since 1970."""
        self._cloud = cloud
        self._group = group
        self._stream = stream
        self._begun = self._until = int(clock() * 1000)
        self._seen: dict[str, int] = {}

    def more(self) -> list[Entry]:
        """What has come since, in order; entries that come late too. Raises `CloudError`."""
        since = max(self._begun, self._until - _LATE)
        only = {"logStreamNames": [self._stream]} if self._stream else {}
        found: list[Entry] = []
        with _named(self._cloud, self._group, self._stream):
            pages = self._cloud.pages(
                "logs", "filter_log_events", logGroupName=self._group, startTime=since, **only
            )
            for page in pages:
                for each in page["events"]:
                    entry = Entry(
                        each["eventId"], each["timestamp"], each["logStreamName"], each["message"]
                    )
                    if entry.id not in self._seen:
                        self._seen[entry.id] = entry.when
                        found.append(entry)
        self._until = max([self._until, *(entry.when for entry in found)])
        self._seen = {id: at for id, at in self._seen.items() if at >= self._until - _LATE}
        return sorted(found, key=lambda entry: entry.when)


class _named:
    """Turns the refusal of a name that does not exist into one with the nearest name."""

    def __init__(self, cloud: Cloud, group: str, stream: str = "") -> None:
        self._cloud, self._group, self._stream = cloud, group, stream

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, CloudError) and error.code == _MISSING:
            raise CloudError(self._why(), _MISSING) from error

    def _why(self) -> str:
        known = [name for name, _, _ in groups(self._cloud)]
        if self._group not in known:
            return f"no log group {self._group}{_nearest(self._group, known)}"
        there = [name for name, _ in streams(self._cloud, self._group, 1000)]
        return f"no stream {self._stream} in {self._group}{_nearest(self._stream, there)}"


def _nearest(name: str, known: list[str]) -> str:
    close = get_close_matches(name, known, 1)
    return f"; did you mean {close[0]}?" if close else ""


def shown(entries: list[Entry], labelled: bool) -> Iterator[str]:
    """Entries as lines: the time, the stream if `labelled`, and each line of the text."""
    for entry in entries:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(entry.when / 1000))
        label = f"[{entry.stream}] " if labelled else ""
        for line in entry.text.splitlines() or [""]:
            yield f"{when} {label}{line}"
