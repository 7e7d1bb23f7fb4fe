from __future__ import annotations

from dust.questions import Question, Questions, Waiting


class Asker:
    """An ssh that asks, and what it was told."""

    def __init__(self, name: str) -> None:
        self.told: list[str | None] = []
        self.gone = False
        self.waiting = Waiting(self, name, self.told.append, lambda: not self.gone)


def ask(questions: Questions, answer: str | None) -> list[str]:
    """Put the open questions; returns what the user has read."""
    asked: list[str] = []

    def put(question: Question) -> str | None:
        asked.append(str(question))
        return answer

    questions.put(put)
    return asked


def test_one_answer_serves_all_that_ask_the_same_then_and_later() -> None:
    questions, (a, b, c) = Questions(), map(Asker, ("w1", "w2", "w3"))
    for asker in (a, b):
        questions.add(asker.waiting, f"me@{asker.waiting.name}'s password:", True)
    assert ask(questions, "word") == ["w[1-2]: me@w1's password:"]
    questions.add(c.waiting, "me@w3's password:", True)
    assert not questions
    assert [asker.told for asker in (a, b, c)] == [["word"]] * 3


def test_the_one_that_asks_again_was_told_wrong() -> None:
    questions, asker = Questions(), Asker("w1")
    for answer in ("wrong", "right"):
        questions.add(asker.waiting, "Password:", True)
        assert ask(questions, answer)
    assert asker.told == ["wrong", "right"]


def test_what_nobody_waits_for_any_more_is_not_asked() -> None:
    questions, asker = Questions(), Asker("w1")
    questions.add(asker.waiting, "Password:", True)
    asker.gone = True
    assert ask(questions, "word") == []
    assert not questions
    assert asker.told == []
    assert not questions.answered


def test_an_interrupted_question_stays_open() -> None:
    questions, asker = Questions(), Asker("w1")
    questions.add(asker.waiting, "Password:", True)

    def interrupted(_: Question) -> str:
        raise KeyboardInterrupt

    try:
        questions.put(interrupted)
    except KeyboardInterrupt:
        assert questions
    assert ask(questions, None) == ["w1: Password:"]
    assert asker.told == [None]


def test_an_answer_is_kept_until_it_is_forgotten() -> None:
    questions, (a, b) = Questions(), map(Asker, ("w1", "w2"))
    questions.add(a.waiting, "Password:", True)
    ask(questions, "word")
    assert questions.answered
    questions.forget()
    questions.add(b.waiting, "Password:", True)
    assert ask(questions, "other") == ["w2: Password:"]


def test_what_is_given_up_has_no_answer() -> None:
    questions, (a, b) = Questions(), map(Asker, ("w1", "w2"))
    questions.add(a.waiting, "Password:", True)
    questions.add(b.waiting, "Passphrase:", True)
    questions.give_up()
    assert not questions
    assert (a.told, b.told) == ([None], [None])
