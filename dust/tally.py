"""What has been copied so far, what could not be, and what was left out. Pure."""

from __future__ import annotations

#: Reasons that are told apart; more are counted as one.
MOST = 20
OTHERS = "other reasons"


class Tally:
    """The account of one node's copy: files and bytes done, and how many there are as far as known.

    `failures` and `skipped` have a reason, how many files it is true of, and the first one's name.
    """

    def __init__(self) -> None:
        self.files = self.size = 0
        self.files_known = self.size_known = 0
        self.failures: dict[str, tuple[int, bytes]] = {}
        self.skipped: dict[str, tuple[int, bytes]] = {}

    def found(self, size: int) -> None:
        """There is one more file to copy."""
        self.files_known += 1
        self.size_known += size

    def fail(self, name: bytes, reason: str) -> None:
        """A file cannot be copied."""
        _count(self.failures, reason, name)

    def skip(self, name: bytes, kind: str) -> None:
        """A file is left out, for what it is."""
        _count(self.skipped, kind, name)


def _count(reasons: dict[str, tuple[int, bytes]], reason: str, name: bytes) -> None:
    if reason not in reasons and len(reasons) >= MOST:
        reason = OTHERS
    count, first = reasons.get(reason, (0, name))
    reasons[reason] = count + 1, first
