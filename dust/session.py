"""One live shell on one node: its lines, its prompt, its modes.

What the coordinator asks goes in as calls, what becomes of it leaves as messages. What the
terminal prints goes through the framing (where is the prompt?); the text in it is the program's,
or in raw mode for the terminal that is attached.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial

from dust import messages, reasons, shells
from dust.attachment import Attachment
from dust.framing import (
    BUSY,
    READY,
    STARTING,
    Continuation,
    Framing,
    Greeting,
    Prompt,
    Text,
    WentOn,
)
from dust.login import SETTLE, Login
from dust.plain import printable
from dust.program import Program
from dust.switch import Switch
from dust.terminal import QUEUE, Detach, Gone, Terminal
from dust.vigil import Vigil

#: Seconds of quiet after which an unfinished line is shown, a shell without marks counts as done.
PARTIAL, UNMARKED = 0.2, 1.0
#: Seconds that a full-screen program gets to notice another size, so that it draws itself again.
REDRAW = 0.05


class Session:
    """A session on a terminal. `emit` takes its messages."""

    def __init__(self, opening: messages.Open, emit: Callable[[messages.Message], None]) -> None:
        self.terminal = Terminal(opening.argv, opening.rows, opening.columns)
        self.over = False
        #: Whether its ssh goes on after that, for others who go through its connection.
        self.serves = False
        self._emit = emit
        self._framing = Framing(opening.nonce)
        self._login = Login(opening, self.terminal, self._framing, emit)
        self._program = Program(self._say)
        self._attachment: Attachment | None = None  # since raw mode was first entered
        self._unfinished = False
        self._taken = 0  # lines that the coordinator does not know to be typed
        self._switch = Switch(self._framing, self.terminal.write)
        self._vigil = Vigil(self.terminal)
        # When things are due, in monotonic seconds.
        self._partial_at: float | None = None
        self._settle_at: float | None = None

    # --- what the user sends

    def submit(self, text: bytes) -> None:
        """Send one line (which may span several): a command if ready, input if not."""
        if self._switch.under_way or self._switch.needed:
            self._switch.held.append(text)
            return
        if why := self._unsendable(text):
            self._say(messages.Refused(why))
            return
        if self._framing.state == READY:
            self._program.begin(text if self._login.marked else b"")
        else:
            self._program.typed()
        self._unfinished = False
        self._settle_at = None if self._login.marked else time.monotonic() + UNMARKED
        self._taken += 1
        self._vigil.begin()
        self.terminal.write(self._framing.submit(text))

    def _unsendable(self, text: bytes) -> str:
        limit = shells.longest(self._login.system)
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
            if self._login.marked and self._framing.state == READY:
                return
            self.terminal.drop()
            self._framing.typed()
            if self._unfinished and self._login.kind == "zsh":
                data += b"\n"  # without its editor it notices at the end of a line only
        self._program.typed()
        self._vigil.begin()
        self.terminal.write(data)

    def answer(self, text: bytes) -> None:
        """Answer the question that ssh asked."""
        self._login.answered(text)

    # --- what the session says

    def _say(self, message: messages.Message) -> None:
        """Say which lines were typed, and this: that alone would be worth no wake-up."""
        while self._taken:
            self._taken -= 1
            self._emit(messages.TAKEN)
        self._emit(message)

    def read(self) -> None:
        """Take in what the terminal has printed."""
        try:
            data = self.terminal.read()
        except EOFError:
            self._end_of_terminal()
            return
        for event in self._framing.feed(data):
            if isinstance(event, Text):
                self._text(event.data)
            else:
                self._mark(event)
        starting = self._framing.state == STARTING
        held = self._login.line if starting else self._program.pending
        self._partial_at = time.monotonic() + PARTIAL if held else None

    def _text(self, data: bytes) -> None:
        if not self._login.over:
            self._login.heard(data)
        elif not self._switch.under_way and not (self._attachment and self._attachment.hidden):
            if self._settle_at is not None or not self._login.marked:
                self._put_off()
            self._program.printed(data)

    def _put_off(self) -> None:
        """Something is printed: it is not quiet yet, or the shell has gone on."""
        if not self._login.marked:
            self._settle_at = time.monotonic() + UNMARKED
        elif self._framing.unsettled is None:
            self._settle_at = None

    def _release(self) -> None:
        """What looked like ssh's last words was the program's after all."""
        self._put_off()
        self._program.printed(b"", goes_on=True)

    def _mark(self, event: Greeting | Prompt | WentOn | Continuation) -> None:
        if self._program.goodbye:
            self._release()
        if isinstance(event, Greeting):
            self._login.greeted(event)
            return
        self._login.marked = True  # it may have been late
        if isinstance(event, WentOn):
            self._program.done(event.prompt)
        elif isinstance(event, Continuation):
            if event.final and not self._switch.under_way:
                self._unfinished = True
                self._say(messages.State("unfinished"))
        elif not self._login.over:
            self._login.prompted(event)
        elif self._switch.under_way:
            self._switched()
        elif event.final:
            self._end(event)
        else:
            self._settle_at = time.monotonic() + SETTLE

    def _end(self, prompt: Prompt) -> None:
        self._settle_at = None
        self._vigil.end()
        self._unfinished = False
        if self._attachment:
            self._attachment.ended()
        self._program.done(prompt)
        echoes = self._program.end()
        self._switch.typed = False
        if echoes or self._switch.needed:
            self._switch.ended(shells.ANEW if echoes else b"")

    # --- time

    @property
    def deadline(self) -> float | None:
        """When `tick` is due (monotonic seconds), or None."""
        times = (self._login.deadline, self._partial_at, self._settle_at, self._vigil.due)
        return min((at for at in times if at is not None), default=None)

    def tick(self) -> None:
        """Do what is due."""
        now = time.monotonic()
        if self._partial_at is not None and now >= self._partial_at:
            self._partial_at = None
            if not self.terminal.printed:  # or it is only that nobody has read it yet
                self._fell_silent()
        if self._settle_at is not None and now >= self._settle_at:
            self._settle_at = now + SETTLE if self.terminal.printed else None
            if self._settle_at is None:
                self._settle()
        if self._vigil.due is not None and now >= self._vigil.due and self._vigil.look():
            self._end_of_shell()
        if self._login.deadline is not None and now >= self._login.deadline:
            if why := self._login.tick():
                self.close()
                self._lose("timed out", why, -1)

    def _fell_silent(self) -> None:
        """It went quiet in the middle of a line."""
        if self._framing.state == STARTING:
            self._login.look_for_question()
            return
        if self._program.goodbye:
            self._release()
        self._program.fell_silent(self._framing.state == BUSY)

    def _settle(self) -> None:
        if prompt := self._framing.settle():
            self._end(prompt)
        elif not self._login.marked and (prompt := self._framing.give_up()):
            self._end(prompt)

    # --- modes

    def interact(
        self, tty: tuple[int, int], control: list[int], woken: Callable[[int], None]
    ) -> None:
        """Raw mode until the user leaves it or the session ends."""
        self._attachment = attachment = self._attachment or Attachment(self._say)
        if screen := attachment.attach(self._framing.state == BUSY):
            os.write(tty[1], screen)
            self._redraw()
        self._ask_mode(shells.TO_RAW)
        self._switch.typed = False
        try:
            self.terminal.interact(
                tty, control, self._raw_typed, partial(self._raw_shown, attachment), woken,
                lambda: self._vigil.due, self._raw_tick,
            )  # fmt: skip
        except Gone:
            self._end_of_shell()
        except (Detach, EOFError, OSError):
            self._leave_raw(attachment)
        else:
            self._end_of_terminal()

    def _redraw(self) -> None:
        """Give a program, by a change of size, a reason to fill its screen."""
        rows, columns = self.terminal.size
        self.terminal.resize(max(1, rows - 1), columns)
        time.sleep(REDRAW)
        self.terminal.resize(rows, columns)

    def _raw_typed(self, data: bytes) -> None:
        self._switch.typed = True
        if self._framing.state == READY and (b"\r" in data or b"\n" in data):
            self._framing.state = BUSY
            self._program.begin(b"")
        self._vigil.begin()

    def _raw_tick(self) -> None:
        if self._vigil.look():
            raise Gone

    def _raw_shown(self, attachment: Attachment, data: bytes) -> bytes:
        shown = bytearray()
        for event in self._framing.feed(data):
            if isinstance(event, Text):
                if not self._switch.under_way:
                    shown += event.data
            else:
                self._mark(event)
        attachment.shown(bytes(shown), self._framing.state == BUSY)
        return bytes(shown)

    def _leave_raw(self, attachment: Attachment) -> None:
        """Lines again: at once if the shell is at its prompt, else when its program is done."""
        attachment.detach(self._framing.state == BUSY)
        self._ask_mode(shells.TO_LINES)
        self._say(messages.Detached())
        if self._framing.state == BUSY and not self._switch.under_way:
            self._say(messages.State("busy"))

    def _ask_mode(self, line: bytes) -> None:
        if self._login.marked:
            self._switch.ask(line)

    def _switched(self) -> None:
        if not self._switch.prompted():
            return
        if self._attachment:
            self._attachment.ended()
        held, self._switch.held = self._switch.held, []
        if not held:
            self._say(messages.State("ready"))
        for text in held:
            self.submit(text)

    # --- the end

    def close(self) -> None:
        """End the session."""
        self.over = True
        self.terminal.close()

    def _end_of_terminal(self) -> None:
        self._program.flush()
        status = self.terminal.reap()
        begun = self._framing.state != STARTING
        if not begun:
            kind, text = reasons.reason(self._login.said)
        elif self.terminal.killed:
            kind, text = "dropped", f"its ssh was ended by signal {self.terminal.killed}"
        elif status == 255:
            kind, text = reasons.lost(self.terminal.last)
        else:
            kind, text = "ended", f"logged out (exit {status})"
        if not text and status == 255:
            kind, text = "dropped", "the connection was closed at login (ssh -v may say why)"
        self.close()
        self._lose(kind, printable(text) or f"no shell (exit {status})", status)

    def _end_of_shell(self) -> None:
        """Its ssh does not end, and has a status only then."""
        self._program.flush()
        self.serves = True
        self._lose("ended", "logged out", -1)

    def _lose(self, kind: str, text: str, status: int) -> None:
        self.over = True
        self._say(messages.Lost(kind, text, status))
