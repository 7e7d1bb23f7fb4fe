"""What a command asks the user, at the terminal."""

from __future__ import annotations

import getpass
import os
import sys
import termios

from dust.errors import Interrupted
from dust.plain import legible
from dust.printer import Printer


class Dialog:
    """Asks once all that the printer was given is shown."""

    def __init__(self, printer: Printer) -> None:
        self._printer = printer

    def confirm(self, question: str, word: str = "") -> bool:
        """Yes or no, or the word; no without a terminal."""
        question = legible(question)
        if not os.isatty(0):
            why = "there is no terminal to ask on (`dust -y` says yes)"
            self._printer.tell(f"{question} no: {why}")
            return False
        self._printer.flush()
        termios.tcflush(0, termios.TCIFLUSH)  # what was typed before it cannot be the answer
        how = f"Type {word} to go on: " if word else "[y/N] "
        answer = prompt_for(f"{question} {how}", secret=False)
        return (answer or "").strip().lower() in ((word.lower(),) if word else ("y", "yes"))

    def line(self, question: str, otherwise: str = "") -> str | None:
        """A line that is typed, or what it is otherwise; None if given up."""
        if not os.isatty(0):
            return otherwise
        self._printer.flush()
        shown = legible(f"{question} [{otherwise}]" if otherwise else question)
        answer = prompt_for(f"{shown}: ", secret=False)
        return answer if answer is None else answer.strip() or otherwise

    def secret(self, question: str) -> str | None:
        """A line typed without echo; None without a terminal or if given up."""
        if not os.isatty(0):
            return None
        self._printer.flush()
        return prompt_for(question, secret=True)


def prompt_for(question: str, *, secret: bool) -> str | None:
    """Ask on the terminal; None if given up."""
    try:
        return answer_to(question, secret=secret)
    except Interrupted:
        return None


def answer_to(question: str, *, secret: bool) -> str | None:
    """Ask on the terminal; None at Ctrl-D. Raises Interrupted at Ctrl-C."""
    try:
        return getpass.getpass(question) if secret else _typed(question)
    except EOFError:
        print(file=sys.stderr)
        return None
    except KeyboardInterrupt:
        print(file=sys.stderr)
        raise Interrupted from None


def _typed(question: str) -> str:
    """A line that is typed; where the output goes to a file, the terminal has the question."""
    if os.isatty(1):
        return input(question)
    try:
        with open(os.ctermid(), "w") as terminal:
            terminal.write(question)
    except OSError:
        print(question, end="", file=sys.stderr, flush=True)
    return input()
