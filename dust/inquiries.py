"""What the ssh calls of one run ask, put to the user once for all that ask the same."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dust import askpass, config
from dust.errors import ConfigError

if TYPE_CHECKING:
    from dust.questions import Question, Questions


class Inquiries:
    """Takes in what is asked, at a socket in `folder`.

    `ask` gets the user's answer, None if there is none; `tell` shows what ssh wants to be known.
    """

    def __init__(
        self,
        folder: str,
        ask: Callable[[Question], str | None],
        tell: Callable[[str], None],
    ) -> None:
        self._ask = ask
        self._questions: Questions | None = None
        self._askpass = askpass.Askpass(os.path.join(folder, "asked"), self._asked, tell)
        try:
            program = askpass.program(config.folder("cache"))
        except ConfigError:  # a home that cannot be written
            program = askpass.program(Path(folder))
        #: The environment of an ssh that asks here.
        self.environment: Mapping[str, str] = self._askpass.environment(program)

    def fileno(self) -> int:
        """A descriptor that is readable while there is something to `serve`."""
        return self._askpass.fileno()

    def serve(self) -> None:
        """Have answered all that is asked."""
        self._askpass.serve()

    def close(self) -> None:
        """Take in nothing any more."""
        self._askpass.close()

    def _asked(self, inquiry: askpass.Inquiry) -> None:
        from dust.questions import Questions, Waiting  # most are asked nothing

        if self._questions is None:
            self._questions = Questions()
        waiting = Waiting(inquiry.asker, "", inquiry.answer)
        self._questions.add(waiting, inquiry.text, inquiry.secret)
        self._questions.put(self._ask)
