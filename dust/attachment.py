"""What a session's programs have set on the user's terminal in raw mode, and leave there. Pure."""

from __future__ import annotations

from collections.abc import Callable

from dust import messages
from dust.modes import Modes


class Attachment:
    """The user's terminal while it is attached to a session, and what is known of it afterwards.

    `say` takes messages. A `running` program has the terminal, else the shell's line editor.
    """

    def __init__(self, say: Callable[[messages.Message], None]) -> None:
        #: Whether a full-screen program goes on that was left.
        self.hidden = False
        self._say = say
        self._modes = Modes()  # of the terminal, or of a program that was left
        self._attached = False
        self._leaving = b""  # what the coordinator knows of leaving

    def attach(self, running: bool) -> bytes:
        """It begins; returns what gives a program its screen back, if one was left on it."""
        self._attached, self.hidden, self._leaving = True, False, b""
        if running and self._modes.full_screen:
            self._tell_leaving(running)
            return self._modes.restored()
        self._modes.clear()
        return b""

    def shown(self, data: bytes, running: bool) -> None:
        """The terminal shows this."""
        self._modes.feed(data)
        self._tell_leaving(running)

    def detach(self, running: bool) -> None:
        """The user has left."""
        self._attached = False
        self.hidden = running and self._modes.full_screen

    def ended(self) -> None:
        """The program is gone; a terminal on which it has set modes has them still."""
        self.hidden = False
        if not self._attached:
            self._modes.clear()

    def _tell_leaving(self, running: bool) -> None:
        """What the terminal needs when it is left: whoever kills us, the coordinator knows it."""
        leaving = self._modes.leaving(running)
        if leaving != self._leaving:
            self._leaving = leaving
            self._say(messages.Leaving(leaving))
