"""The beginning of a session: from ssh's first words to the shell's first prompt.

What ssh asks goes out as questions, what a bootstrapped shell says makes the line that is typed
to turn its prompts into marks.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from dust import messages, reasons, shells
from dust.framing import READY, Framing, Greeting, Prompt
from dust.plain import printable
from dust.terminal import Terminal

#: Seconds of quiet after which a prompt counts as the last of those that were asked for; seconds
#: after which the line that sets the prompt is typed again.
SETTLE, INIT = 0.15, 3.0
#: How much is kept of what came before the first prompt, in bytes.
SAID = 4096


class Login:
    """What a session does until it is `over`. `emit` takes its messages."""

    def __init__(
        self,
        opening: messages.Open,
        terminal: Terminal,
        framing: Framing,
        emit: Callable[[messages.Message], None],
    ) -> None:
        self.over = False
        #: Whether the shell's prompts are marks.
        self.marked = True
        #: Once the shell has begun: its kind, and the node's system where that is Linux.
        self.kind = self.system = ""
        #: When `tick` is due, in monotonic seconds, or None.
        self.deadline: float | None = time.monotonic() + opening.timeout
        self._opening = opening
        self._terminal = terminal
        self._framing = framing
        self._emit = emit
        self._said = b""
        self._asked = False
        self._inits = 0
        self._first: Prompt | None = None  # while another may follow

    # --- what comes

    def heard(self, data: bytes) -> None:
        """Text that no line of the user's brought about."""
        if self._first:
            self.deadline = time.monotonic() + SETTLE
        else:
            self._said = (self._said + data)[-SAID:]

    def greeted(self, greeting: Greeting) -> None:
        """The shell begins: type what makes its prompt a mark."""
        self._said = b""
        self.kind = shells.kind(greeting.shell)
        self._framing.piece = shells.piece(self.kind)
        self._framing.noise = shells.NOISE.get(self.kind, b"")
        self.system = greeting.system
        if greeting.login != greeting.shell:
            login, shell = printable(greeting.login), printable(greeting.shell)
            self._emit(messages.Note(f"{login} cannot be driven line by line: {shell} instead"))
        if self.kind:
            self._initialise()
        else:
            self._unmarked(printable(greeting.shell))

    def prompted(self, prompt: Prompt) -> None:
        """The first prompt, or the second where the line that makes it was typed twice."""
        if self._inits > 1 and not self._first:
            self._first = prompt
            self.deadline = time.monotonic() + SETTLE
            return
        self._end(prompt.directory)

    def answered(self, text: bytes) -> None:
        """Answer the question that ssh asked."""
        self._asked = False
        self._said = b""
        self.deadline = time.monotonic() + self._opening.timeout
        self._terminal.write(text + b"\n")

    # --- what was said before

    @property
    def said(self) -> str:
        """All that ssh and the node said so far."""
        return self._said.decode("utf-8", "replace")

    @property
    def line(self) -> str:
        """The line without an end that stands before the greeting, if one does."""
        line = self._said.replace(b"\r", b"\n").rpartition(b"\n")[2]
        return printable(line.decode("utf-8", "replace")).strip()

    def look_for_question(self) -> None:
        """Such a line asks when nothing follows and echo is off, or it reads like a question."""
        text = self.line
        secret = not self._terminal.echo
        if self._asked or self.kind or not (secret or text.endswith((":", "?"))):
            return
        if not secret:  # a host key's fingerprint stands in the lines before
            text = "\n".join(printable(line) for line in reasons.lines(self.said))
        self._asked = True
        self.deadline = None
        self._emit(messages.Question(text, secret))

    # --- time

    def tick(self) -> str:
        """Do what is due; why the session is given up, or ""."""
        self.deadline = None
        if self._first:
            self._end(self._first.directory)
        elif self._inits == 1:  # a start-up file may have read the first
            self._initialise()
        elif self._inits:
            self._unmarked(self.kind)
        else:
            said = self.said.strip().rpartition("\n")[2]
            hint = f" (it said: {printable(said.strip())})" if said else ""
            return f"no shell within {self._opening.timeout:g} s{hint}"
        return ""

    def _initialise(self) -> None:
        self._inits += 1
        self.deadline = time.monotonic() + INIT
        directory = self._opening.directory.encode("latin-1")
        line = shells.init(self.kind, self._opening.nonce, directory)
        self._terminal.write(line + b"\n")

    def _unmarked(self, shell: str) -> None:
        """The prompt cannot be a mark: a line's end is then a second of quiet."""
        self.marked = False
        self._framing.state = READY
        self._emit(messages.Note(f"{shell}: its prompt cannot be marked, so no exit status"))
        self._end(b"")

    def _end(self, directory: bytes) -> None:
        self.over = True
        self.deadline = self._first = None
        self._said = b""
        self._emit(messages.Opened(directory))
