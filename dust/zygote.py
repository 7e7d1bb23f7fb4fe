"""The clean process that forks workers; `dust.spawning` is the coordinator's end of it.

It is executed anew, so that a worker inherits neither the coordinator's memory nor its threads.
What it does before it forks, workers share; what they do themselves each of them pays for, in time
and in pages of its own. Hence it imports no more than they need and has everything warm.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import sys

from dust.limits import take_turns
from dust.terminal import child_ended
from dust.worker import Worker, rehearse, watch_children

#: Most sockets in one request.
BATCH = 128
#: CPython's allocator: bytes in a pool, those of the largest object in one, and how much larger a
#: bytes object is than what it holds; how many gaps of one size are filled at most.
_POOL, _POOLED, _BYTES, _GAPS = 16000, 512, sys.getsizeof(b""), 10_000


def main(lifeline: int, held: int) -> None:
    """Fork a worker for every socket that arrives on descriptor 0, until that is closed.

    Workers get `lifeline`, the reading end of a pipe whose writing end, `held`, only this process
    has: it is at its end when this process is gone.
    """
    control = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    # Workers inherit the handler: to change it costs one more than to be woken once.
    signal.signal(signal.SIGCHLD, child_ended)
    children = watch_children()
    take_turns(inherited=True)
    rehearse()
    lifeline, held = _lowered(lifeline), _lowered(held)
    gc.collect()
    gc.freeze()
    fillers = _fill_pools()
    while True:
        ready = select.select([control.fileno(), children], [], [])[0]
        if children in ready:
            os.read(children, 4096)
            _reap()
        if control.fileno() in ready:
            fds = _receive(control)
            if not fds:
                break
            for at, fd in enumerate(fds):
                if os.fork() == 0:
                    control.close()
                    for other in (held, *fds[at + 1 :]):
                        os.close(other)
                    _be_worker(fd, lifeline)
                os.close(fd)
    del fillers


def _lowered(fd: int) -> int:
    """The same descriptor by a number that select takes."""
    lowered = os.dup(fd)
    os.close(fd)
    return lowered


def _reap() -> None:
    """Take note of all children that have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def _fill_pools() -> list[bytes]:
    """Objects in all the gaps that the allocator would give to workers first.

    A gap lies among what workers share; one object put there costs a worker the whole page. With
    no gaps left they use pages of their own: 0.2 MB less of each worker's.
    """
    fillers: list[bytes] = []
    for size in range(48, _POOLED + 1, 16):
        inline = 0  # how many lie one after the other: enough of them are a fresh pool
        for _ in range(_GAPS):
            filler = bytes(size - _BYTES)
            follows = bool(fillers) and id(filler) - id(fillers[-1]) == size
            inline = inline + 1 if follows else 0
            fillers.append(filler)
            if inline >= _POOL // size - 3:
                del fillers[-inline:]
                break
    return fillers


def _receive(control: socket.socket) -> list[int]:
    """The next batch of sockets; none when the coordinator is gone."""
    try:
        data, fds, _, _ = socket.recv_fds(control, 1, BATCH)
    except OSError:
        return []
    return fds if data else []


def _be_worker(fd: int, lifeline: int) -> None:
    """The child's life; never returns."""
    status = 1
    try:
        os.setsid()
        Worker(socket.socket(fileno=fd), lifeline).run()
        status = 0
    finally:
        os._exit(status)
