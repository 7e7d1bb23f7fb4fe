"""Any text as a terminal can show it: what it must not see is escaped, or colours are left out.

Pure.
"""

from __future__ import annotations

import re

#: A colour (SGR) without the ESC before it: longer than any real one, and short enough to hold
#: one that is not complete.
SGR_REST = r"\[[0-9:;]{0,128}m"
SGR = rf"\x1b{SGR_REST}"
#: Marks that reorder or break a line where no newline is, for a class of a regular expression.
MARKS = "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"

_COLOUR = SGR.encode()
_UNPRINTABLE = f"[\x00-\x1f\x7f-\x9f{MARKS}\ud800-\udfff]"
_NAMED = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def strip_colours(data: bytes) -> bytes:
    """Return what a Screen gave without its colours, for files and pipes."""
    return re.sub(_COLOUR, b"", data) if b"\x1b" in data else data


def printable(text: str) -> str:
    r"""Return any text as one line that a terminal shows as it is.

    Controls become escapes (`\n`, `\x1b`), undecodable bytes of file names too, and marks that
    reorder or break lines are named (`<U+202E>`).
    """
    return re.sub(_UNPRINTABLE, lambda found: escaped(found[0]), text)


def legible(text: str, *, colours: bool = False) -> str:
    """Return any text as lines that a terminal shows as they are, but for tabs and `colours`."""
    kept = rf"([\n\t]|{SGR})" if colours else r"([\n\t])"
    pattern = f"{kept}|{_UNPRINTABLE}"
    return re.sub(pattern, lambda found: found[1] or escaped(found[0]), text)


def escaped(char: str) -> str:
    """Return the escape or the name of one character."""
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that os.fsdecode() could not decode
        code -= 0xDC00
    return _NAMED.get(char) or (f"\\x{code:02x}" if code < 0x100 else f"<U+{code:04X}>")
