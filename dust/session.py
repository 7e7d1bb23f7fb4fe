"""One live shell on one node: its login, its prompt, its modes.

What the coordinator asks goes in as calls, what becomes of it leaves as messages. What the
terminal prints goes through the framing (where is the prompt?) and the screen (what may a
terminal see?).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from dust import messages, reasons, shells
from dust.echo import Echo
from dust.framing import BUSY, READY, STARTING, Continuation, Framing, Greeting, Prompt, Text
from dust.modes import Modes
from dust.screen import Screen, printable
from dust.terminal import QUEUE, Detach, Terminal

#: Seconds of quiet after which an unfinished line is shown, a line typed ahead counts as read by
#: the program, the line that sets the prompt is typed again, a shell without marks counts as done.
PARTIAL, SETTLE, INIT, UNMARKED = 0.2, 0.15, 3.0, 1.0
#: How much is kept of what came before the first prompt, in bytes.
SAID = 4096
#: Seconds that a full-screen program gets to notice another size, so that it draws itself again.
REDRAW = 0.05


class Session:
    """A session on a terminal. `emit` takes its messages."""

    def __init__(self, opening: messages.Open, emit: Callable[[messages.Message], None]) -> None:
        self.terminal = Terminal(opening.argv, opening.rows, opening.columns)
        self.over = False
        self._emit = emit
        self._opening = opening
        self._framing = Framing(opening.nonce)
        self._screen = Screen()
        self._kind = self._system = ""
        self._said = self._last = b""
        self._goodbye = b""  # what may be ssh's own last words
        self._asked = self._waiting = self._unfinished = False
        self._inits = 0
        self._first: Prompt | None = None
        self._marked = True
        self._begun = 0.0
        # Modes: what is typed at the next prompt to switch; whether a switch is under way, whose
        # echo nobody wants to see; what was submitted meanwhile.
        self._switch = b""
        self._switching = False
        self._held: list[bytes] = []
        self._typed = self._hidden = False
        self._modes = Modes()
        self._echo: Echo | None = None
        # When things are due, in monotonic seconds.
        self._login_at: float | None = time.monotonic() + opening.timeout
        self._partial_at: float | None = None
        self._settle_at: float | None = None

    # --- what the user sends

    def submit(self, text: bytes) -> None:
        """Send one line (which may span several): a command if ready, input if not."""
        if self._switching or self._switch:
            self._held.append(text)
            return
        if why := self._unsendable(text):
            self._emit(messages.Refused(why))
            return
        if self._framing.state == READY:
            self._begun = time.monotonic()
            self._echo = Echo(text) if self._marked else None
        self._unfinished = False
        self._set_waiting(False)
        self._settle_at = None if self._marked else time.monotonic() + UNMARKED
        self.terminal.write(self._framing.submit(text))

    def _unsendable(self, text: bytes) -> str:
        limit = shells.longest(self._system)
        longest = max(map(len, text.split(b"\n")))
        if longest > limit:
            return f"a line of {longest:,} bytes is longer than a terminal there takes ({limit:,})"
        if self.terminal.queued + len(text) > QUEUE:
            return "the program there does not read its input"
        return ""

    def keys(self, data: bytes) -> None:
        """Type control characters; Ctrl-C also throws away what was typed and not read.

        At a prompt there is nothing to interrupt: a Ctrl-C would only bring another prompt, to be
        taken for the end of the next line.
        """
        if b"\x03" in data:
            if self._marked and self._framing.state == READY:
                return
            self.terminal.drop()
            self._framing.typed()
            if self._unfinished and self._kind == "zsh":
                data += b"\n"  # without its editor it notices at the end of a line only
        self._set_waiting(False)
        self.terminal.write(data)

    def answer(self, text: bytes) -> None:
        """Answer the question that ssh asked."""
        self._asked = False
        self._said = b""
        self._login_at = time.monotonic() + self._opening.timeout
        self.terminal.write(text + b"\n")

    # --- what the session says

    def read(self) -> None:
        """Take in what the terminal has printed."""
        try:
            data = self.terminal.read()
        except EOFError:
            self._end_of_terminal()
            return
        self._last = (
            (self._last + data)[-reasons.LAST :]
            if len(data) < reasons.LAST
            else data[-reasons.LAST :]
        )
        for event in self._framing.feed(data):
            if isinstance(event, Text):
                self._text(event.data)
            else:
                self._mark(event)
        starting = self._framing.state == STARTING
        held = self._line() if starting else self._screen.pending or self._goodbye
        self._partial_at = time.monotonic() + PARTIAL if held else None

    def _text(self, data: bytes) -> None:
        if self._framing.state == STARTING:
            self._said = (self._said + data)[-SAID:]
        elif self._first:
            self._settle_at = time.monotonic() + SETTLE
        elif not self._switching and not self._hidden:
            data = self._goodbye + data
            self._goodbye = reasons.last_words(data)
            self._output(data[: len(data) - len(self._goodbye)])

    def _output(self, data: bytes) -> None:
        if not self._marked:
            self._settle_at = time.monotonic() + UNMARKED
        elif self._framing.unsettled is None:
            self._settle_at = None
        self._set_waiting(False)
        if self._echo:
            self._echo.feed(data)
        if shown := self._screen.feed(data):
            self._emit(messages.Output(shown))

    def _say_goodbye(self) -> None:
        """It was a program's after all."""
        goodbye, self._goodbye = self._goodbye, b""
        if goodbye:
            self._output(goodbye)

    def _mark(self, event: Greeting | Prompt | Continuation) -> None:
        self._say_goodbye()
        if isinstance(event, Greeting):
            self._greet(event)
            return
        self._marked = True  # it may have been late
        if isinstance(event, Continuation):
            if event.final and not self._switching:
                self._unfinished = True
                self._emit(messages.State("unfinished"))
        elif self._login_at is not None or self._first:
            self._prompted(event)
        elif self._switching:
            self._switched()
        elif event.final:
            self._end(event)
        else:
            self._settle_at = time.monotonic() + SETTLE

    def _prompted(self, prompt: Prompt) -> None:
        """The first prompt, or the second where the line that makes it was typed twice."""
        self._login_at = None
        if self._inits > 1 and not self._first:
            self._first = prompt
            self._settle_at = time.monotonic() + SETTLE
            return
        self._first = self._settle_at = None
        self._said = b""
        self._emit(messages.Opened(prompt.directory))

    def _end(self, prompt: Prompt) -> None:
        self._settle_at = None
        self._waiting = self._unfinished = self._hidden = self._typed = False
        self._modes.clear()
        if rest := self._screen.flush():
            self._emit(messages.Output(rest))
        status = -1 if prompt.status is None else prompt.status
        self._emit(messages.Ended(status, time.monotonic() - self._begun, prompt.directory))
        if self._echo and self._echo.heard and not self._switch:
            self._switch = shells.ANEW  # `reset` or the like: its terminal echoes again
        self._echo = None
        if self._switch:
            self._change_mode()

    def _set_waiting(self, waiting: bool) -> None:
        if waiting != self._waiting:
            self._waiting = waiting
            self._emit(messages.State("waiting" if waiting else "busy"))

    # --- login

    def _line(self) -> str:
        """The line without an end that stands before the greeting, if one does."""
        line = self._said.replace(b"\r", b"\n").rpartition(b"\n")[2]
        return printable(line.decode("utf-8", "replace")).strip()

    def _look_for_question(self) -> None:
        """Such a line asks when nothing follows and echo is off, or it reads like a question."""
        text = self._line()
        secret = not self.terminal.echo
        if self._asked or self._kind or not (secret or text.endswith((":", "?"))):
            return
        if not secret:  # a host key's fingerprint stands in the lines before
            said = self._said.decode("utf-8", "replace")
            text = "\n".join(printable(line) for line in reasons.lines(said))
        self._asked = True
        self._login_at = None
        self._emit(messages.Question(text, secret))

    def _greet(self, greeting: Greeting) -> None:
        self._said = b""
        self._kind = shells.kind(greeting.shell)
        self._framing.piece = shells.piece(self._kind)
        self._framing.noise = shells.NOISE.get(self._kind, b"")
        self._system = greeting.system
        if greeting.login != greeting.shell:
            login, shell = printable(greeting.login), printable(greeting.shell)
            self._emit(messages.Note(f"{login} cannot be driven line by line: {shell} instead"))
        if self._kind:
            self._initialise()
        else:
            self._unmarked(printable(greeting.shell))

    def _initialise(self) -> None:
        self._inits += 1
        self._login_at = time.monotonic() + INIT
        directory = self._opening.directory.encode("latin-1")
        line = shells.init(self._kind, self._opening.nonce, directory)
        self.terminal.write(line + b"\n")

    def _unmarked(self, shell: str) -> None:
        """The prompt cannot be a mark: a line's end is then a second of quiet."""
        self._marked = False
        self._login_at = None
        self._framing.state = READY
        self._emit(messages.Note(f"{shell}: its prompt cannot be marked, so no exit status"))
        self._emit(messages.Opened(b""))

    # --- time

    @property
    def deadline(self) -> float | None:
        """When `tick` is due (monotonic seconds), or None."""
        due = [t for t in (self._login_at, self._partial_at, self._settle_at) if t is not None]
        return min(due) if due else None

    def tick(self) -> None:
        """Do what is due."""
        now = time.monotonic()
        if self._partial_at is not None and now >= self._partial_at:
            self._partial_at = None
            if self._framing.state == STARTING:
                self._look_for_question()
            else:
                self._say_goodbye()
                self._show_partial()
        if self._settle_at is not None and now >= self._settle_at:
            self._settle_at = None
            self._settle()
        if self._login_at is not None and now >= self._login_at:
            self._login_at = None
            self._overdue()

    def _show_partial(self) -> None:
        """It went quiet in the middle of a line: a question, or a bar that is being redrawn."""
        asks = self._screen.looks_like_prompt()
        if self._screen.overwriting and not asks:
            return
        if shown := self._screen.flush():
            self._emit(messages.Output(shown))
        if asks and self._framing.state == BUSY:
            self._set_waiting(True)

    def _settle(self) -> None:
        if self._first:
            self._prompted(self._first)
        elif prompt := self._framing.settle():
            self._end(prompt)
        elif not self._marked and self._framing.state == BUSY:
            self._framing.state = READY
            self._end(Prompt(None, b"", True))

    def _overdue(self) -> None:
        if self._inits == 1:  # a start-up file may have read the first
            self._initialise()
        elif self._inits:
            self._unmarked(self._kind)
        else:
            said = self._said.decode("utf-8", "replace").strip().rpartition("\n")[2]
            hint = f" (it said: {printable(said.strip())})" if said else ""
            self.close()
            self._lose("timed out", f"no shell within {self._opening.timeout:g} s{hint}", -1)

    # --- modes

    def interact(
        self, tty: tuple[int, int], control: list[int], woken: Callable[[int], None]
    ) -> None:
        """Raw mode until the user leaves it or the session ends."""
        if self._framing.state == BUSY and self._modes.full_screen:
            self._redraw(tty[1])
        self._ask_mode(shells.TO_RAW)
        self._typed = self._hidden = False
        try:
            self.terminal.interact(tty, control, self._raw_typed, self._raw_shown, woken)
        except (Detach, EOFError, OSError):
            self._leave_raw()
        else:
            self._end_of_terminal()

    def _redraw(self, out: int) -> None:
        """Give a program its screen back, and by a change of size a reason to fill it."""
        os.write(out, self._modes.restored())
        rows, columns = self.terminal.size
        self.terminal.resize(max(1, rows - 1), columns)
        time.sleep(REDRAW)
        self.terminal.resize(rows, columns)

    def _raw_typed(self, data: bytes) -> None:
        self._typed = True
        if self._framing.state == READY and (b"\r" in data or b"\n" in data):
            self._framing.state = BUSY
            self._begun = time.monotonic()

    def _raw_shown(self, data: bytes) -> bytes:
        self._last = (self._last + data)[-reasons.LAST :]
        shown = bytearray()
        for event in self._framing.feed(data):
            if isinstance(event, Text):
                if not self._switching:
                    shown += event.data
            else:
                self._mark(event)
        self._modes.feed(bytes(shown))
        return bytes(shown)

    def _leave_raw(self) -> None:
        """Lines again: at once if the shell is at its prompt, else when its program is done."""
        self._hidden = self._modes.full_screen and self._framing.state == BUSY
        self._ask_mode(shells.TO_LINES)
        self._emit(messages.Detached())
        if self._framing.state == BUSY and not self._switching:
            self._emit(messages.State("busy"))

    def _ask_mode(self, switch: bytes) -> None:
        if not self._marked:
            return
        self._switch = switch
        if self._framing.state == READY and self._typed:
            # A half-typed command stands at the prompt: Ctrl-C gives a clean one.
            self._framing.submit(b"")
            self._switching = True
            self.terminal.write(b"\x03")
        elif self._framing.state == READY:
            self._change_mode()

    def _change_mode(self) -> None:
        line, self._switch = self._switch, b""
        self._switching = True
        self.terminal.write(self._framing.submit(line))

    def _switched(self) -> None:
        if self._switch:  # this prompt was Ctrl-C's
            self._change_mode()
            return
        self._switching = self._typed = False
        self._modes.clear()
        held, self._held = self._held, []
        if not held:
            self._emit(messages.State("ready"))
        for text in held:
            self.submit(text)

    # --- the end

    def close(self) -> None:
        """End the session."""
        self.over = True
        self.terminal.close()

    def _end_of_terminal(self) -> None:
        if rest := self._screen.flush():
            self._emit(messages.Output(rest))
        status = self.terminal.reap()
        begun = self._framing.state != STARTING
        if not begun:
            kind, text = reasons.reason(self._said.decode("utf-8", "replace"))
        elif status == 255:
            kind, text = reasons.lost(self._last)
        else:
            kind, text = "ended", f"logged out (exit {status})"
        if not text and status == 255:
            kind, text = "dropped", "the connection was closed at login (ssh -v may say why)"
        self.close()
        self._lose(kind, printable(text) or f"no shell (exit {status})", status)

    def _lose(self, kind: str, text: str, status: int) -> None:
        self.over = True
        self._emit(messages.Lost(kind, text, status))
