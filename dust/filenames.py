"""The names of nodes as names of files. Pure."""

from __future__ import annotations

import re
from zlib import crc32

# What is no letter, digit or plain mark; a dot or a dash that begins the name too.
_ODD = re.compile(r"[^\w@+=,~ .-]|^[. -]|[. ]\Z", re.ASCII)
# A name may have 255 bytes on most file systems; there is room left for an ending.
_LONGEST = 200


def safe_name(name: str) -> str:
    """A file name for a node's name: different for different names, inside its folder.

    Odd characters become `%2f` and the like; a long name ends in a checksum of all of it.
    """
    safe = _ODD.sub(lambda found: _escaped(found[0]), name) or "%"
    if len(safe) > _LONGEST:
        safe = f"{safe[:_LONGEST]}%{crc32(name.encode('utf-8', 'surrogateescape')):08x}"
    return safe


def _escaped(char: str) -> str:
    return "".join(f"%{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))
