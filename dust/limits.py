"""What this system and the nodes' servers let us have."""

from __future__ import annotations

import os
import resource
import sys
from contextlib import suppress

#: How much of the end of what was printed may hold ssh's last words, in bytes.
LAST = 512
#: A socket's path may have no more bytes than this on any system.
LONGEST_SOCKET = 103


def raise_open_files() -> None:
    """Allow as many open descriptors as the system lets us have: there are some for each node."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def take_turns(*, inherited: bool) -> None:
    """Wait for a processor when woken, instead of taking it from whoever has just woken us.

    A line on many nodes is many wake-ups: a tenth of its cost is to be interrupted by each. It is
    `inherited` by what is started from here or not. Only Linux has this.
    """
    if sys.platform == "linux":
        policy = os.SCHED_BATCH if inherited else os.SCHED_BATCH | os.SCHED_RESET_ON_FORK
        with suppress(OSError):  # a sandbox may forbid it
            if os.sched_getscheduler(0) == os.SCHED_OTHER:  # the user's own choice holds
                os.sched_setscheduler(0, policy, os.sched_param(0))


def backoff(tries: int) -> float:
    """Seconds to wait before a server that has turned us away `tries` times is tried again.

    No two nodes behind one server come back at the same moment.
    """
    return min(4.0, 0.25 * 2.0**tries) * (0.5 + os.urandom(1)[0] / 512)
