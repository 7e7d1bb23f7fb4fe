"""What a person at a prompt can do, on whatever terminal it is."""

from __future__ import annotations

from dust.errors import Interrupted
from dust.run import BY_CTRL_C
from dust.shell import Shell


class User:
    """Who types at the prompt of a shell."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._context = shell.context

    @property
    def where(self) -> str:
        """What the prompt begins with: which nodes a line can be for."""
        where, backend = self._context.cluster.working_set, self._context.backend
        if not where or backend.label != backend.name:  # which account and region stays visible
            where = backend.label + (f"/{where}" if where else "")
        return f"dust:{where}"

    def execute(self, text: str) -> int:
        """Carry out what was typed; of several lines all but the last are waited for.

        Ctrl-C gives up those that are left: who presses it wants nothing more to begin.
        """
        entries = [entry for entry in self._shell.joined(text.split("\n")) if entry.strip()]
        status = 0
        for at, entry in enumerate(entries, 1):
            status = self._shell.execute(entry, wait=at < len(entries))
            if self._context.leaving is not None:
                break
            if status == BY_CTRL_C and (left := len(entries) - at):
                lines = "1 line was" if left == 1 else f"{left} lines were"
                self._context.printer.tell(f"interrupted: {lines} not carried out")
                break
        return status

    def interrupt(self) -> str:
        """Ctrl-C where nothing is typed; returns what there is to say to it, or ""."""
        busy = [] if self._shell.interrupt_last() else self._shell.running()
        names = self._context.cluster.labels(busy)
        return f"the last line has ended; `interrupt` reaches {names}" if busy else ""

    def answer(self) -> None:
        """Answer what ssh asks; Ctrl-C gives up the nodes that are still connecting."""
        try:
            self._context.put_questions()
        except Interrupted:
            self._shell.give_up()

    def leaves(self) -> int | None:
        """The status to leave with, if the last line asked for that and nothing speaks against."""
        status, self._context.leaving = self._context.leaving, None
        return status if status is not None and self.may_leave() else None

    def may_leave(self) -> bool:
        """Whether to leave now: asks where something would be lost."""
        busy = self._shell.running()
        if not busy:
            return not self._context.lent or self._context.ask(
                "A dust-at may be using the connections of these sessions. Leave?"
            )
        names = ", ".join(self._context.cluster.label(node) for node in busy[:5])
        more = f" and {len(busy) - 5} more" if len(busy) > 5 else ""
        return self._context.ask(f"Something still runs on {names}{more}. Leave?")
