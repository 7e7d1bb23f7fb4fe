"""The bytes of one remote shell to events and back: prompt marks and states, no I/O.

The shell's prompt is a private control string (an OSC, which terminals ignore) that carries a
nonce, the last exit status and the directory. Seeing it means: the shell is at its prompt. Every
other byte is output of the program. A session is thus `ready` or `busy` by the marks alone, and a
line typed into a busy session is input of whatever runs there.

    ESC ] 7770 ; NONCE ; H ; login shell ; shell ; system BEL  a shell is about to start
    ESC ] 7770 ; NONCE ; P ; status ; directory BEL  primary prompt: ready
    ESC ] 7770 ; NONCE ; C ; status BEL              continuation prompt: the line is unfinished
    ESC ] 7770 ; NONCE ; S BEL                       a command begins (where a shell can tell)

A status is digits, or `-` where the shell cannot put it there. What a program prints of the
prompt's own text has `$?` instead, and is no mark; in a shell that expands nothing in its prompt
it is one, which the first prompt shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

STARTING, READY, BUSY, CLOSED = "starting", "ready", "busy", "closed"

_INTRODUCER = b"\x1b]7770;"
# What may stand in a mark: a directory's name (at most 4,096 bytes on Linux), which may hold an
# escape but no other mark, and the fields of a greeting. What is longer than all that is no mark.
_DIRECTORY = rb"(?:[^\x07\x1b]|\x1b(?!\]7770;)){0,4096}"
_FIELD = rb"[^\x07\x1b;]{0,1024}"
_LONGEST = 4400
# Of any session: a pattern of one's own would cost each worker more memory than all its other work.
_MARK = re.compile(
    re.escape(_INTRODUCER)
    + rb"([^\x07\x1b;]{1,64});(?:S|([PC]);(\d{1,5}|-|\$\?)(?:;("
    + _DIRECTORY
    + rb"))?|H;"
    + rb";".join([rb"(" + _FIELD + rb")"] * 3)
    + rb")\x07"
)
# What a line editor may send by itself at a prompt.
_CONTROL = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")


class Text(NamedTuple):
    """Output of whatever runs in the session."""

    data: bytes


class Greeting(NamedTuple):
    """The bootstrap ran: the login shell, the shell that starts, `Linux` where it is that."""

    login: str
    shell: str
    system: str


class Prompt(NamedTuple):
    """The shell is at its prompt. `status` is None where the shell cannot tell it.

    `final` says that everything submitted has been read; if not, the shell may go on by itself
    with lines typed ahead, unless a program has read those: `Framing.settle` decides. `ended` is
    how many submissions end with this prompt, if it is final; else `WentOn` says it.
    """

    status: int | None
    directory: bytes
    final: bool
    ended: int = 0


class WentOn(NamedTuple):
    """The shell goes on with lines typed ahead: with the last prompt so many submissions ended."""

    prompt: Prompt


class Continuation(NamedTuple):
    """The shell wants more of an unfinished line; `final`: nothing more is on its way."""

    final: bool


Event = Text | Greeting | Prompt | WentOn | Continuation


class _Owed:
    """What was submitted and has not ended: the lines for which no prompt of either kind came."""

    def __init__(self, lines: int, submissions: int = 1) -> None:
        self.lines = lines
        self.submissions = submissions


class Framing:
    """The state machine of one session.

    `nonce` is the session's own, in the form that `shells` puts into the prompt. It keeps
    accidents (a file with marks in it, a session inside a session) from being taken for the
    prompt; a node that means harm owns its terminal anyway.
    """

    def __init__(self, nonce: str) -> None:
        self.state = STARTING
        self.directory = b""
        #: The status of a prompt that was not final, until it is settled.
        self.unsettled: Prompt | None = None
        #: How many bytes of a line the shell reads at once, with a prompt before each (0: any).
        self.piece = 0
        #: What the shell says before a prompt that nothing brought about but itself (b"": nothing).
        self.noise = b""
        self._noisy = False
        self._owed: list[_Owed] = []  # what was submitted and has had no prompt of its own
        self._passed: Prompt | None = None  # that of what was submitted before, not told yet
        self._went_on: WentOn | None = None  # to be told before the event that shows it
        self._pieces = 0  # prompts that are to come within the first line of it
        self._literal = False
        self._held = b""
        self._nonce = nonce.encode()

    def submit(self, text: bytes) -> bytes:
        """The bytes to type for `text`: a command if ready, input of the program if busy."""
        lines = [1 + (len(line) // self.piece if self.piece else 0) for line in text.split(b"\n")]
        if self.state == READY:
            self._pieces = lines[0] - 1
            self.state = BUSY
        self.unsettled = None
        self._owed.append(_Owed(sum(lines)))
        return text + b"\n"

    def typed(self) -> None:
        """A key was pressed that throws typed lines away and ends in a prompt (Ctrl-C)."""
        self.unsettled = None
        if self._owed:
            self._owed = [_Owed(1, sum(owed.submissions for owed in self._owed))]
        self._pieces = 0

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events in `data`, which may end anywhere, also within a mark."""
        if self._held:
            data = self._held + data
            self._held = b""
        start = 0
        for match in _MARK.finditer(data) if b"\x1b" in data else ():
            if match[1] != self._nonce:
                continue
            if match.start() > start:
                yield from self._told(self._text(data[start : match.start()]))
            start = match.end()
            yield from self._told(self._marked(match))
        rest = data[start:] if start else data
        held = _unfinished(rest)
        if held:
            self._held = rest[-held:]
            rest = rest[:-held]
        if rest:
            yield from self._told(self._text(rest))

    def flush(self) -> bytes:
        """What was held back as the possible beginning of a mark."""
        held, self._held = self._held, b""
        return held

    def settle(self) -> Prompt | None:
        """It stayed quiet after a prompt that was not final: a program had read the lines."""
        prompt, self.unsettled = self.unsettled, None
        return prompt and self._end(prompt.status)

    def give_up(self) -> Prompt | None:
        """It stayed quiet in a shell whose prompt is no mark: that counts as the end."""
        return self._end(None) if self.state == BUSY else None

    def _text(self, data: bytes) -> Text | None:
        if self.noise and self.noise in data:
            self._noisy = True
            data = data.replace(self.noise, b"")
        # More than what a terminal and a line editor may send by themselves.
        if self._passed and _CONTROL.sub(b"", data).strip():
            self._go_on()
        return Text(data) if data else None

    def _marked(self, match: re.Match[bytes]) -> Event | None:
        _, kind, status, directory, *greeting = match.groups()
        if kind is None:
            if greeting[0] is None:  # a command begins
                self._go_on()
                return None
            return Greeting(*(field.decode("utf-8", "replace") for field in greeting))
        if status == b"$?":
            self._literal = self._literal or self.state == STARTING
            if not self._literal:
                return self._text(match[0])
        if self._noisy:
            self._noisy = False
            return None
        self._take_line()
        if self._pieces:
            self._pieces -= 1
            return None
        self._go_on()
        if kind == b"C":
            return Continuation(not self._owes)
        return self._prompted(int(status) if status.isdigit() else None, directory)

    def _go_on(self) -> None:
        """The shell goes on: its last prompt was the end of what was before."""
        self.unsettled = None
        if self._passed and self._passed.ended:
            self._went_on = WentOn(self._passed)
        self._passed = None

    def _told(self, event: Event | None) -> Iterator[Event]:
        """An event, if it is one, and first that the shell went on, if that is what it shows."""
        went_on, self._went_on = self._went_on, None
        if went_on:
            yield went_on
        if event:
            yield event

    def _take_line(self) -> None:
        for owed in self._owed:
            if owed.lines:
                owed.lines -= 1
                return

    @property
    def _owes(self) -> bool:
        """Whether more prompts may come for what was sent."""
        return bool(self._owed) and self._owed[-1].lines > 0

    def _prompted(self, status: int | None, directory: bytes | None) -> Prompt:
        if directory and not self._literal:
            self.directory = directory.replace(b"\r\n", b"\n")  # the terminal's doing
        if self.state != BUSY or not self._owes:
            return self._end(status)
        prompt = Prompt(status, self.directory, False)
        ended = 0
        while not self._owed[0].lines:
            ended += self._owed.pop(0).submissions
        self.unsettled = prompt
        self._passed = prompt._replace(ended=ended)
        return prompt

    def _end(self, status: int | None) -> Prompt:
        """Nothing is on its way any more."""
        ended = self._passed.ended if self._passed else 0
        for owed in self._owed:
            ended += owed.submissions
        self._owed = []
        self.unsettled = self._passed = None
        self.state = READY
        return Prompt(status, self.directory, True, ended)


def _unfinished(data: bytes) -> int:
    """How many bytes at the end of `data` may be the beginning of a mark."""
    at = data.rfind(_INTRODUCER, -_LONGEST)
    if at >= 0 and b"\x07" not in data[at:]:
        return len(data) - at
    at = data.rfind(b"\x1b", -len(_INTRODUCER) + 1)
    return len(data) - at if at >= 0 and _INTRODUCER.startswith(data[at:]) else 0
