"""What commands work with: nodes, sessions, output, settings. The real `dust.api.Dust`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from dust import askpass, config, lines, messages, transfers
from dust.aside import Aside
from dust.backend import Backend
from dust.cluster import Cluster
from dust.config import Settings
from dust.coordinator import Coordinator
from dust.copies import Copied, Copies
from dust.desk import Desk
from dust.dialog import Dialog
from dust.display import Display
from dust.errors import ConfigError, UsageError
from dust.groups import Groups
from dust.link import LIVE
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
        self.last: Run | None = None
        self.leaving: int | None = None
        self.failed = False  # the command at hand has reported an error
        self.plugin = ""  # the plugin of the command at hand
        self.cluster = Cluster(backend, Groups())
        self.cluster.state_of = self._state_of
        self.cluster.ask = self._asked
        self.cluster.settle = self._settle
        self.cluster.warn = lambda text: self.printer.error(text)
        if settings.use:
            self.cluster.working_set = settings.use
        self.printer = Printer(colour=in_colour(settings.colour, 1), label=self.cluster.label)
        self.display = Display(self.printer, settings.output)
        self.registry = Registry()
        self.typed: Callable[[], list[str]] = list  # the history, where there is one
        self._dialog = Dialog(self.printer)
        self._desk = Desk(self.display.questions, self.printer)
        self._sessions: Coordinator | None = None
        self.waiter = Waiter(
            lambda: self.sessions, self.display, self.printer, self._desk, self.cluster.labels
        )
        self._ahead: tuple[Backend, Aside[list[Node]]] | None = None
        self._routes = Routes(lends=lends)
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
    def state(self) -> dict[str, Any]:
        """What the plugin at hand keeps between its calls."""
        return self._states.setdefault(self.plugin, {})

    @property
    def lent(self) -> bool:
        """Whether a dust-at is under way that may go through the sessions' connections."""
        return self._routes.lent

    def select(self, target: str = "") -> list[Node]:
        """The nodes of a target in any state."""
        self._tell_cluster()
        return self.cluster.select(target)

    def running(self, target: str = "") -> list[Node]:
        """The running nodes of a target."""
        self._tell_cluster()
        return self.cluster.running(target)

    def addressed(self, target: str = "") -> list[Node]:
        """The running nodes of a target, and those it spells out, which fail if they do not run."""
        self._tell_cluster()
        return self.cluster.addressed(target)

    def run(self, target: str, line: str, timeout: float | None = None) -> list[Result]:
        """Run a line quietly on a target's nodes and wait for the results.

        Where something else runs it waits for the prompt.
        """
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

    def look_ahead(self) -> None:
        """Begin to list far nodes, if no listing was kept, before somebody asks for them."""
        if self.backend.region and self._ahead is None and not self.cluster.listed:
            self._ahead = self.backend, Aside(self.backend.nodes)

    def listed(self) -> bool:
        """Whether nodes can be had without waiting; if not, they are begun to be listed."""
        self.look_ahead()
        return not self.backend.region or self.cluster.listed

    def _asked(self, ask: Callable[[], list[Node]]) -> list[Node]:
        """How the cluster has its backend asked."""
        if not self.backend.region:
            return ask()
        return self.waiter.aside(Aside(ask), lambda: f"asking {self.backend.label} ...")

    def _settle(self) -> None:
        """Wait for the listing that was begun ahead; what it had to say, it kept."""
        ahead, self._ahead = self._ahead, None
        if ahead and ahead[0] is self.backend and not ahead[1].done:
            self.waiter.aside(ahead[1], lambda: f"asking {self.backend.label} ...")

    # --- copies

    def put(self, files: Sequence[str], target: str, directory: str = "") -> list[Copied]:
        """Copy files and directories of this machine into a directory of nodes."""
        names = transfers.local_names(files)
        where = transfers.remote_directory(directory)
        return self._copy(self.addressed(target), True, names, lambda node: where)

    def get(self, target: str, files: Sequence[str], directory: str = ".") -> list[Copied]:
        """Copy what patterns match on nodes into `directory/NODE` here."""
        nodes = self.addressed(target)
        folders = transfers.folders(nodes, directory, self.cluster.label)
        patterns = [transfers.remote_pattern(each) for each in files]
        return self._copy(nodes, False, patterns, lambda node: folders[node.id])

    def _copy(
        self, nodes: list[Node], put: bool, names: list[str], where: Callable[[Node], str]
    ) -> list[Copied]:
        try:
            folder = os.getcwd()
        except OSError as error:
            raise UsageError(f"the directory that dust is in is gone: {error.strerror}") from error
        timeout = self.settings.connect_timeout
        try:
            program = askpass.program(config.folder("cache"))
        except ConfigError:  # a home that cannot be written: no copy can ask
            program = ""

        def order(node: Node) -> messages.Copy:
            def argv(command: str, subsystem: bool) -> list[str]:
                call = self._routes.other(self.backend, node, command, subsystem)
                return reach.call(node, call)

            path = self._routes.askpass() if program else ""
            asking = [program, path] if path else []
            return transfers.order(node, argv, put, names, where(node), folder, timeout, asking)

        with self.display.answers_kept():
            reach = self.sessions.reach([node for node in nodes if node.running])
            self.waiter.wait(lambda: reach.done)
            copies = Copies(self.sessions, nodes, order, self.settings.fanout, self._desk)
            self.waiter.follow(copies)
        return list(copies.results.values())

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
            self.last = run
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
        link = self._sessions.links.get(id) if self._sessions else None
        return link.state if link else ""

    def _tell_cluster(self) -> None:
        self.cluster.last = self.last


def _line_size() -> tuple[int, int]:
    """Rows and columns of a session's terminal for lines: ours, less a label."""
    if not os.isatty(1):
        return 24, 200
    columns, rows = shutil.get_terminal_size()
    return rows, max(40, columns - 16)
