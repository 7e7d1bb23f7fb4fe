"""What the nodes print while somebody types: taken in between key presses, written above it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time

from prompt_toolkit import PromptSession
from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.input.vt100 import Vt100Input

from dust.context import Context

#: Seconds between two writes above the prompt, so that a flood costs few repaints.
PACE = 0.03
#: Most output that waits to be written above the prompt; beyond, the nodes wait. So much is
#: written at once.
WAITING, PIECE = 1 << 20, 1 << 16


class Keyboard(Vt100Input):
    """The keyboard, which stays the prompt's while output is written above it.

    By itself prompt_toolkit gives the terminal its own echo and Ctrl-C back meanwhile, which under
    steady output is nearly always.
    """

    def cooked_mode(self) -> contextlib.AbstractContextManager[None]:
        """The terminal's mode for what is written above: as it is."""
        return contextlib.nullcontext()


class Above:
    """Has the sessions go on and their output written, from `begin` to `end`.

    What is typed at the prompt is `session`'s.
    """

    def __init__(self, context: Context, session: PromptSession[str]) -> None:
        self._context = context
        self._session = session
        self._pending: list[bytes] = []
        self._size = 0
        self._dropping = False  # what waits to be written shall not be
        self._writing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._reading = False

    def begin(self) -> None:
        """The prompt is about to be shown: have output go above it."""
        self._context.printer.flush()
        self._context.printer.above = self._take
        self._resume()

    async def end(self) -> bool:
        """The prompt is gone: write all that waits; returns whether it was given up."""
        self._pause()
        if self._writing:
            await self._writing
        self._context.printer.above = None
        self._write(float("inf"))
        cut, self._dropping = self._dropping, False
        return cut

    def give_up(self) -> None:
        """Write no more of what waits. May be called by a signal's handler."""
        self._dropping = bool(self._pending)

    def drop(self) -> bool:
        """Forget what waits, if that is more than a moment's; returns whether that is so."""
        if self._size <= PIECE:
            return False
        self._pending, self._size = [], 0
        return True

    # --- taken in

    def _resume(self) -> None:
        """Take in what the sessions say, between key presses."""
        if self._context.has_sessions and not self._reading:
            self._reading = True
            loop = asyncio.get_event_loop()
            loop.add_reader(self._context.sessions.fileno(), self._pump)
            self._pump()

    def _pause(self) -> None:
        if self._reading:
            self._reading = False
            asyncio.get_event_loop().remove_reader(self._context.sessions.fileno())
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _pump(self) -> None:
        sessions = self._context.sessions
        sessions.pump(0)
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if sessions.deadline is not None and self._reading:
            loop = asyncio.get_event_loop()
            self._timer = loop.call_later(
                max(0.0, sessions.deadline - time.monotonic()), self._pump
            )

    # --- written

    def _take(self, data: bytes) -> None:
        self._pending.append(data)
        self._size += len(data)
        if self._size > WAITING:
            self._pause()
        if self._writing is None:
            self._writing = asyncio.get_event_loop().create_task(self._write_on())

    async def _write_on(self) -> None:
        try:
            while self._pending:
                begun = time.monotonic()
                await run_in_terminal(self._write)
                spent = time.monotonic() - begun
                if self._session.app.is_running:
                    if not self._pending:  # or what waits would grow with every turn
                        self._resume()
                    typing = bool(self._session.default_buffer.text)  # it wants to be seen
                    await asyncio.sleep(PACE if not self._pending else spent if typing else 0)
        finally:
            self._writing = None

    def _write(self, seconds: float = PACE) -> None:
        """Write what waits, for about so long: then the keyboard is heard again."""
        until = time.monotonic() + seconds
        data = b"".join(self._pending)
        at, fd = 0, sys.stdout.fileno()
        while at < len(data) and time.monotonic() < until and not self._dropping:
            end = data.rfind(b"\n", at, at + PIECE) + 1 or at + PIECE
            while at < min(end, len(data)):
                at += os.write(fd, data[at:end])
        if self._dropping:
            at = len(data)
        self._pending = [data[at:]] if at < len(data) else []
        self._size = len(data) - at
