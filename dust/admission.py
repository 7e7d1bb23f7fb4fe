"""Which sessions connect next: so many at once, and again where a node was too busy. No I/O."""

from __future__ import annotations

import heapq
from collections import deque

from dust.limits import backoff
from dust.link import CONNECTING, Link


class Admission:
    """The sessions that are to be opened, those that are being opened, those to be tried again."""

    def __init__(self) -> None:
        self._wanted: deque[Link] = deque()
        self._connecting: set[Link] = set()
        self._later: list[tuple[float, int, Link]] = []

    def add(self, link: Link) -> None:
        """A session is to be opened."""
        self._wanted.append(link)

    def next(self, fanout: int) -> Link | None:
        """The next that may connect while fewer than `fanout` do; it does from now on."""
        while self._wanted and len(self._connecting) < fanout:
            link = self._wanted.popleft()
            if link.state == CONNECTING:
                self._connecting.add(link)
                return link
        return None

    def done(self, link: Link) -> None:
        """It is open, or lost, or waits for a person, who may take long: others may connect."""
        self._connecting.discard(link)

    def again(self, link: Link, now: float) -> None:
        """Try it once more after a pause, a longer one each time."""
        link.tries += 1
        heapq.heappush(self._later, (now + backoff(link.tries), id(link), link))

    @property
    def deadline(self) -> float | None:
        """When a pause ends, or None."""
        return self._later[0][0] if self._later else None

    def tick(self, now: float) -> None:
        """Let those whose pause is over queue up."""
        while self._later and self._later[0][0] <= now:
            _, _, link = heapq.heappop(self._later)
            if link.pipe is None:
                self._wanted.append(link)
