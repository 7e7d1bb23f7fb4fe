"""What ssh asks at connect time, put to the user once for all nodes that ask the same."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from dust import asking
from dust.nodeset import fold


@dataclass(frozen=True)
class Waiting:
    """An ssh that waits for an answer; `asker` is the same when it asks again.

    `answer` takes it, None if there is none; `still` says whether one is waited for.
    """

    asker: Hashable
    name: str = field(compare=False)
    answer: Callable[[str | None], None] = field(compare=False)
    still: Callable[[], bool] = field(compare=False, default=lambda: True)


@dataclass
class Question:
    """One question and those that wait for its answer."""

    text: str
    secret: bool
    waiting: list[Waiting] = field(default_factory=list)

    def __str__(self) -> str:
        names = fold(waiting.name for waiting in self.waiting)
        return f"{names}: {self.text}"


class Questions:
    """The open questions, and the answers that more may ask for."""

    def __init__(self) -> None:
        self._open: dict[str, Question] = {}
        self._answers: dict[str, tuple[str | None, set[Waiting]]] = {}

    def __bool__(self) -> bool:
        return bool(self._open)

    @property
    def answered(self) -> bool:
        """Whether there are answers to be forgotten."""
        return bool(self._answers)

    def add(self, waiting: Waiting, text: str, secret: bool) -> None:
        """One asks. What was answered is answered again, unless it is the same that asks again."""
        key = asking.same(text)
        if key in self._answers:
            answer, given = self._answers[key]
            if waiting not in given:
                given.add(waiting)
                waiting.answer(answer)
                return
            del self._answers[key]  # it was wrong
        self._open.setdefault(key, Question(text, secret)).waiting.append(waiting)

    def put(self, ask: Callable[[Question], str | None]) -> None:
        """Ask all open questions for which somebody waits; None is no answer.

        What `ask` raises leaves its question open, and those after it.
        """
        while self._open:
            key, question = next(iter(self._open.items()))
            question.waiting = [waiting for waiting in question.waiting if waiting.still()]
            answer = ask(question) if question.waiting else None
            del self._open[key]
            waiting = [each for each in question.waiting if each.still()]
            if waiting:
                self._answers[key] = (answer, set(waiting))
            for each in waiting:
                each.answer(answer)

    def give_up(self) -> None:
        """Ask none of the open questions: there is no answer."""
        self.put(lambda question: None)

    def forget(self) -> None:
        """All are through: keep no answer."""
        self._answers.clear()
