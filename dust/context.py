"""What commands work with: nodes, sessions, output, settings. The real `dust.api.Dust`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from dust import config, lines
from dust.aside import Aside
from dust.backend import Backend
from dust.cluster import Cluster
from dust.config import Settings
from dust.coordinator import Coordinator
from dust.copies import Copied
from dust.courier import Courier
from dust.desk import Desk
from dust.dialog import Dialog
from dust.display import Display
from dust.groups import Groups
from dust.link import DOWN, LIVE, Link
from dust.listing import Listing
from dust.node import Node
from dust.nodeset import grouped
from dust.printer import OutputClosed, Printer, in_colour
from dust.registry import Registry
from dust.routes import Routes
from dust.run import TIMEOUT, Result, Run
from dust.sessionlog import SessionLog
from dust.waiter import Waiter

if TYPE_CHECKING:
    from dust.fullscreen import View

T = TypeVar("T")


class Context:
    """One dust: its nodes, sessions, printer and settings.

    One that `lends` has dust-at go through its sessions' connections.
    """

    def __init__(self, settings: Settings, backend: Backend, *, lends: bool = False) -> None:
        self.settings = settings
        self.assume_yes = False
        self.leaving: int | None = None
        self.failed = False  # the command at hand has reported an error
        self.plugin = ""  # the plugin of the command at hand
        self.cluster = Cluster(backend, Groups(), settings.use)
        self.cluster.state_of, self.cluster.why_down = self._state_of, self._why_down
        self.cluster.warn = lambda text: self.printer.error(text)
        self.printer = Printer(colour=in_colour(settings.colour, 1), label=self.cluster.label)
        self.display = Display(self.printer, settings.output)
        self.registry = Registry()
        self.typed: Callable[[], list[str]] = list  # the history, where there is one
        self._dialog = Dialog(self.printer)
        self._sessions: Coordinator | None = None
        desk = Desk(self.display.questions, self.printer)
        self.waiter = Waiter(
            lambda: self.sessions, self.display, self.printer, desk, self.cluster.labels
        )
        self.listing = Listing(self.cluster, self.waiter)
        self.cluster.ask = self.listing.ask
        self.cluster.settle = self.listing.settle
        self._routes = Routes(lends=lends)
        self._courier = Courier(self.cluster, self._routes, self.waiter)
        self._states: dict[str, dict[str, Any]] = {}

    # --- for commands

    @property
    def backend(self) -> Backend:
        """Where the nodes come from, as `use` has it."""
        return self.cluster.backend

    @property
    def sessions(self) -> Coordinator:
        """The coordinator; nothing is started before a session is opened."""
        if self._sessions is None:
            self._sessions = Coordinator(
                self.display,
                lambda node, command: self._routes.session(self.backend, node, command),
                lambda nodes: self._routes.ways(self.backend, nodes),
                fanout=self.settings.fanout,
                connect_timeout=self.settings.connect_timeout,
            )
            self._sessions.size = _line_size()
            self.display.sessions = self._sessions
        return self._sessions

    @property
    def has_sessions(self) -> bool:
        """Whether any session was asked for yet."""
        return self._sessions is not None

    @property
    def last(self) -> Run | None:
        """The last line that was sent to nodes, and what became of it."""
        return self.cluster.last

    @property
    def state(self) -> dict[str, Any]:
        """What the plugin at hand keeps between its calls."""
        return self._states.setdefault(self.plugin, {})

    @property
    def lent(self) -> bool:
        """Whether a dust-at is under way that may go through the sessions' connections."""
        return self._routes.lent

    def select(self, target: str = "") -> list[Node]:
        """The nodes of a target in any state."""
        return self.cluster.select(target)

    def running(self, target: str = "") -> list[Node]:
        """The running nodes of a target."""
        return self.cluster.running(target)

    def addressed(self, target: str = "") -> list[Node]:
        """The running nodes of a target, and those it spells out, which fail if they do not run."""
        return self.cluster.addressed(target)

    def run(self, target: str, line: str, timeout: float | None = None) -> list[Result]:
        """Run a line quietly on a target's nodes and wait for the results.

        Where something else runs it waits for the prompt. Nothing could follow an unfinished
        line (UsageError).
        """
        lines.check_whole(line)
        run = self.send(self.addressed(target), line, quiet=True)
        try:
            self._tell_busy(run)
            done = self.waiter.wait(lambda: run.done, timeout, run)
        except KeyboardInterrupt:  # what was said is read before the wait begins
            self.waiter.give_up(run)
            done = self.waiter.wait(lambda: run.done, timeout, run)
        finally:
            late = run.unfinished()
            self.sessions.withdraw(run)
        if not done:
            for node in late:
                run.results[node.id].fail(TIMEOUT, f"no end after {timeout:g} s")
        return list(run.results.values())

    def _tell_busy(self, run: Run) -> None:
        links = self.sessions.links
        if busy := [n for n in run.unfinished() if links[n.id].queue and links[n.id].state in LIVE]:
            self.printer.tell(f"{self.cluster.labels(busy)}: something else runs there, waiting")

    def print(self, text: str = "") -> None:
        """A line of output."""
        self.printer.say(text)

    def table(self, rows: Sequence[Sequence[object]], headers: Sequence[str] = ()) -> None:
        """Aligned columns."""
        self.printer.table(rows, headers)

    def error(self, text: str) -> None:
        """Something failed; the command goes on."""
        self.failed = True
        self.printer.error(text)

    def ask(self, question: str, word: str = "") -> bool:
        """Yes or no, or the word; no without a terminal, unless yes is assumed."""
        return self.assume_yes or self._dialog.confirm(question, word)

    def ask_line(self, question: str, otherwise: str = "") -> str | None:
        """A line that is typed, or what it is otherwise; None if given up."""
        return self._dialog.line(question, otherwise)

    def ask_secret(self, question: str) -> str | None:
        """A line typed without echo; None without a terminal or if given up."""
        return self._dialog.secret(question)

    def set(self, key: str, text: str) -> None:
        """Change a setting for this shell."""
        self.settings = config.changed(self.settings, key, text)
        self.printer.colour = in_colour(self.settings.colour, 1)
        self.display.form = self.settings.output
        if self._sessions is not None:
            self._sessions.fanout = self.settings.fanout
            self._sessions.connect_timeout = self.settings.connect_timeout

    def history(self) -> list[str]:
        """What was typed, oldest first."""
        return self.typed()

    def leave(self, status: int = 0) -> None:
        """End the shell after this command."""
        self.leaving = status

    @property
    def logged(self) -> Path | None:
        """The folder in which sessions are logged."""
        return self.display.log.folder if self.display.log else None

    def log_to(self, folder: Path | None) -> None:
        """Log sessions in that folder, or no more. Raises DustError."""
        log = SessionLog(folder, self.cluster.label, self._log_failed) if folder else None
        if self.display.log:
            self.display.log.close()
        self.display.log = log

    def _log_failed(self, why: str) -> None:
        self.display.log = None
        self.printer.error(why)

    def show_run(self, run: Run, nodes: Sequence[Node], form: str) -> None:
        """Print the output of a run again."""
        self.printer.show(run, nodes, form)

    def full_screen(self, view: View, running: Callable[[], bool]) -> None:
        """Give a view the terminal until a key leaves it or ssh asks something."""
        from dust import fullscreen  # prompt_toolkit is not for start-up

        self.display.keep(True)
        try:
            fullscreen.show(view, self.sessions, running, lambda: bool(self.display.questions))
        finally:
            self.display.keep(False)

    # --- what waits for a network

    def aside(self, work: Callable[[], T], progress: Callable[[], str] = str) -> T:
        """Do `work` in a thread and wait for it while the sessions go on.

        Ctrl-C waits no longer (Interrupted): the work then ends by itself, for nobody.
        """
        return self.waiter.aside(Aside(work), progress)

    # --- copies

    def put(self, files: Sequence[str], target: str, directory: str = "") -> list[Copied]:
        """Copy files and directories of this machine into a directory of nodes."""
        return self._courier.put(files, target, directory, self.settings)

    def get(self, target: str, files: Sequence[str], directory: str = ".") -> list[Copied]:
        """Copy what patterns match on nodes into `directory/NODE` here."""
        return self._courier.get(target, files, directory, self.settings)

    # --- lines on nodes

    def send(self, nodes: list[Node], line: str, *, quiet: bool = False) -> Run:
        """Send a line, with its variables filled for each node, to these nodes' sessions."""
        whole = quiet or self.settings.output != "stream"
        text = lines.filled(line, nodes, self.cluster.number) if "{" in line else line
        if self.display.log:
            for node in filter(lambda node: node.running, nodes):
                self.display.log.sent(node, text if isinstance(text, str) else text(node))
        run = self.sessions.run(nodes, text, whole=whole, quiet=quiet)
        run.line = line
        if not quiet:
            self.cluster.last = run
            absent = [node for node in nodes if not node.running]
            for text in grouped((self.cluster.label(node), node.absence) for node in absent):
                self.printer.tell(text)
        return run

    def put_questions(self) -> None:
        """Ask the user what ssh asks. Raises Interrupted at Ctrl-C."""
        self.waiter.put_questions()

    # --- the end

    def close(self) -> None:
        """End all sessions."""
        try:
            self.printer.flush()
        except OutputClosed:
            self.printer.above = None
        if self._sessions is not None:
            self._sessions.shutdown()
            self._sessions = None
        self._routes.close()
        self.log_to(None)

    # --- inside

    def _state_of(self, id: str) -> str:
        link = self._link(id)
        return link.state if link else ""

    def _why_down(self, id: str) -> str:
        link = self._link(id)
        return link.reason if link and link.state == DOWN else ""

    def _link(self, id: str) -> Link | None:
        return self._sessions.links.get(id) if self._sessions else None


def _line_size() -> tuple[int, int]:
    """Rows and columns of a session's terminal for lines: ours, less a label."""
    if not os.isatty(1):
        return 24, 200
    columns, rows = shutil.get_terminal_size()
    return rows, max(40, columns - 16)
