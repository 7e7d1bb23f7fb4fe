"""What workers say, and what becomes of sessions and runs by it."""

from __future__ import annotations

import time
from collections import deque

from dust import messages, reasons
from dust.admission import Admission
from dust.link import BUSY, DOWN, READY, Events, Link
from dust.pipes import Pipes
from dust.run import BY_CTRL_C, FAILED, INTERRUPTED, NOT_SENT, RUNNING, TIMEOUT, UNREACHABLE, Run

#: Seconds in which the end of a jump host is heard of after the ends of what went through it.
DOUBT = 0.5
#: The kinds of an end whose text says all.
_TOLD = ("ended", "dropped", INTERRUPTED)


class Course:
    """The course of all sessions, told to `events`."""

    def __init__(self, events: Events, pipes: Pipes, admission: Admission) -> None:
        self._events = events
        self._pipes = pipes
        self._admission = admission
        #: Lost sessions behind a jump host, which may come from the loss of that.
        self._doubtful: deque[tuple[float, Link, messages.Lost]] = deque()

    @property
    def deadline(self) -> float | None:
        """When `tick` is due (monotonic seconds), or None."""
        return self._doubtful[0][0] if self._doubtful else None

    def tick(self, now: float) -> None:
        """Sessions whose jump host is still there were lost by themselves."""
        while self._doubtful and self._doubtful[0][0] <= now:
            _, link, lost = self._doubtful.popleft()
            if link.state != DOWN:
                self._lose(link, lost)

    def deliver(self, link: Link, run: Run, frame: bytes) -> None:
        """Send a run's line to a live session."""
        link.runs.append(run)
        self._set_state(link, BUSY)
        self._pipes.send(link, frame)

    def receive(self, link: Link) -> None:
        """Take in what a worker said."""
        try:
            received = self._pipes.receive(link)
        except EOFError:
            self.down(link, "dropped", "its worker ended")
        except ValueError:
            self.down(link, "dropped", "its worker sent no frame")
        else:
            for message in received:
                if message is messages.TAKEN:
                    link.taken += 1
                else:
                    self._take(link, message)

    def down(self, link: Link, kind: str, text: str) -> None:
        """A session is over, or there will be none; `kind` is a word of `reasons`, or
        INTERRUPTED where the user gave up one that was not open yet.
        """
        self._hang_up(link)
        link.reason = text if kind in _TOLD else f"{kind}: {text}"
        link.attached = False
        state = INTERRUPTED if kind == INTERRUPTED else UNREACHABLE
        if kind in ("timed out", "unreachable") and not link.opened:
            if note := link.node.details.get("reach"):
                link.reason += f" ({note})"
        if link.opened:
            state = TIMEOUT if kind == "timed out" else FAILED
            link.lost = kind != "ended"
        runs, link.runs, link.taken = link.runs, [], 0
        queued, link.queue = [run for run, _ in link.queue], deque()
        self._set_state(link, DOWN)
        if not link.silent:
            self._events.note(link, link.reason)
        for run in dict.fromkeys(runs + queued):
            self.fail(link, run, state, link.reason)
        for behind in link.behind:
            if behind.state != DOWN:
                self.down(behind, "dropped", f"its jump host {link.node.name}: {link.reason}")

    def fail(self, link: Link, run: Run, state: str, why: str) -> None:
        """A run has no end there."""
        result = run.results[link.node.id]
        if result.state == RUNNING:
            result.fail(state, why, BY_CTRL_C if state == INTERRUPTED else None)
            run.ended(result)
            self._events.ended(run, result)

    # --- messages

    def _take(self, link: Link, message: messages.Message) -> None:
        if isinstance(message, messages.Output):
            if run := link.run:
                run.results[link.node.id].transcript.append(message.data)
            link.last_line = message.data[-200:]
            self._events.output(link, message.data)
        elif isinstance(message, messages.Ended):
            self._ended(link, message)
        elif isinstance(message, messages.State):
            if message.name == READY:
                self._rest(link)
                self._next(link)
            else:
                self._set_state(link, message.name)
        elif isinstance(message, messages.Opened):
            wanted, link.directory = link.directory, message.directory or link.directory
            if wanted not in (b"", link.directory):
                gone, there = (each.decode("utf-8", "replace") for each in (wanted, link.directory))
                self._events.note(link, f"cannot go back to {gone}: it is in {there}")
            link.opened = True
            self._admission.done(link)
            self._set_state(link, READY)
            self._next(link)
            for behind in link.behind:
                self._admission.add(behind)
        elif isinstance(message, messages.Refused):
            self._refused(link, message.text)
        elif isinstance(message, messages.Question):
            self._admission.done(link)
            self._events.question(link, message.text, message.secret)
        elif isinstance(message, messages.Note):
            self._events.note(link, message.text)
        elif isinstance(message, messages.Leaving):
            link.leaving = message.data
        elif isinstance(message, messages.Detached):
            link.attached = False
            self._pipes.listen(link)
        elif isinstance(message, messages.Lost):
            self._lost(link, message)

    def _ended(self, link: Link, message: messages.Ended) -> None:
        link.directory = message.directory or link.directory
        run = link.run
        runs = self._typed(link, message.lines)
        if run and runs and run is link.run:
            # What was typed meanwhile was no answer, and what came since was not its output.
            id = link.node.id
            run.results[id].transcript.move(runs[-1].results[id].transcript)
        self._rest(link)
        status = None if message.status < 0 else message.status
        for run in runs:
            self._end(link, run, status, message.seconds)
        self._next(link)

    def _typed(self, link: Link, lines: int) -> list[Run]:
        """Take the first `lines` runs from those whose lines were typed."""
        lines = min(lines, link.taken)
        runs, link.runs = link.runs[:lines], link.runs[lines:]
        link.taken -= lines
        return runs

    def _rest(self, link: Link) -> None:
        """The session is at its prompt, unless there is more for it to do."""
        self._set_state(link, BUSY if link.runs else READY)

    def _end(self, link: Link, run: Run, status: int | None, seconds: float | None) -> None:
        result = run.results[link.node.id]
        result.end(status, seconds)
        run.ended(result)
        self._events.ended(run, result)

    def _next(self, link: Link) -> None:
        """Send the next line that waited until the session is ready."""
        if link.queue and link.state == READY:
            self.deliver(link, *link.queue.popleft())

    def _refused(self, link: Link, why: str) -> None:
        if link.taken < len(link.runs):
            self.fail(link, link.runs.pop(link.taken), FAILED, NOT_SENT + why)
        if not link.runs:
            self._rest(link)
            self._next(link)

    def _lost(self, link: Link, lost: messages.Lost) -> None:
        now = time.monotonic()
        if lost.kind == "dropped" and link.opened and link.host and link.host.pipe:
            self._hang_up(link)
            self._doubtful.append((now + DOUBT, link, lost))
            return
        if not link.opened and now < link.until and reasons.overloaded(lost.text):
            self._hang_up(link)
            self._admission.again(link, now)
            return
        self._lose(link, lost)

    def _lose(self, link: Link, lost: messages.Lost) -> None:
        if lost.kind == "ended" and link.opened:
            status = None if lost.status < 0 else lost.status
            for run in self._typed(link, link.taken):  # `exit 3` ends a run like any command
                self._end(link, run, status, None)
        self.down(link, lost.kind, lost.text)

    def _hang_up(self, link: Link) -> None:
        self._admission.done(link)
        self._pipes.close(link)

    def _set_state(self, link: Link, state: str) -> None:
        if link.state != state:
            link.state = state
            self._events.changed(link)
