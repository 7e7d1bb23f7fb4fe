"""What the end of an ssh means for a one-shot: its command's own, a failure, or another try."""

from __future__ import annotations

import heapq
import os
import time
from collections.abc import Callable

from dust.gates import words
from dust.limits import backoff
from dust.run import UNREACHABLE
from dust.shot import Shot
from dust.ssh import inquiry

#: How ssh says that it failed, or that the command's status was this.
SSH_FAILED = 255


class Verdicts:
    """Gives shots whose ssh has ended their results, at once or later.

    `inquire` runs an ssh call and returns its process id; it may raise OSError. `patience` is how
    many seconds a node that turns connections away is tried again, `retries` how often one that
    cannot be reached is. `kept` is the folder of the connections that are kept, if they are.
    """

    def __init__(
        self, inquire: Callable[[list[str]], int], patience: float, retries: int, kept: str
    ) -> None:
        self._inquire = inquire
        self._patience = patience
        self._retries = retries
        self._kept = kept
        self._later: list[tuple[float, int, Shot]] = []
        self._doubted: dict[int, Shot] = {}

    def over(self, shot: Shot, status: int) -> bool:
        """An ssh has ended; whether its shot is over, whose result then says how.

        If not, it will be `due` for another try, or an inquiry is made about it.
        """
        if status != SSH_FAILED:
            shot.result.end(status if status >= 0 else 128 - status, shot.seconds)
            return True
        from dust import reasons  # most runs need none

        said = words(shot.log)
        kind, sentence = reasons.reason(said)
        if sentence:
            unbegun = reasons.before_login(said) and not shot.spoke  # its command cannot have begun
            if unbegun and self._may_try(shot, reasons.overloaded(sentence)):
                self._try_later(shot)
                return False
        elif cut := reasons.last_words(shot.last):  # said among the output
            kind, sentence = reasons.lost(cut)
        if sentence:
            shot.result.fail(UNREACHABLE, sentence if kind == "ended" else f"{kind}: {sentence}")
        elif self._kept and self._doubt(shot):
            return False
        else:
            shot.result.end(SSH_FAILED, shot.seconds)
        return True

    # --- whose status it was

    def _doubt(self, shot: Shot) -> bool:
        """Find out whose status it is: of a shared connection that ends, ssh says nothing."""
        try:
            pid = self._inquire(inquiry(shot.argv))
        except OSError:
            return False
        self._doubted[pid] = shot
        return True

    def inquired(self, pid: int, status: int) -> Shot | None:
        """A process has ended: the shot that is over with it, if it was an inquiry."""
        shot = self._doubted.pop(pid, None)
        if shot is None:
            return None
        if status and f"Control socket connect({self._kept}/" in words(shot.log):
            shot.result.fail(UNREACHABLE, "dropped: the connection was lost")
        else:
            shot.result.end(SSH_FAILED, shot.seconds)
        return shot

    def undoubted(self) -> list[Shot]:
        """Wait for no inquiry any more: the shots that are over with that."""
        for shot in self._doubted.values():
            shot.result.end(SSH_FAILED, shot.seconds)
        return list(self._doubted.values())

    # --- other tries

    def _may_try(self, shot: Shot, overloaded: bool) -> bool:
        """Whether the node is tried once more, which has too many connections or none."""
        patient = time.monotonic() < shot.first + self._patience
        return (overloaded and patient) or shot.tries <= self._retries

    def _try_later(self, shot: Shot) -> None:
        os.unlink(shot.log)
        due = time.monotonic() + backoff(shot.tries)
        heapq.heappush(self._later, (due, shot.pid, shot))

    @property
    def deadline(self) -> float | None:
        """When the next is `due` (monotonic seconds), or None."""
        return self._later[0][0] if self._later else None

    def due(self) -> list[Shot]:
        """Those whose time for another try has come."""
        due: list[Shot] = []
        now = time.monotonic()
        while self._later and self._later[0][0] <= now:
            due.append(heapq.heappop(self._later)[2])
        return due

    def waiting(self) -> list[Shot]:
        """Those whose time has not come."""
        return [shot for _, _, shot in self._later]
