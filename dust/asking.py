"""What ssh asks when it connects: which questions are the same, which answers are secret. Pure."""

from __future__ import annotations

import re

_HOST = re.compile(r"@\S+?'s password|^\((\S*)@\S+\) ")
_FINGERPRINT = re.compile(r"\S+ key fingerprint is \S+")


def same(text: str) -> str:
    """What makes two questions the same: all but the name of the node."""
    if fingerprint := _FINGERPRINT.search(text):
        return fingerprint[0]
    host = _HOST.sub(lambda found: f"({found[1]}) " if found[1] else "@*'s password", text)
    return host.strip()  # what is read off a terminal lacks the blank at its end


def is_secret(text: str) -> bool:
    """Whether the answer is nothing to be shown, by what is asked."""
    return "(yes/no" not in text
