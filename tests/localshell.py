"""A login shell on a local pty, driven by the framing alone: no ssh, no session.

    python tests/localshell.py

records anew what every shell prints, for the transcripts that test_framing replays.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pexpect

from dust import shells
from dust.framing import Event, Framing, Greeting, Prompt, Text

NONCE = "0123456789abcdef"
#: How each shell is called where it is installed.
PROGRAMS = {
    "bash": "bash",
    "dash": "dash",
    "ash": "busybox",
    "zsh": "zsh",
    "mksh": "mksh",
    "fish": "fish",
    "tcsh": "tcsh",
}
TRANSCRIPTS = Path(__file__).with_name("transcripts")
_PATIENCE = 20.0


def program(name: str, directory: Path) -> str:
    """The path of that shell; busybox goes by a link called `ash`, made in `directory`."""
    path = shutil.which(PROGRAMS[name])
    assert path, f"{PROGRAMS[name]} is not installed"
    if name != "ash":
        return path
    link = directory / "ash"
    if not link.exists():
        link.symlink_to(path)
    return str(link)


class LocalShell:
    """The bootstrap of a login shell on a pty, and the events of what it prints."""

    def __init__(self, shell: str, home: Path, parser: str = "/bin/sh") -> None:
        """`parser` is what parses the bootstrap, as sshd has the login shell do it."""
        environment = {
            "SHELL": shell,
            "HOME": str(home),
            "TERM": "dumb",
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
        }
        self._child: Any = pexpect.spawn(
            parser,
            ["-c", shells.bootstrap(NONCE)],
            env=environment,
            dimensions=(24, 80),
            cwd=str(home),
        )
        self.framing = Framing(NONCE)
        #: What was typed and printed, in order, as JSON takes it (octets as latin-1).
        self.transcript: list[tuple[str, str]] = []
        self._events: deque[Event] = deque()

    def pump(self) -> bool:
        """Take in what it prints next; False once it has ended."""
        ready, _, _ = select.select([self._child.child_fd], [], [], _PATIENCE)
        assert ready, f"nothing more within {_PATIENCE} s: {self.transcript}"
        try:
            data = os.read(self._child.child_fd, 65536)
        except OSError:
            return False
        if data:
            self.transcript.append(("printed", data.decode("latin-1")))
            self._events += self.framing.feed(data)
        return bool(data)

    def events(self) -> Iterator[Event]:
        """The events of what it prints, until it ends."""
        while self._events or self.pump():
            while self._events:
                yield self._events.popleft()

    def until(self, wanted: Callable[[Event], bool]) -> list[Event]:
        """The events up to the first that is wanted, which must come."""
        seen = []
        for event in self.events():
            seen.append(event)
            if wanted(event):
                return seen
        raise AssertionError(f"the shell ended: {seen}")

    def prompted(self) -> list[Event]:
        """The events up to the prompt that ends what was submitted."""
        return self.until(lambda event: isinstance(event, Prompt) and event.final)

    def settled(self) -> list[Event]:
        """The events up to a prompt, which ends everything: a program has read some lines."""
        events = self.until(lambda event: isinstance(event, Prompt))
        self.transcript.append(("settled", ""))
        self.framing.settle()
        return events

    def begin(self, directory: bytes = b"") -> list[Event]:
        """Log in and make the prompt a mark; the events of both."""
        events = self.until(lambda event: isinstance(event, Greeting))
        greeting = events[-1]
        assert isinstance(greeting, Greeting)
        return events + self.initialise(shells.kind(greeting.shell), directory)

    def initialise(self, kind: str, directory: bytes = b"") -> list[Event]:
        """Make the prompt a mark."""
        os.write(self._child.child_fd, shells.init(kind, NONCE, directory) + b"\n")
        return self.prompted()

    def submit(self, line: bytes) -> None:
        """Type a line."""
        self.transcript.append(("typed", line.decode("latin-1")))
        os.write(self._child.child_fd, self.framing.submit(line))

    def interrupt(self) -> None:
        """Type Ctrl-C."""
        self.transcript.append(("interrupted", ""))
        self.framing.typed()
        os.write(self._child.child_fd, b"\x03")

    def run(self, line: bytes) -> tuple[bytes, Prompt]:
        """What a line prints, and the prompt after it."""
        self.submit(line)
        events = self.prompted()
        prompt = events[-1]
        assert isinstance(prompt, Prompt)
        return text(events), prompt

    def close(self) -> None:
        """Hang up, without the pauses of pexpect's own way."""
        self._child.closed = self._child.ptyproc.closed = True
        os.kill(self._child.pid, signal.SIGKILL)
        self._child.ptyproc.fileobj.close()
        os.waitpid(self._child.pid, 0)


def text(events: list[Event]) -> bytes:
    """The text of some events."""
    return b"".join(event.data for event in events if isinstance(event, Text))


@contextmanager
def shell(name: str, directory: Path, parser: str = "/bin/sh") -> Iterator[LocalShell]:
    """That shell with a home of its own in `directory`."""
    home = directory / "home"
    home.mkdir(exist_ok=True)
    (home / ".zshrc").touch()  # or zsh asks what to put there
    local = LocalShell(program(name, directory), home, parser)
    try:
        yield local
    finally:
        local.close()


def record(name: str, directory: Path) -> list[tuple[str, str]]:
    """A transcript of that shell."""
    with shell(name, directory) as local:
        local.begin()
        local.run(b"echo hi")
        local.run(b"false")
        local.run(b"cd /usr/lib")
        local.run(b"nosuchcommand")
        local.run(b"printf foo")
        local.run(b"printf '\\033[31mred\\033[m\\033]0;title\\007\\n'")
        local.submit(b"printf 'sure? '; head -n 1")
        local.until(lambda event: isinstance(event, Text) and event.data.endswith(b"? "))
        local.submit(b"Y")
        local.settled()
        local.submit(b"sh -c 'echo ready; exec sleep 60'")
        local.until(lambda event: isinstance(event, Text) and b"ready" in event.data)
        local.interrupt()
        local.prompted()
        if name != "tcsh":  # it has no continuation
            local.run(b"cat <<EOF\none\n\ntwo\nEOF")
            local.submit(b"echo 'open")
            local.until(lambda event: not isinstance(event, Text))
            local.run(b"shut'")
        local.run(b"sleep 0.1 &")
        local.run(b"wait")
        local.run(b"")
        local.submit(b"exit 3")
        for _ in local.events():
            pass
        return _joined(local.transcript)


def _joined(steps: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Steps with what was printed in pieces as one."""
    joined: list[tuple[str, str]] = []
    for kind, data in steps:
        if joined and kind == joined[-1][0] == "printed":
            data = joined.pop()[1] + data
        joined.append((kind, data))
    return joined


def main() -> None:
    """Record every shell."""
    TRANSCRIPTS.mkdir(exist_ok=True)
    for name in PROGRAMS:
        with tempfile.TemporaryDirectory() as directory:
            steps = record(name, Path(directory))
        rows = ",\n".join(json.dumps(step) for step in steps)
        (TRANSCRIPTS / f"{name}.json").write_text(f"[\n{rows}\n]\n")


if __name__ == "__main__":
    main()
