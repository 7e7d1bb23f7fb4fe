"""A worker's life: one session between its pipe to the coordinator and its terminal.

It ends when the pipe does, whoever ended it, and takes its ssh along.
"""

from __future__ import annotations

import array
import contextlib
import os
import select
import signal
import socket
import time
from typing import TYPE_CHECKING

from dust import messages
from dust.session import Session

if TYPE_CHECKING:
    from dust.copying import Copier
    from dust.jumphost import JumpHost

#: Most bytes of frames that wait for the coordinator; beyond, the terminal is not read.
BOUND = 1 << 18
#: Seconds that they may wait until ssh is told.
HELD = 0.1
_RECEIVE = 1 << 16
_FDS = socket.CMSG_SPACE(2 * array.array("i").itemsize)


class Worker:
    """The loop over one pipe and one terminal.

    `lifeline` is a descriptor that is at its end when the zygote is gone, or None.
    """

    def __init__(self, pipe: socket.socket, lifeline: int | None = None) -> None:
        self._pipe = pipe
        self._lifeline = [] if lifeline is None else [lifeline]
        self._children: list[int] = []  # readable when a child has ended
        self._decoder = messages.Decoder()
        self._out = bytearray()
        self._fds: list[int] = []
        self._attached = False
        self._session: Session | JumpHost | None = None
        self._copier: Copier | None = None

    def run(self) -> None:
        """Serve until the pipe or the session ends."""
        self._pipe.setblocking(False)
        self._children = [watch_children()]
        with contextlib.suppress(EOFError):
            while self._session is None or not self._session.over:
                if self._copier:
                    self._copy(self._copier)
                    break
                self.turn()
        self.finish()

    def turn(self) -> None:
        """Wait for either side, and pass on what there is."""
        session = self._session
        readers = [self._pipe.fileno(), *self._lifeline, *self._children]
        writers: list[int] = [self._pipe.fileno()] if self._out else []
        timeout = None
        if session:
            terminal = session.terminal
            if len(self._out) < BOUND:
                readers.append(terminal.fd)
                if terminal.unread:
                    terminal.leave_unread(False)
            elif not terminal.unread:
                timeout = HELD
            if terminal.queued:
                writers.append(terminal.fd)
            if session.deadline is not None:
                left = max(0.0, session.deadline - time.monotonic())
                timeout = left if timeout is None else min(timeout, left)
        readable, writable, _ = select.select(readers, writers, [], timeout)
        if self._lifeline and self._lifeline[0] in readable:
            raise EOFError
        if self._children and self._children[0] in readable:
            self._woken()
        if session and session.terminal.fd in readable:
            session.read()
        if session and session.terminal.fd in writable:
            session.terminal.flush()
        if self._pipe.fileno() in readable:
            self._listen()
        if session and session.deadline is not None and session.deadline <= time.monotonic():
            session.tick()
        if session and not readable and not writable and len(self._out) >= BOUND:
            self._hold_back(session)
        self._speak()

    def _hold_back(self, session: Session | JumpHost) -> None:
        """The coordinator takes nothing, so that the terminal is not read for a while."""
        if not session.over and not session.terminal.unread:
            session.terminal.leave_unread(True)
            session.read()  # which ends the write() that its ssh may be in

    def _woken(self) -> None:
        """A child has ended, of which the handler of SIGCHLD takes note."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._children[0], 64)

    def _copy(self, copier: Copier) -> None:
        """Wait and pass on until a copy is over. Raises EOFError if the coordinator is gone."""
        while not copier.over:
            readers = [self._pipe.fileno(), *self._lifeline, *copier.readers]
            writers = [self._pipe.fileno()] if self._out else []
            timeout = None
            if copier.deadline is not None:
                timeout = max(0.0, copier.deadline - time.monotonic())
            readable, writable, _ = select.select(readers, writers + copier.writers, [], timeout)
            if self._lifeline and self._lifeline[0] in readable:
                raise EOFError
            if self._pipe.fileno() in readable:
                self._listen()
            copier.turn(readable, writable)
            self._speak()

    def _listen(self) -> None:
        """Take in what the coordinator says. Raises EOFError when it is gone."""
        try:
            data, ancillary, _, _ = self._pipe.recvmsg(_RECEIVE, _FDS)
        except BlockingIOError:
            return
        except OSError as error:
            raise EOFError from error
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds = array.array("i")
                fds.frombytes(payload)
                self._fds += fds
        if not data:
            raise EOFError
        for message in self._decoder.feed(data):
            self._obey(message)

    def _obey(self, message: messages.Message) -> None:
        session = self._session
        if isinstance(message, messages.Open) and message.socket:
            from dust.jumphost import JumpHost  # sessions do not pay for it

            self._session = JumpHost(message, self._emit)
        elif isinstance(message, messages.Open):
            self._session = Session(message, self._emit)
        elif isinstance(message, messages.Copy):
            from dust.copying import Copier  # sessions do not pay for it

            self._copier = Copier(message, self._emit)
        elif self._copier and isinstance(message, messages.Close):
            self._copier.cancel()
        elif self._copier and isinstance(message, messages.Answer):
            self._copier.answer(os.fsdecode(message.text))
        elif self._copier and isinstance(message, messages.Unanswered):
            self._copier.answer(None)
        elif session is None or session.over:
            return
        elif isinstance(message, messages.Answer):
            session.answer(message.text)
        elif isinstance(message, messages.Close):
            session.close()
        elif isinstance(session, Session):
            self._pass_on(session, message)

    def _pass_on(self, session: Session, message: messages.Message) -> None:
        if isinstance(message, messages.Line):
            session.submit(message.text)
        elif isinstance(message, messages.Keys):
            session.keys(message.data)
        elif isinstance(message, messages.Resize):
            session.terminal.resize(message.rows, message.columns)
        elif isinstance(message, messages.Attach):
            session.terminal.resize(message.rows, message.columns)
            self._attach(session)

    def _attach(self, session: Session) -> None:
        fds, self._fds = self._fds, []
        self._speak()

        def woken(fd: int) -> None:
            if fd in self._lifeline:
                raise EOFError
            if fd in self._children:
                self._woken()
                return
            self._listen()
            self._speak()
            if session.over:
                raise EOFError

        self._attached = True
        try:
            watched = [self._pipe.fileno(), *self._lifeline, *self._children]
            session.interact((fds[0], fds[1]), watched, woken)
        finally:
            self._attached = False
            for fd in fds:
                os.close(fd)

    def _emit(self, message: messages.Message) -> None:
        self._out += messages.encode(message)
        if self._attached:
            self._speak()  # the loop that does so otherwise waits for the end of raw mode

    def _speak(self) -> None:
        """Send what waits, as far as the coordinator takes it. Raises EOFError if it is gone."""
        while self._out:
            try:
                sent = self._pipe.send(self._out)
            except BlockingIOError:
                return
            except OSError as error:
                raise EOFError from error
            del self._out[:sent]

    def finish(self) -> None:
        """Say the last words, bounded in time, and hang up."""
        if self._copier and not self._copier.over:
            self._tidy(self._copier)
        if self._session and not self._session.over:
            self._session.close()
        deadline = time.monotonic() + 10
        with contextlib.suppress(EOFError):
            while self._out and (left := deadline - time.monotonic()) > 0:
                select.select([], [self._pipe], [], left)
                self._speak()
        if isinstance(self._session, Session) and self._session.serves:
            self._outlive(self._session)

    def _outlive(self, session: Session) -> None:
        """Its ssh stays until nobody goes through it any more, or dust is gone."""
        terminal = session.terminal
        watched = [terminal.fd, *self._lifeline, *self._children]
        with contextlib.suppress(EOFError):
            while not set(self._lifeline) & set(readable := select.select(watched, [], [])[0]):
                if terminal.fd in readable:
                    terminal.read()
                else:
                    self._woken()

    def _tidy(self, copier: Copier) -> None:
        """Nobody listens any more: a copy is not left half done."""
        copier.cancel()
        while not copier.over:
            timeout = max(0.0, (copier.deadline or 0.0) - time.monotonic())
            copier.turn(*select.select(copier.readers, copier.writers, [], timeout)[:2])


def watch_children() -> int:
    """A descriptor that SIGCHLD makes readable: even one right before a wait ends that wait."""
    reading, writing = os.pipe()
    for end in (reading, writing):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    return reading


def rehearse() -> None:
    """Run a session with a few words of a shell, so that workers find their code warm.

    Python adapts code as it runs, and libraries prepare things at their first use: done once
    before workers are forked, they share it instead of making 0.5 MB of it each.
    """
    ours, theirs = socket.socketpair()
    nonce = "rehearsal"
    mark = f"\x1b]7770;{nonce};"
    says = [f"{mark}H;/bin/sh;/bin/sh;Linux\a", f"{mark}P;0;/\a", f"words\r\n{mark}P;0;/\a"]
    script = 'printf %s "$0"; read line; printf %s "$1"; read line; printf %s "$2"; read line'
    worker = Worker(theirs)
    decoder = messages.Decoder()
    with ours, theirs, contextlib.suppress(EOFError):
        argv = ["/bin/sh", "-c", script, *says]
        ours.sendall(messages.encode(messages.Open(argv, nonce, "", 24, 80, 2.0)))
        for awaited in (messages.Opened, messages.Ended):
            came: list[messages.Message] = []
            while not any(isinstance(message, (awaited, messages.Lost)) for message in came):
                worker.turn()
                if select.select([ours], [], [], 0)[0]:
                    came += decoder.feed(ours.recv(_RECEIVE))
            ours.sendall(messages.encode(messages.Line(b"words")))
        worker.finish()
