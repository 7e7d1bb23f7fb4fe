"""logs - what was written to CloudWatch."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from dust.command import Dust, UsageError, command
from dust.plain import printable

if TYPE_CHECKING:
    from dust.backends.ec2client import Cloud
    from dust.backends.ec2logs import Following

#: Seconds between two questions for more.
_PACE = 2.0


@command
def logs(dust: Dust, group: str = "", stream: str = "", f: bool = False, n: str = "100") -> None:
    """Show CloudWatch logs: groups, streams, or the end of one.

    Usage: logs [-f] [-n N] [<group> [<stream>]]

    Times are UTC.

    Options:
      -f    go on with what is written from now on, to the group or its stream, until Ctrl-C
      -n N  show so many streams or entries, the newest [default: 100]

    Examples:
      logs
      logs /aws/lambda/resize
      logs -f /aws/lambda/resize
    """
    from dust.backends import ec2logs  # only where EC2 is used
    from dust.backends.ec2 import cloud_of

    if not (n.isascii() and n.isdecimal() and 0 < int(n) <= 10_000):
        raise UsageError(f"logs -n {n}: this is no number from 1 to 10000")
    if f and not group:
        raise UsageError("logs -f: which group? `logs` lists them")
    cloud = cloud_of(dust.backend, "CloudWatch logs")
    following = ec2logs.Following(cloud, group, stream)
    if not group:
        _groups(dust, cloud)
    elif stream:
        _newest(dust, cloud, group, stream, int(n))
    elif not f:
        _streams(dust, cloud, group, int(n))
    if f:
        _follow(dust, following, labelled=not stream)


def _groups(dust: Dust, cloud: Cloud) -> None:
    from dust.backends import ec2logs

    found = dust.aside(lambda: ec2logs.groups(cloud))
    if not found:
        dust.print(f"there are no log groups in {dust.backend.label}")
        return
    rows = [
        [name, f"{size:,}", f"{days} days" if days else "for ever"] for name, size, days in found
    ]
    dust.table(rows, headers=["group", "bytes", "kept"])


def _streams(dust: Dust, cloud: Cloud, group: str, most: int) -> None:
    from dust.backends import ec2logs

    found = dust.aside(lambda: ec2logs.streams(cloud, group, most))
    if not found:
        dust.print(f"there are no streams in {printable(group)}")
        return
    rows = [[name, _time(when)] for name, when in found]
    dust.table(rows, headers=["stream", "last entry"])


def _time(when: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(when / 1000)) if when else ""


def _newest(dust: Dust, cloud: Cloud, group: str, stream: str, most: int) -> None:
    from dust.backends import ec2logs

    entries = dust.aside(lambda: ec2logs.newest(cloud, group, stream, most))
    for line in ec2logs.shown(entries, labelled=False):
        dust.print(printable(line.expandtabs()))


def _follow(dust: Dust, following: Following, labelled: bool) -> None:
    from dust.backends import ec2logs

    def more() -> list[ec2logs.Entry]:
        entries = following.more()
        if not entries:
            time.sleep(_PACE)
        return entries

    while True:
        for line in ec2logs.shown(dust.aside(more), labelled):
            dust.print(printable(line.expandtabs()))
