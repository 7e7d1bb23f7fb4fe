"""The output filter: what a remote pty prints, made safe to show on the user's terminal.

Bytes in, bytes out, no I/O. Text, newlines, tabs and colours (SGR) pass; every other control
character and control sequence is removed; what would turn or break lines is shown as an escape.
Nothing that ECMA-48 lets run on may run past a newline, so the unfinished line is all the state.
"""

from __future__ import annotations

import re
from codecs import utf_8_decode

from dust.plain import MARKS, SGR, SGR_REST, escaped

# A partial line is given out in pieces when it passes this many bytes, ...
_PIECE = 8192
# ... unless less than this is left of it once redrawn text and sequences are taken out.
_WORTH = 4096
# As many colour changes of a line are remembered as may still be in force.
_COLOURS = 16

_RESET = "\x1b[0m"
# "ESC k", the title of screen and tmux, is a control string like DCS, SOS, PM and APC.
# A control string ends at a newline, CAN, SUB, or whatever begins another sequence; OSC at BEL too.
_STRING = r"[^\n\x18\x1a\x1b\x80-\x9f]*"
_OSC = r"[^\n\x07\x18\x1a\x1b\x80-\x9f]*"
# One sequence up to its final byte, which is optional: whatever cannot belong to it ends it.
_SEVEN_BIT = rf"\x1b(?!{SGR_REST})(?:\[[ -?]*[@-~]?|\]{_OSC}|[PX^_k]{_STRING}|[ -/]*[0-~]?)"
_EIGHT_BIT = rf"\x9b[ -?]*[@-~]?|\x9d{_OSC}|[\x90\x98\x9e\x9f]{_STRING}|[\x80-\x9f]"

_COLOUR = re.compile(SGR)
_ALL_OFF = re.compile(r"\x1b\[[0:;]*m")
# A colour with nothing but text between it and the end of its line.
_LEFT_ON = re.compile(rf"(\x1b(?!\[[0:;]*m){SGR_REST}[^\x1b\n]*)\n")
_ESCAPE = re.compile(_SEVEN_BIT)
_SEQUENCE = re.compile(f"{_SEVEN_BIT}|{_EIGHT_BIT}")
_UNFINISHED = re.compile(
    rf"(?:(?:\x1b\[|\x9b)[ -?]*|(?:\x1b\]|\x9d){_OSC}"
    rf"|(?:\x1b[PX^_k]|[\x90\x98\x9e\x9f]){_STRING}|\x1b[ -/]*)\Z"
)
_MARK = re.compile(f"[{MARKS}]")
_BEYOND_ASCII = re.compile(f"[\x80-\x9f{MARKS}]")
_CONTROL = re.compile("[\x00-\x07\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]")
_RUN = re.compile(rf"{SGR}|\x08+|[^\x1b\x08]+")

_INTRODUCERS = "\x1b\x90\x98\x9b\x9d\x9e\x9f"
_PROMPT_ENDS = tuple("?:>])#$%")
_NOT_TEXT = bytes(c for c in range(32) if c not in b"\t\n") + b"\x7f"
_DROPPED = _NOT_TEXT.replace(b"\x1b", b"")


class Screen:
    """The filter of one pty; feed it every byte, in order."""

    def __init__(self) -> None:
        """Start at the beginning of a line."""
        self._held = bytearray()
        self._limit = _PIECE

    @property
    def held(self) -> int:
        """How many bytes are kept between calls; never more than 16 KiB."""
        return len(self._held)

    @property
    def pending(self) -> bool:
        """Whether a partial line with visible text is held back."""
        held = self._held
        if held and 0x20 < held[0] < 0x7F and b"\b" not in held:
            return True  # nothing but a backspace can take a first character away
        return bool(held) and bool(self._text().strip())

    @property
    def overwriting(self) -> bool:
        """Whether the held partial line has a carriage return: a progress bar being redrawn."""
        return b"\r" in self._held

    def looks_like_prompt(self) -> bool:
        """Whether the held partial line reads like a question, such as `Continue? [Y/n] `."""
        return self._text().rstrip(" ").endswith(_PROMPT_ENDS)

    def feed(self, data: bytes) -> bytes:
        r"""Take what the pty printed and return what can be shown now, as valid UTF-8.

        These are whole lines, each with its newline, and b"" while there is none. Only of a
        partial line longer than 8 KiB is a piece returned before its end, so the result may end
        without a newline; the next result goes on where it stopped. A line, and a piece, in
        colour ends with a reset.
        """
        end = data.rfind(b"\n") + 1
        held = self._held
        if not end:
            held += data
            return self._piece() if len(held) > self._limit else b""
        block = data[:end]
        if held:
            block = bytes(held) + block
            held.clear()
            self._limit = _PIECE
        lines = _clean(block)
        if end < len(data):
            held += data[end:]
            if len(held) > self._limit:
                lines += self._piece()
        return lines

    def flush(self) -> bytes:
        """Return the held partial line, without a newline, and forget it.

        A sequence that is incomplete at its end is dropped, an incomplete character replaced.
        """
        if not self._held:
            return b""
        line = _clean(self._held + b"\n")[:-1]
        self._held.clear()
        self._limit = _PIECE
        return line

    def _text(self) -> str:
        return _COLOUR.sub("", _clean(self._held + b"\n")[:-1].decode())

    def _piece(self) -> bytes:
        """Take out of the held line what can be shown or forgotten before its end is known."""
        text, used = utf_8_decode(self._held, "replace", False)
        rest = bytes(self._held[used:])
        tail = ""
        if found := _UNFINISHED.match(text, max(0, *map(text.rfind, _INTRODUCERS))):
            tail = _shortened(found[0])
            text = text[: found.start()]
        text = _CONTROL.sub("", _without_sequences(text))
        line = _redrawn(text) if "\r" in text or "\b" in text else text
        piece = line.encode()
        if len(piece) < _WORTH:
            piece = b""
        else:
            line = _in_force(line)
            if line:
                piece += _RESET.encode()
        if "\r" in text:
            # The line stays one that is being redrawn, and redrawn from where its cursor is.
            line = f"{line}\r" if _COLOUR.sub("", text).endswith("\r") else f"\r{line}"
        self._held[:] = (line + tail).encode() + rest
        self._limit = len(self._held) + _PIECE
        return piece


def _clean(block: bytes | bytearray) -> bytes:
    """Make whole lines safe; the last byte is a newline."""
    if block.isascii():
        text = block.translate(None, _NOT_TEXT)
        # Nothing was dropped, or the terminal's line ends only: this is cheaper than to count them.
        if len(text) == len(block) or text.replace(b"\n", b"\r\n") == block:
            return bytes(text)
    shown = _without_sequences(block.replace(b"\r\n", b"\n").decode("utf-8", "replace"))
    if "\r" in shown or "\b" in shown:
        shown = _redrawn_lines(shown)
    if "\x1b" in shown:
        shown = _LEFT_ON.sub(rf"\1{_RESET}\n", shown)
    return shown.encode().translate(None, _DROPPED)


def _without_sequences(text: str) -> str:
    """Remove every control sequence but SGR; name the marks."""
    if text.isascii() or not _BEYOND_ASCII.search(text):
        return _ESCAPE.sub("", text)
    return _MARK.sub(lambda found: escaped(found[0]), _SEQUENCE.sub("", text))


def _redrawn_lines(text: str) -> str:
    """Redraw those lines that have a carriage return or a backspace."""
    parts: list[str] = []
    done = 0
    backspace, cr = text.find("\b"), text.find("\r")
    while backspace >= 0 or cr >= 0:
        first = cr if backspace < 0 or 0 <= cr < backspace else backspace
        start, end = text.rfind("\n", done, first) + 1, text.index("\n", first)
        parts += (text[done:start], _redrawn(_CONTROL.sub("", text[start:end])))
        done = end
        if 0 <= backspace < end:
            backspace = text.find("\b", end)
        if 0 <= cr < end:
            cr = text.find("\r", end)
    return "".join([*parts, text[done:]])


def _redrawn(line: str) -> str:
    """Return the last state of a line that was overwritten, in the colours that it had by then."""
    states = line.split("\r")
    for i in range(len(states) - 1, -1, -1):
        state = _overstruck(states[i]) if "\b" in states[i] else states[i]
        if _COLOUR.sub("", state):
            after = "".join(_COLOUR.findall("".join(states[i + 1 :])))
            return _in_force("".join(states[:i])) + state + after
    return _in_force(line)


def _overstruck(text: str) -> str:
    """Let each backspace erase the character before it; colours have no width."""
    runs = _RUN.findall(text)
    kept = [len(run) for run in runs]
    visible: list[int] = []  # indexes of the runs that a backspace may still shorten
    for i, run in enumerate(runs):
        if run[0] != "\b":
            if run[0] != "\x1b":
                visible.append(i)
            continue
        kept[i] = 0
        erase = len(run)
        while erase and visible:
            last = visible[-1]
            cut = min(erase, kept[last])
            kept[last] -= cut
            erase -= cut
            if not kept[last]:
                visible.pop()
    return "".join([run[:n] for run, n in zip(runs, kept, strict=True)])


def _in_force(text: str) -> str:
    """Return the colour changes of `text` that still hold at its end."""
    changes: list[str] = []
    for change in reversed(_COLOUR.findall(text)):
        if len(changes) == _COLOURS or _ALL_OFF.fullmatch(change):
            break
        changes.append(change)
    return "".join(reversed(changes))


def _shortened(sequence: str) -> str:
    """Return an unfinished sequence as short as possible, in the same state."""
    if sequence.startswith("\x1b["):
        # What is too long for a colour is still a CSI: a private one, so never a colour.
        return sequence if len(sequence) < 132 else "\x1b[?"
    return sequence[: 1 if sequence[0] != "\x1b" else 2]
