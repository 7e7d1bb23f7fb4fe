"""What flows through the pipes of a run's ssh calls: input to all, output from each."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from selectors import EVENT_READ, BaseSelector, SelectorKey

from dust.feed import Feed, Feeding, Reader
from dust.guard import Guard
from dust.run import Result
from dust.shot import Shot


class Flow:
    """The pipes, as the loop over a selector has them.

    `feed` is the input, if they have one; `output` takes what a node printed, and whether that was
    on its standard error.
    """

    def __init__(
        self,
        selector: BaseSelector,
        feed: Feed | None,
        output: Callable[[Result, bytes, bool], None],
    ) -> None:
        self._selector = selector
        self._feeding = Feeding(feed, selector) if feed else None
        self._output = output

    def begin(self, shot: Shot, guard: Guard, environment: Mapping[str, str], null: int) -> None:
        """Start a shot, whose input is `null` where there is none. Raises OSError."""
        theirs, ours = os.pipe() if self._feeding else (null, -1)
        try:
            shot.start(guard, environment, theirs)
        finally:
            if self._feeding:
                os.close(theirs)
        shot.reader = self._feeding.add(ours) if self._feeding else None
        for fd in shot.outputs:
            self._selector.register(fd, EVENT_READ, shot)

    def watch(self) -> None:
        """Have the selector look for more input, if that is due: before each wait."""
        if self._feeding:
            self._feeding.watch()

    def serve(self, key: SelectorKey) -> None:
        """Pass on what can be at one of the selector's descriptors that are not the loop's own."""
        if isinstance(key.data, Feeding):
            key.data.take()
        elif self._feeding and isinstance(key.data, Reader):
            self._feeding.give(key.data)
        elif key.fd in key.data.outputs:
            self._read(key.data, key.fd)

    def drain(self, shot: Shot) -> None:
        """Pass on all that a shot whose ssh has ended had to say, and close its pipes.

        Their end may not be there: a connection that is kept for the next call may hold them.
        """
        for fd in list(shot.outputs):
            while self._read(shot, fd):
                pass
        self._close(shot)

    def hang_up(self, shot: Shot) -> None:
        """Pass on what is in the pipes of a shot by now, and close them."""
        for fd in list(shot.outputs):
            self._read(shot, fd)
        self._close(shot)

    def _read(self, shot: Shot, fd: int) -> bool:
        """Pass on what there is; whether there may be more."""
        data = shot.read(fd)
        if data:
            self._output(shot.result, data, shot.outputs[fd])
        elif data is not None:
            self._close_output(shot, fd)
        return bool(data)

    def _close_output(self, shot: Shot, fd: int) -> None:
        self._selector.unregister(fd)
        del shot.outputs[fd]
        os.close(fd)

    def _close(self, shot: Shot) -> None:
        if self._feeding and shot.reader:
            self._feeding.close(shot.reader)
        for fd in list(shot.outputs):
            self._close_output(shot, fd)
