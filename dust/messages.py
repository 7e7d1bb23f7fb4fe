"""What the coordinator and a worker say to each other, and its form on the pipe.

A message is a frame: four bytes of length, one byte of kind, then the body. Output and lines, the
bulk of the traffic, travel as they are; the rare rest is JSON.
"""

from __future__ import annotations

import json
import struct
from typing import NamedTuple

# --- to the worker


class Open(NamedTuple):
    """Start `argv` (an ssh) on a terminal of that size; the session's marks carry `nonce`.

    `directory` (octets as latin-1) is where the session is to begin, "" for the login directory.
    `timeout` is how many seconds the login may take. With a `socket` there is no shell: it is the
    connection to a jump host, which is open once that is there.
    """

    argv: list[str]
    nonce: str
    directory: str
    rows: int
    columns: int
    timeout: float
    socket: str = ""


class Line(NamedTuple):
    """One line for the session, in UTF-8 without its end; may hold several lines of text."""

    text: bytes


class Keys(NamedTuple):
    """Bytes for the terminal as if typed: Ctrl-C, Ctrl-D, Ctrl-Z."""

    data: bytes


class Answer(NamedTuple):
    """What to type at the question that ssh asked."""

    text: bytes


class Unanswered(NamedTuple):
    """Nobody answers what ssh asked: let it go on without, if it can."""


class Attach(NamedTuple):
    """Raw mode on the two descriptors that come with this frame (terminal in and out)."""

    rows: int
    columns: int


class Resize(NamedTuple):
    """The terminal's new size."""

    rows: int
    columns: int


class Close(NamedTuple):
    """End the session."""


class Copy(NamedTuple):
    """Copy files over `argv` (an ssh that begins an sftp server there), or over `shell`.

    `shell` (an ssh that runs what `archive` gives) is for a node that has no sftp server.

    With `put` the `names` are paths here, to be copied into the `directory` there, otherwise they
    are patterns of paths there, and the `directory` is here. Names are octets as latin-1; those
    of this machine begin at `folder`. `timeout` is how many seconds connecting may take.
    `askpass` is the program by which ssh asks, and the socket that it looks for, or empty.
    """

    argv: list[str]
    shell: list[str]
    put: bool
    names: list[str]
    directory: str
    folder: str
    timeout: float
    askpass: list[str]


# --- from the worker


class Opened(NamedTuple):
    """The session is at its first prompt, in that directory."""

    directory: bytes


class Taken(NamedTuple):
    """The next line has been typed; what is said from now on came after it."""


class Refused(NamedTuple):
    """The next line was not typed, and why."""

    text: str


class Output(NamedTuple):
    """What the session printed, filtered: whole lines, or a piece of one if no newline ends it."""

    data: bytes


class Ended(NamedTuple):
    """The first `lines` of those typed are done: status (-1: cannot be told), seconds, directory.

    With the last of them the shell is at its prompt again.
    """

    lines: int
    status: int
    seconds: float
    directory: bytes


class State(NamedTuple):
    """The session's state changed to `ready`, `busy`, `waiting` or `unfinished`."""

    name: str


class Question(NamedTuple):
    """ssh asks something before it lets in; `secret`: the answer must not be shown.

    `asker` tells one ssh of a copy from another, such as the one that it jumps by.
    """

    text: str
    secret: bool
    asker: int = 0


class Notice(NamedTuple):
    """What ssh wants to be known at once, such as a key that waits to be touched."""

    text: str


class Note(NamedTuple):
    """Something the user should know about this session, once."""

    text: str


class Detached(NamedTuple):
    """Raw mode is over and the session lives on."""


class Leaving(NamedTuple):
    """What the user's terminal needs first once raw mode is over, however that comes about.

    Said before what the program prints makes it true.
    """

    data: bytes


class Moved(NamedTuple):
    """So far: files and bytes that have been copied, of so many that are known of."""

    files: int
    size: int
    files_known: int
    size_known: int


class CopyEnded(NamedTuple):
    """The copy is over. `error` is why not everything was tried, or ""; `kind` as with `Lost`.

    `failures` and `skipped` have a reason, the number of files, and the name of the first.
    """

    kind: str
    error: str
    files: int
    size: int
    failures: list[tuple[str, int, str]]
    skipped: list[tuple[str, int, str]]


class Lost(NamedTuple):
    """The session is over. `kind` is one of `ssh.KINDS`; `status` the shell's, or -1."""

    kind: str
    text: str
    status: int


Message = (
    Open | Line | Keys | Answer | Attach | Resize | Close | Copy
    | Opened | Refused | Output | Ended | State | Question | Note | Detached | Lost
    | Moved | CopyEnded | Unanswered | Notice | Taken | Leaving
)  # fmt: skip

_TYPES: tuple[type[Message], ...] = (
    Open, Line, Keys, Answer, Attach, Resize, Close, Copy,
    Opened, Refused, Output, Ended, State, Question, Note, Detached, Lost,
    Moved, CopyEnded, Unanswered, Notice, Taken, Leaving,
)  # fmt: skip
_KINDS = {cls: kind for kind, cls in enumerate(_TYPES)}
_RAW = (Output, Line, Keys, Answer, Opened, Leaving)
_ENDED, _TAKEN = _KINDS[Ended], _KINDS[Taken]
_HEAD = struct.Struct("!IB")
#: The one of its kind, and its frame: there is one for every line.
TAKEN = Taken()
_TAKEN_FRAME = _HEAD.pack(0, _TAKEN)
_END = struct.Struct("!Iid")
#: Longest body taken, in bytes: more is a broken pipe's doing.
LONGEST = 1 << 24


def encode(message: Message) -> bytes:
    """The frame of a message."""
    if message is TAKEN:
        return _TAKEN_FRAME
    if isinstance(message, Ended):
        body = _END.pack(message.lines, message.status, message.seconds) + message.directory
    elif isinstance(message, _RAW):
        body = message[0]
    else:
        body = json.dumps(message).encode()
    return _HEAD.pack(len(body), _KINDS[type(message)]) + body


class Decoder:
    """Frames out of a stream that is cut anywhere."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """The messages that `data` completes. Raises ValueError on what is no frame."""
        if self._held:
            self._held += data
            data = bytes(self._held)
        messages: list[Message] = []
        at, size = 0, len(data)
        while size - at >= 5:
            length, kind = _HEAD.unpack_from(data, at)
            if length > LONGEST or kind >= len(_TYPES):
                raise ValueError("not a frame")
            if size - at - 5 < length:
                break
            if kind == _TAKEN:
                messages.append(TAKEN)
                at += 5 + length
                continue
            messages.append(_decode(kind, data[at + 5 : at + 5 + length]))
            at += 5 + length
        self._held = bytearray(data[at:])
        return messages


def _decode(kind: int, body: bytes) -> Message:
    cls = _TYPES[kind]
    if cls in _RAW:
        return cls(body)
    try:
        if kind == _ENDED:
            lines, status, seconds = _END.unpack_from(body)
            return Ended(lines, status, seconds, body[_END.size :])
        return cls(*json.loads(body))
    except (struct.error, TypeError, RecursionError) as error:
        raise ValueError(f"no body of {cls.__name__}: {error}") from error
