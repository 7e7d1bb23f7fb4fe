"""Work that waits for a network, done in a thread while the coordinator's loop goes on."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Aside(Generic[T]):
    """One piece of work, begun at once. Nobody has to wait for it: it never keeps dust from ending.

    `pipe` can be read when it is done.
    """

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._results: list[T] = []
        self._error: BaseException | None = None
        self.pipe, self._end = socket.socketpair()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        """Whether `result` is there."""
        return bool(self._results) or self._error is not None

    def result(self) -> T:
        """What the work returned, or raise what it raised; only once it is done."""
        if self._error is not None:
            raise self._error
        return self._results[0]

    def _run(self) -> None:
        try:
            self._results.append(self._work())
        except BaseException as error:  # it is raised where the result is asked for
            self._error = error
        finally:
            self._end.close()
