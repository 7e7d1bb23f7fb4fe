"""What ssh asks at connect time, put to the user once for all nodes that ask the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from dust import asking
from dust.coordinator import Coordinator
from dust.link import CONNECTING, Link
from dust.nodeset import fold


@dataclass
class Question:
    """One question and the sessions that wait for its answer."""

    text: str
    secret: bool
    links: list[Link] = field(default_factory=list)

    def __str__(self) -> str:
        names = fold(link.node.name for link in self.links)
        return f"{names}: {self.text}"


class Questions:
    """The open questions of the sessions that are connecting."""

    def __init__(self) -> None:
        self._open: dict[str, Question] = {}
        self._answers: dict[str, tuple[str | None, set[Link]]] = {}

    def __bool__(self) -> bool:
        return bool(self._open)

    @property
    def answered(self) -> bool:
        """Whether there are answers to be forgotten."""
        return bool(self._answers)

    def add(self, link: Link, text: str, secret: bool, sessions: Coordinator) -> None:
        """A session asks. What was answered before is answered again, unless to that session."""
        key = asking.same(text)
        if key in self._answers:
            answer, given = self._answers[key]
            if link not in given:
                given.add(link)
                sessions.answer(link, answer)
                return
            del self._answers[key]  # it was wrong
        self._open.setdefault(key, Question(text, secret)).links.append(link)

    def put(self, ask: Callable[[Question], str | None], sessions: Coordinator) -> None:
        """Ask all open questions; None for an answer gives up the sessions that wait for it."""
        while self._open:
            key, question = next(iter(self._open.items()))
            answer = ask(question)
            del self._open[key]
            waiting = [link for link in question.links if link.state == CONNECTING]
            self._answers[key] = (answer, set(waiting))
            for link in waiting:
                sessions.answer(link, answer)

    def forget(self) -> None:
        """Every session is through: keep no answer."""
        self._answers.clear()
