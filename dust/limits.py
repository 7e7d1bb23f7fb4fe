"""What this system and the nodes' servers let us have."""

from __future__ import annotations

import os
import resource
from contextlib import suppress

#: A socket's path may have no more bytes than this on any system.
LONGEST_SOCKET = 103


def raise_open_files() -> None:
    """Allow as many open descriptors as the system lets us have: there are some for each node."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def backoff(tries: int) -> float:
    """Seconds to wait before a server that has turned us away `tries` times is tried again.

    No two nodes behind one server come back at the same moment.
    """
    return min(4.0, 0.25 * 2.0**tries) * (0.5 + os.urandom(1)[0] / 512)
