"""The one loop over all workers: opens sessions, sends lines, takes in what comes back."""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from dust import messages, ssh
from dust.admission import Admission
from dust.approach import Approach, Reach
from dust.course import Course
from dust.errors import Ending, SessionError
from dust.jumps import Find
from dust.limits import raise_open_files, take_turns
from dust.link import DOWN, LIVE, READY, STATES, Events, Link
from dust.node import Node
from dust.pipes import Pipes
from dust.run import INTERRUPTED, UNREACHABLE, Run
from dust.spawning import Zygote

#: Seconds that a worker gets to let go of the user's terminal.
_PATIENCE = 1.0


class Coordinator:
    """All sessions of one dust. `argv` makes the ssh call for a node and a remote command.

    `ways` gives what finds the way to nodes, or None where no configuration has one of its own.
    """

    def __init__(
        self,
        events: Events,
        argv: Callable[[Node, str], list[str]],
        ways: Callable[[Sequence[Node]], Find | None] = lambda nodes: None,
        *,
        fanout: int = 32,
        connect_timeout: float = 15.0,
    ) -> None:
        self.links: dict[str, Link] = {}
        self.fanout = fanout
        self.connect_timeout = connect_timeout
        self.size = (24, 200)  # of a session's terminal in line mode: rows, columns
        self._events = events
        self._argv = argv
        self._pipes = Pipes()
        self._admission = Admission()
        self._course = Course(events, self._pipes, self._admission)
        self._approach = Approach(self._pipes, self._admission, ways)
        self._zygote: Zygote | None = None
        self._signals, self._wake = socket.socketpair()
        self._signals.setblocking(False)
        self._wake.setblocking(False)
        self.watch(self._signals, selectors.EVENT_READ, self._woken)
        self.caught: list[int] = []

    # --- what callers ask

    def prepare(self) -> None:
        """Start what sessions are started by, for those that are sure to come."""
        if self._zygote and not self._zygote.alive:
            self._zygote.close()
            self._zygote = None
        if self._zygote is None:
            self._zygote = Zygote()
            raise_open_files()
            take_turns(inherited=False)

    def open(self, nodes: Iterable[Node]) -> None:
        """Begin to open the sessions of these nodes that have none."""
        wanted = []
        for node in nodes:
            link = self.links.get(node.id)
            if link is None or link.state == DOWN:
                wanted.append(self._want(node, link))
        if wanted:
            self._approach.admit(wanted)
        self._launch()

    def run(
        self,
        nodes: Sequence[Node],
        line: str | Callable[[Node], str],
        *,
        whole: bool = False,
        quiet: bool = False,
    ) -> Run:
        """Send a line (for all, or made for each) to the sessions of these nodes.

        Missing sessions are opened first. A session that is ready takes it as a command, a busy
        one as input of its program; one that is connecting takes it when it is ready. A `quiet`
        line is for the shell alone: it waits where something else runs.
        """
        takes = {READY} if quiet else LIVE
        run = Run.on(nodes, line if isinstance(line, str) else "", whole=whole, quiet=quiet)
        frame = _frame(line) if isinstance(line, str) else b""
        nodes = run.unfinished()
        self.open(nodes)
        for node in nodes:
            link = self.links[node.id]
            data = frame or _frame(line(node))  # type: ignore[operator]
            if link.state in takes and not link.queue:
                self._course.deliver(link, run, data)
            elif link.state == DOWN:
                self._course.fail(link, run, UNREACHABLE, link.reason)
            else:
                link.queue.append((run, data))
        return run

    def withdraw(self, run: Run) -> None:
        """Do not send a run's line any more where it still waits for the prompt."""
        for link in self.links.values():
            waiting = [each for each in link.queue if each[0] is run]
            if waiting and link.state in LIVE:
                for each in waiting:
                    link.queue.remove(each)
                self._course.fail(link, run, INTERRUPTED, "not sent")

    def keys(self, nodes: Iterable[Node], data: bytes) -> list[Node]:
        """Type control characters in these nodes' live sessions; returns whose there were."""
        typed = []
        for node in nodes:
            link = self.links.get(node.id)
            if link is not None and link.state in LIVE:
                self._pipes.send(link, messages.encode(messages.Keys(data)))
                typed.append(node)
        return typed

    def answer(self, link: Link, text: str | None) -> None:
        """Answer a question of ssh's; None gives up that session."""
        if text is None:
            self._course.down(link, "authentication", "not answered")
        else:
            self._pipes.send(link, messages.encode(messages.Answer(_octets(text))))

    def close(self, nodes: Iterable[Node], why: str = "closed") -> list[Node]:
        """End these nodes' sessions, whatever runs in them; returns whose there were."""
        closed = []
        for node in nodes:
            link = self.links.get(node.id)
            if link is not None and link.state != DOWN:
                self._pipes.send(link, messages.encode(messages.Close()))
                link.silent = True
                self._course.down(link, INTERRUPTED if why == INTERRUPTED else "ended", why)
                closed.append(node)
        return closed

    def reconnect(self, nodes: Iterable[Node]) -> list[Node]:
        """Open these nodes' lost sessions again, in the directory where they were."""
        lost = [n for n in nodes if n.id in self.links and self.links[n.id].state == DOWN]
        for node in lost:
            self.links[node.id].lost = True  # whatever it was that ended them
        self.open(lost)
        return lost

    def counts(self) -> dict[str, int]:
        """How many sessions are in each state that any is in."""
        counts = dict.fromkeys(STATES, 0)
        for link in self.links.values():
            counts[link.state] += 1
        return {state: count for state, count in counts.items() if count}

    def attach(self, link: Link, tty: tuple[int, int], rows: int, columns: int) -> None:
        """Hand the user's terminal to a live session; `link.attached` until it comes back."""
        link.attached = link.pipe is not None
        if not link.attached:
            return
        link.leaving = b""
        frame = messages.encode(messages.Attach(rows, columns))
        self._pipes.hand(link, frame, tty)

    def regain(self, link: Link) -> None:
        """Have the terminal back from a session at once, which ends by that."""
        if link.attached:
            self._pipes.send(link, messages.encode(messages.Close()))
            self.wait(lambda: not link.attached, _PATIENCE)

    def resize(self, link: Link, rows: int, columns: int) -> None:
        """Tell an attached session its terminal's size."""
        self._pipes.send(link, messages.encode(messages.Resize(rows, columns)))

    # --- for others who have workers

    def reach(self, nodes: Sequence[Node]) -> Reach:
        """Open the way to these nodes where it goes through jump hosts, for calls of one's own."""
        reach = self._approach.reach(nodes)
        self._launch()
        return reach

    def hire(self, pipes: list[socket.socket]) -> None:
        """Have a worker forked for each of these pipes, which are closed here. Raises OSError."""
        self.prepare()
        assert self._zygote is not None
        self._zygote.spawn(pipes)

    def watch(self, pipe: socket.socket | int, events: int, ready: Callable[[int], None]) -> None:
        """Have `pump` call `ready` when a pipe can be read or written; 0 events: no more."""
        self._pipes.watch(pipe, events, ready)

    # --- the loop

    def fileno(self) -> int:
        """A descriptor that is readable when `pump` has something to do."""
        return self._pipes.fileno()

    @property
    def deadline(self) -> float | None:
        """When `pump` is due at the latest (monotonic seconds), or None."""
        dues = (self._admission.deadline, self._course.deadline)
        return min((due for due in dues if due is not None), default=None)

    def pump(self, timeout: float | None = 0) -> None:
        """One turn: wait up to `timeout` seconds (None: for ever) and handle what there is."""
        if self.deadline is not None:
            left = max(0.0, self.deadline - time.monotonic())
            timeout = left if timeout is None else min(timeout, left)
        self._pipes.turn(timeout, self._course.receive)
        self._admission.tick(time.monotonic())
        self._course.tick(time.monotonic())
        self._launch()
        self._events.turned()

    def wait(self, done: Callable[[], bool], timeout: float | None = None) -> bool:
        """Pump until `done`; False if a signal or the time limit came first.

        Signals only leave their number in `caught`.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._catching():
            while not done():
                left = None if deadline is None else deadline - time.monotonic()
                if self.caught or (left is not None and left <= 0):
                    return False
                self.pump(left)
        return True

    def heed_end(self) -> None:
        """Raise Ending if the last wait caught a signal that is to end dust."""
        if ended := {signal.SIGTERM, signal.SIGHUP} & set(self.caught):
            raise Ending(128 + ended.pop())

    @contextlib.contextmanager
    def _catching(self) -> Iterator[None]:
        self.caught.clear()
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGWINCH)
        # The handler records, the descriptor only wakes: no signal is missed between the two.
        handlers = {number: signal.signal(number, self._record) for number in numbers}
        before = signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            # SIGINT last: a Ctrl-C that raises here leaves no other handler behind.
            for number, handler in reversed(handlers.items()):
                signal.signal(number, handler)

    def _record(self, number: int, _: object) -> None:
        self.caught.append(number)

    def _woken(self, _: int) -> None:
        with contextlib.suppress(BlockingIOError):
            self._signals.recv(64)

    def hold(self, held: bool) -> None:
        """Stop (or go on) taking output, so that the nodes wait; an attached session goes on."""
        self._pipes.hold(held, self.links.values())

    def shutdown(self) -> None:
        """End every session and every process that this coordinator began."""
        for link in (*self.links.values(), *self._approach.hosts):
            if link.pipe is not None:
                self._pipes.send(link, messages.encode(messages.Close()))
                self._pipes.close(link)
            link.state = DOWN
        if self._zygote:
            self._zygote.close()
            self._zygote = None

    # --- opening

    def _want(self, node: Node, old: Link | None) -> Link:
        link = Link(node, directory=old.directory if old and old.lost else b"")
        self.links[node.id] = link
        self._events.changed(link)
        return link

    def _launch(self) -> None:
        """Start as many of the wanted sessions as may connect at once."""
        batch: list[tuple[Link, socket.socket]] = []
        while link := self._admission.next(self.fanout):
            try:
                opening = self._opening(link)
                theirs = self._pipes.open(link)
            except (SessionError, OSError) as error:
                why = error.message if isinstance(error, SessionError) else str(error)
                self._course.down(link, "ended", why)
                continue
            self._pipes.send(link, opening)
            batch.append((link, theirs))
        if batch:
            self._spawn(batch)

    def _opening(self, link: Link) -> bytes:
        from dust.shells import bootstrap

        nonce = os.urandom(8).hex()
        rows, columns = self.size
        if not link.tries:
            link.until = time.monotonic() + self.connect_timeout
        if link.jump:
            argv = list(link.jump.argv)
        else:
            argv = self._argv(link.node, bootstrap(nonce))
        if link.joins:
            argv = ssh.joining(argv)
        if link.host and link.host.jump:
            argv = link.host.jump.through(argv)
        program, *arguments = argv
        path = shutil.which(program)  # here, not by each worker again
        if path is None:
            raise SessionError(link.node.name, f"there is no {program} on this machine's PATH")
        directory = link.directory.decode("latin-1")
        opening = messages.Open(
            [path, *arguments], nonce, directory, rows, columns, self.connect_timeout,
            link.jump.socket if link.jump else "",
        )  # fmt: skip
        return messages.encode(opening)

    def _spawn(self, batch: list[tuple[Link, socket.socket]]) -> None:
        try:
            self.hire([theirs for _, theirs in batch])
        except OSError as error:
            for link, _ in batch:
                self._course.down(link, "ended", f"no worker could be started: {error}")


def _octets(text: str) -> bytes:
    """UTF-8, or what stood there where it could not be decoded."""
    return text.encode("utf-8", "surrogateescape")


def _frame(line: str) -> bytes:
    return messages.encode(messages.Line(_octets(line)))
