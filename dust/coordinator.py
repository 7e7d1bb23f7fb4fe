"""The one loop over all workers: opens sessions, sends lines, takes in what comes back."""

from __future__ import annotations

import contextlib
import heapq
import json
import os
import resource
import selectors
import shutil
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

from dust import messages, reasons
from dust.errors import SessionError
from dust.link import BUSY, CONNECTING, DOWN, LIVE, READY, Events, Link
from dust.node import Node
from dust.run import FAILED, NOT_SENT, RUNNING, TIMEOUT, UNREACHABLE, Run
from dust.spawning import Zygote

#: Most bytes taken from one worker in one turn, so that none starves the others.
_TURN = 1 << 18


class Coordinator:
    """All sessions of one dust. `argv` makes the ssh call for a node and a remote command."""

    def __init__(
        self,
        events: Events,
        argv: Callable[[Node, str], list[str]],
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
        self._selector = selectors.DefaultSelector()
        self._zygote: Zygote | None = None
        self._wanted: deque[Link] = deque()
        self._connecting: set[Link] = set()
        self._later: list[tuple[float, int, Link]] = []
        self._held = False
        self._signals, self._wake = socket.socketpair()
        self._signals.setblocking(False)
        self._wake.setblocking(False)
        self._selector.register(self._signals, selectors.EVENT_READ)
        self.caught: list[int] = []

    # --- what callers ask

    def prepare(self) -> None:
        """Start what sessions are started by, for those that are sure to come."""
        if self._zygote is None or not self._zygote.alive:
            self._zygote = Zygote()
            _raise_limit()

    def open(self, nodes: Iterable[Node]) -> None:
        """Begin to open the sessions of these nodes that have none."""
        for node in nodes:
            link = self.links.get(node.id)
            if link is None or link.state == DOWN:
                self._want(node, link)
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
        one as input of its program; one that is connecting takes it when it is ready.
        """
        run = Run.on(nodes, line if isinstance(line, str) else "", whole=whole, quiet=quiet)
        frame = _frame(line) if isinstance(line, str) else b""
        self.open(nodes)
        for node in nodes:
            link = self.links[node.id]
            data = frame or _frame(line(node))  # type: ignore[operator]
            if link.state in LIVE and not link.queue:
                self._deliver(link, run, data)
            elif link.state == DOWN:
                self._finish(link, run, UNREACHABLE, link.reason)
            else:
                link.queue.append((run, data))
        return run

    def keys(self, nodes: Iterable[Node], data: bytes) -> list[Node]:
        """Type control characters in these nodes' live sessions; returns whose there were."""
        typed = []
        for node in nodes:
            link = self.links.get(node.id)
            if link is not None and link.state in LIVE:
                self._send(link, messages.encode(messages.Keys(data)))
                typed.append(node)
        return typed

    def answer(self, link: Link, text: str | None) -> None:
        """Answer a question of ssh's; None gives up that session."""
        if text is None:
            self._down(link, "authentication", "not answered")
        else:
            self._send(link, messages.encode(messages.Answer(_octets(text))))

    def close(self, nodes: Iterable[Node], why: str = "closed") -> list[Node]:
        """End these nodes' sessions, whatever runs in them; returns whose there were."""
        closed = []
        for node in nodes:
            link = self.links.get(node.id)
            if link is not None and link.state != DOWN:
                self._send(link, messages.encode(messages.Close()))
                link.silent = True
                self._down(link, "ended", why)
                closed.append(node)
        return closed

    def reconnect(self, nodes: Iterable[Node]) -> list[Node]:
        """Open these nodes' lost sessions again, in the directory where they were."""
        lost = [n for n in nodes if n.id in self.links and self.links[n.id].state == DOWN]
        self.open(lost)
        return lost

    def counts(self) -> dict[str, int]:
        """How many sessions are in each state."""
        counts: dict[str, int] = {}
        for link in self.links.values():
            counts[link.state] = counts.get(link.state, 0) + 1
        return counts

    def attach(self, link: Link, tty: tuple[int, int], rows: int, columns: int) -> None:
        """Hand the user's terminal to a live session; `link.attached` until it comes back."""
        link.attached = True
        frame = messages.encode(messages.Attach(rows, columns))
        assert link.pipe is not None
        self._flush(link)
        link.pipe.setblocking(True)
        socket.send_fds(link.pipe, [bytes(link.out) + frame], list(tty))
        link.out.clear()
        link.pipe.setblocking(False)

    def resize(self, link: Link, rows: int, columns: int) -> None:
        """Tell an attached session its terminal's size."""
        self._send(link, messages.encode(messages.Resize(rows, columns)))

    # --- for others who have workers

    def hire(self, pipes: list[socket.socket]) -> None:
        """Have a worker forked for each of these pipes, which are closed here. Raises OSError."""
        self.prepare()
        assert self._zygote is not None
        self._zygote.spawn(pipes)

    def watch(self, pipe: socket.socket, events: int, ready: Callable[[int], None]) -> None:
        """Have `pump` call `ready` when a pipe can be read or written; 0 events: no more."""
        if pipe in self._selector.get_map():
            self._selector.unregister(pipe)
        if events:
            self._selector.register(pipe, events, ready)

    # --- the loop

    def fileno(self) -> int:
        """A descriptor that is readable when `pump` has something to do."""
        return self._selector.fileno()

    @property
    def deadline(self) -> float | None:
        """When `pump` is due at the latest (monotonic seconds), or None."""
        return self._later[0][0] if self._later else None

    def pump(self, timeout: float | None = 0) -> None:
        """One turn: wait up to `timeout` seconds (None: for ever) and handle what there is."""
        if self.deadline is not None:
            left = max(0.0, self.deadline - time.monotonic())
            timeout = left if timeout is None else min(timeout, left)
        for key, mask in self._selector.select(timeout):
            if callable(key.data):
                key.data(mask)
                continue
            link: Link | None = key.data
            if link is None:
                self._woken()
                continue
            if mask & selectors.EVENT_WRITE:
                self._flush(link)
            if mask & selectors.EVENT_READ and link.pipe is not None:
                self._receive(link)
        now = time.monotonic()
        while self._later and self._later[0][0] <= now:
            _, _, link = heapq.heappop(self._later)
            if link.state == CONNECTING and link.pipe is None:
                self._wanted.append(link)
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

    def _woken(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._signals.recv(64)

    def hold(self, held: bool) -> None:
        """Stop (or go on) taking output, so that the nodes wait; an attached session goes on."""
        if held == self._held:
            return
        self._held = held
        for link in self.links.values():
            if link.pipe is not None and not link.attached:
                self._watch(link)

    def shutdown(self) -> None:
        """End every session and every process that this coordinator began."""
        for link in self.links.values():
            if link.pipe is not None:
                self._send(link, messages.encode(messages.Close()))
                self._hang_up(link)
            link.state = DOWN
        if self._zygote:
            self._zygote.close()
            self._zygote = None

    # --- opening

    def _want(self, node: Node, old: Link | None) -> None:
        link = Link(node, begun=time.monotonic(), directory=old.directory if old else b"")
        self.links[node.id] = link
        self._wanted.append(link)
        self._events.changed(link)

    def _launch(self) -> None:
        """Start as many of the wanted sessions as may connect at once."""
        batch: list[tuple[Link, socket.socket]] = []
        while self._wanted and len(self._connecting) < self.fanout:
            link = self._wanted.popleft()
            if link.state != CONNECTING:
                continue
            try:
                opening = self._opening(link)
                ours, theirs = socket.socketpair()
            except (SessionError, OSError) as error:
                self._down(link, "ended", str(error))
                continue
            ours.setblocking(False)
            link.pipe, link.decoder, link.out = ours, messages.Decoder(), bytearray()
            self._connecting.add(link)
            self._selector.register(ours, selectors.EVENT_READ, link)
            self._send(link, opening)
            batch.append((link, theirs))
        if batch:
            self._spawn(batch)

    def _opening(self, link: Link) -> bytes:
        from dust.shells import bootstrap

        nonce = os.urandom(8).hex()
        rows, columns = self.size
        program, *arguments = self._argv(link.node, bootstrap(nonce))
        path = shutil.which(program)  # here, not by each worker again
        if path is None:
            raise SessionError(link.node.name, f"there is no {program} on this machine's PATH")
        directory = link.directory.decode("latin-1")
        return messages.encode(
            messages.Open([path, *arguments], nonce, directory, rows, columns, self.connect_timeout)
        )

    def _spawn(self, batch: list[tuple[Link, socket.socket]]) -> None:
        try:
            self.hire([theirs for _, theirs in batch])
        except OSError as error:
            for link, _ in batch:
                self._down(link, "ended", f"no worker could be started: {error}")

    # --- sending

    def _deliver(self, link: Link, run: Run, frame: bytes) -> None:
        link.runs.append(run)
        self._set_state(link, BUSY)
        self._send(link, frame)

    def _send(self, link: Link, frame: bytes) -> None:
        if link.pipe is None:
            return
        if not link.out:
            try:
                sent = link.pipe.send(frame)
            except BlockingIOError:
                sent = 0
            except OSError:
                return  # reading will say that it is gone
            if sent == len(frame):
                return
            frame = frame[sent:]
        link.out += frame
        self._watch(link)

    def _flush(self, link: Link) -> None:
        while link.out and link.pipe is not None:
            try:
                del link.out[: link.pipe.send(link.out)]
            except BlockingIOError:
                return
            except OSError:
                link.out.clear()
        self._watch(link)

    def _watch(self, link: Link) -> None:
        if link.pipe is None:
            return
        held = self._held and not link.attached and link.state != CONNECTING
        mask = (0 if held else selectors.EVENT_READ) | (selectors.EVENT_WRITE if link.out else 0)
        registered = self._selector.get_map().get(link.pipe)
        if registered is None:
            if mask:
                self._selector.register(link.pipe, mask, link)
        elif not mask:
            self._selector.unregister(link.pipe)
        elif registered.events != mask:
            self._selector.modify(link.pipe, mask, link)

    # --- receiving

    def _receive(self, link: Link) -> None:
        assert link.pipe is not None
        try:
            data = link.pipe.recv(_TURN)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._down(link, "dropped", "its worker ended")
            return
        try:
            received = link.decoder.feed(data)
        except (ValueError, json.JSONDecodeError):
            self._down(link, "dropped", "its worker sent no frame")
            return
        for message in received:
            self._handle(link, message)

    def _handle(self, link: Link, message: messages.Message) -> None:
        if isinstance(message, messages.Output):
            for run in link.runs[-1:]:
                run.results[link.node.id].transcript.append(message.data)
            link.last_line = message.data[-200:]
            self._events.output(link, message.data)
        elif isinstance(message, messages.Ended):
            self._end(link, message)
        elif isinstance(message, messages.State):
            self._set_state(link, message.name)
            if message.name == READY:
                self._next(link)
        elif isinstance(message, messages.Opened):
            link.directory = message.directory or link.directory
            link.opened = True
            self._connecting.discard(link)
            self._set_state(link, READY)
            self._next(link)
        elif isinstance(message, messages.Refused):
            self._refuse(link, message.text)
        elif isinstance(message, messages.Question):
            self._connecting.discard(link)  # a person may take long; others may connect
            self._events.question(link, message.text, message.secret)
        elif isinstance(message, messages.Note):
            self._events.note(link, message.text)
        elif isinstance(message, messages.Detached):
            link.attached = False
            self._watch(link)
        elif isinstance(message, messages.Lost):
            self._lost(link, message)

    def _end(self, link: Link, message: messages.Ended) -> None:
        link.directory = message.directory or link.directory
        runs, link.runs = link.runs, []
        self._set_state(link, READY)
        status = None if message.status < 0 else message.status
        for run in runs:
            result = run.results[link.node.id]
            result.end(status, message.seconds)
            run.ended(result)
            self._events.ended(run, result)
        self._next(link)

    def _next(self, link: Link) -> None:
        """Send the next line that waited until the session is ready."""
        if link.queue and link.state == READY:
            self._deliver(link, *link.queue.popleft())

    def _refuse(self, link: Link, why: str) -> None:
        run = link.runs.pop()
        self._finish(link, run, FAILED, NOT_SENT + why)
        if not link.runs:
            self._set_state(link, READY)
            self._next(link)

    def _lost(self, link: Link, lost: messages.Lost) -> None:
        again = not link.opened and reasons.overloaded(lost.text)
        if again and time.monotonic() < link.begun + self.connect_timeout:
            self._hang_up(link)
            link.tries += 1
            pause = min(4.0, 0.25 * 2**link.tries) * (0.5 + os.urandom(1)[0] / 512)
            heapq.heappush(self._later, (time.monotonic() + pause, id(link), link))
            return
        if lost.kind == "ended" and link.runs and lost.status >= 0:
            for run in link.runs:  # `exit 3` ends a run like any other command
                result = run.results[link.node.id]
                result.end(lost.status, None)
                run.ended(result)
                self._events.ended(run, result)
            link.runs = []
        self._down(link, lost.kind, lost.text)

    # --- ends

    def _down(self, link: Link, kind: str, text: str) -> None:
        self._hang_up(link)
        link.reason = text if kind in ("ended", "dropped") else f"{kind}: {text}"
        link.attached = False
        state = UNREACHABLE
        if kind in ("timed out", "unreachable") and not link.opened:
            if note := link.node.details.get("reach"):
                link.reason += f" ({note})"
        if link.opened:
            state = TIMEOUT if kind == "timed out" else FAILED
        runs, link.runs = link.runs, []
        queued, link.queue = [run for run, _ in link.queue], deque()
        self._set_state(link, DOWN)
        for run in dict.fromkeys(runs + queued):
            self._finish(link, run, state, link.reason)
        if not link.silent:
            self._events.note(link, link.reason)

    def _finish(self, link: Link, run: Run, state: str, why: str) -> None:
        result = run.results[link.node.id]
        if result.state == RUNNING:
            result.fail(state, why)
            run.ended(result)
            self._events.ended(run, result)

    def _hang_up(self, link: Link) -> None:
        self._connecting.discard(link)
        if link.pipe is not None:
            if self._selector.get_map().get(link.pipe) is not None:
                self._selector.unregister(link.pipe)
            link.pipe.close()
            link.pipe = None

    def _set_state(self, link: Link, state: str) -> None:
        if link.state != state:
            link.state = state
            self._events.changed(link)


def _octets(text: str) -> bytes:
    """UTF-8, or what stood there where it could not be decoded."""
    return text.encode("utf-8", "surrogateescape")


def _frame(line: str) -> bytes:
    return messages.encode(messages.Line(_octets(line)))


def _raise_limit() -> None:
    """One pipe a session: allow as many descriptors as the system lets us have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
