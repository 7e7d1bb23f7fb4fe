"""What runs in a session, by what it prints: how much of that to show, whether it waits. No I/O."""

from __future__ import annotations

import time
from collections.abc import Callable

from dust import messages, reasons
from dust.echo import Echo
from dust.framing import Prompt
from dust.screen import Screen


class Program:
    """The programs of one shell, one after the other. `say` takes messages about them."""

    def __init__(self, say: Callable[[messages.Message], None]) -> None:
        #: What may be ssh's own last words, held back.
        self.goodbye = b""
        self._say = say
        self._screen = Screen()
        self._waiting = False
        self._begun = 0.0
        self._echo: Echo | None = None

    @property
    def pending(self) -> bool:
        """Whether something is held back that silence would show."""
        return bool(self.goodbye) or self._screen.pending

    def begin(self, line: bytes) -> None:
        """This line runs it, and is listened for in case the terminal echoes it (b"": not)."""
        self._begun = time.monotonic()
        self._echo = Echo(line)

    def typed(self) -> None:
        """It is given what it may have waited for."""
        self._set_waiting(False)

    def printed(self, data: bytes, *, goes_on: bool = False) -> None:
        """Show the lines that are complete, and the `goodbye` only if ssh `goes_on`."""
        data = self.goodbye + data
        self.goodbye = b"" if goes_on else reasons.last_words(data)
        if self._waiting:
            self._set_waiting(False)
        data = data[: len(data) - len(self.goodbye)]
        if self._echo:
            self._echo.feed(data)
        if shown := self._screen.feed(data):
            self._say(messages.Output(shown))

    def fell_silent(self, running: bool) -> None:
        """It went quiet in the middle of a line: a question, or a bar that is being redrawn."""
        asks = self._screen.looks_like_prompt()
        if self._screen.overwriting and not asks:
            return
        self.flush()
        if asks and running:
            self._set_waiting(True)

    def flush(self) -> None:
        """Show the line that has no end."""
        if rest := self._screen.flush():
            self._say(messages.Output(rest))

    def done(self, prompt: Prompt) -> None:
        """What was submitted first is done, and perhaps all."""
        self.flush()
        status = -1 if prompt.status is None else prompt.status
        now = time.monotonic()
        self._say(messages.Ended(prompt.ended, status, now - self._begun, prompt.directory))
        self._begun = now

    def end(self) -> bool:
        """The shell is at its prompt; whether the terminal echoes since (`reset` was run)."""
        echo, self._echo = self._echo, None
        self._waiting = False
        return echo is not None and echo.heard

    def _set_waiting(self, waiting: bool) -> None:
        if waiting != self._waiting:
            self._waiting = waiting
            self._say(messages.State("waiting" if waiting else "busy"))
