"""Whom the shell asks what ssh asks: the user at the terminal, or a program that the user has."""

from __future__ import annotations

import os

from dust.asker import own_program
from dust.dialog import answer_to
from dust.plain import legible
from dust.printer import Printer
from dust.questions import Question, Questions, Waiting


class Desk:
    """Takes up questions, and puts them when the terminal is free for it."""

    def __init__(self, questions: Questions, printer: Printer) -> None:
        self._questions = questions
        self._printer = printer

    def ask(self, waiting: Waiting, text: str, secret: bool) -> bool:
        """Have a question answered, later; False where there is nobody to be asked."""
        if not os.isatty(0) and own_program(terminal=False) is None:
            return False
        self._questions.add(waiting, text, secret)
        return True

    def notice(self, text: str) -> None:
        """Say what ssh wants to be known."""
        self._printer.tell(text)
        self._printer.flush()

    def put(self) -> None:
        """Ask what is to be asked. Raises Interrupted at Ctrl-C, or KeyboardInterrupt."""
        self._printer.progress("")
        self._questions.put(self._answer)

    def _answer(self, question: Question) -> str | None:
        terminal = os.isatty(0)
        if program := own_program(terminal=terminal):
            return program.ask(question.text, question.secret, lambda: False)
        if not terminal:
            self._printer.error(f"{question} (there is no terminal to ask on)")
            return None
        return answer_to(f"{legible(str(question))} ", secret=question.secret)
