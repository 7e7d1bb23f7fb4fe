"""The coordinator's ends of all pipes to workers, under one selector: frames out and in."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable, Iterable, Sequence

from dust import messages
from dust.link import CONNECTING, Link

#: Most bytes taken from one worker in one turn, so that none starves the others.
_TURN = 1 << 18


class Pipes:
    """Which pipes are listened to, and what waits until a worker takes it."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._held = False

    def fileno(self) -> int:
        """A descriptor that is readable when `turn` has something to do."""
        return self._selector.fileno()

    def turn(self, timeout: float | None, receive: Callable[[Link], None]) -> None:
        """Wait up to `timeout` seconds (None: for ever), then send and `receive` what can be."""
        for key, mask in self._selector.select(timeout):
            link = key.data
            if not isinstance(link, Link):
                link(mask)
                continue
            if mask & selectors.EVENT_WRITE:
                self._flush(link)
            if mask & selectors.EVENT_READ and link.pipe is not None:
                receive(link)

    def watch(self, pipe: socket.socket | int, events: int, ready: Callable[[int], None]) -> None:
        """Call `ready` when somebody else's pipe can be read or written; 0 events: no more."""
        if pipe in self._selector.get_map():
            self._selector.unregister(pipe)
        if events:
            self._selector.register(pipe, events, ready)

    # --- of links

    def open(self, link: Link) -> socket.socket:
        """Give a link its pipe; returns the worker's end. Raises OSError."""
        link.pipe, theirs = socket.socketpair()
        link.pipe.setblocking(False)
        link.decoder, link.out = messages.Decoder(), bytearray()
        self._selector.register(link.pipe, selectors.EVENT_READ, link)
        return theirs

    def close(self, link: Link) -> None:
        """Hang up."""
        if link.pipe is not None:
            if self._selector.get_map().get(link.pipe) is not None:
                self._selector.unregister(link.pipe)
            link.pipe.close()
            link.pipe = None

    def send(self, link: Link, frame: bytes) -> None:
        """Send a frame, at once or as soon as the worker takes it."""
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
        self.listen(link)

    def hand(self, link: Link, frame: bytes, fds: Sequence[int]) -> None:
        """Send a frame with descriptors, behind all that waits."""
        assert link.pipe is not None
        self._flush(link)
        link.pipe.setblocking(True)
        socket.send_fds(link.pipe, [bytes(link.out) + frame], fds)
        link.out.clear()
        link.pipe.setblocking(False)

    def receive(self, link: Link) -> Iterable[messages.Message]:
        """What the worker said. Raises EOFError when it is gone, ValueError at what is no frame."""
        assert link.pipe is not None
        try:
            data = link.pipe.recv(_TURN)
        except BlockingIOError:
            return ()
        except OSError:
            data = b""
        if not data:
            raise EOFError
        return link.decoder.feed(data)

    def hold(self, held: bool, links: Iterable[Link]) -> None:
        """Stop (or go on) taking what live sessions say, but for one that is attached."""
        if held == self._held:
            return
        self._held = held
        for link in links:
            if not link.attached:
                self.listen(link)

    def listen(self, link: Link) -> None:
        """Wait for what a link has to wait for, as it is now."""
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

    def _flush(self, link: Link) -> None:
        while link.out and link.pipe is not None:
            try:
                del link.out[: link.pipe.send(link.out)]
            except BlockingIOError:
                return
            except OSError:
                link.out.clear()
        self.listen(link)
