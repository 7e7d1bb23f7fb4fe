"""A tool with its sessions open, and the same of the floor: lines go in, lines come back."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import select
import selectors
import struct
import subprocess
import termios
import time
from collections.abc import Callable
from typing import Protocol

from bench import processes
from bench.fleet import Fleet
from bench.processes import Process
from bench.tools import LIMIT, PATIENCE, Tool, environment
from dust.errors import DustError


class Shells(Protocol):
    """Open sessions that take a line for all nodes."""

    def ask(self, number: int) -> float:
        """Have every node print a word; return when all have come, in monotonic seconds."""
        ...

    def rest(self, seconds: float) -> None:
        """Let it be for that long."""
        ...

    def processes(self) -> list[Process]:
        """All its processes."""
        ...

    def close(self) -> None:
        """End all its processes."""
        ...


def word(number: int) -> tuple[str, bytes]:
    """A command that prints a word, and the word: the echo of what is typed has it not."""
    return f"echo t''{number:06}z", b"t%06dz" % number


class ToolShells:
    """The sessions of a tool."""

    def __init__(self, tool: Tool, fleet: Fleet, count: int) -> None:
        self._tool = tool
        self._names = set(fleet.names(count))
        self._greeting = tool.greeting(count).encode()
        argv, env = tool.argv(fleet, count), environment(fleet.directory / "home")
        self._errors = (fleet.directory / "errors").open("w+b")
        if tool.terminal:
            self._reader, slave = os.openpty()
            self._writer = os.dup(self._reader)
            fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
            self._process = subprocess.Popen(
                argv, env=env, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            )  # fmt: skip
            os.close(slave)
        else:
            stdin, self._writer = os.pipe()
            self._reader, stdout = os.pipe()
            self._process = subprocess.Popen(
                argv, env=env, stdin=stdin, stdout=stdout, stderr=self._errors,
                start_new_session=True,
            )  # fmt: skip
            os.close(stdin)
            os.close(stdout)
        try:
            if not tool.probe:
                self._read(lambda output: self._greeting in output)
        except BaseException:
            self.close()
            raise

    def ask(self, number: int) -> float:
        """Have every node print a word; return when all have come, each with its label.

        What the tool has to do after that is waited for too: it is no part of the next trip.
        """
        command, wanted = word(number)
        self._type(self._tool.prefix + command)
        output = self._read(lambda output: output.count(wanted) >= len(self._names))
        came_at = time.monotonic()
        labelled = re.findall(rb"(node\d+)[^\n]{1,12}" + wanted, output)
        if (came := {name.decode() for name in labelled}) != self._names:
            raise DustError(f"{self._tool.name}: no labelled line of {self._names - came}")
        if self._tool.probe:
            self._type(self._tool.probe)
        rest = output[output.rindex(wanted) :]
        if self._greeting not in rest:
            self._read(lambda more: self._greeting in rest + more)
        return came_at

    def rest(self, seconds: float) -> None:
        """Let it be for that long, taking in what it may print."""
        deadline = time.monotonic() + seconds
        while self._readable(deadline):
            if not self._receive():
                raise self._failure("has ended")

    def processes(self) -> list[Process]:
        """All its processes, of which as many as there are nodes must be ssh."""
        found = processes.tree(self._process.pid)
        if (clients := sum(p.name == "ssh" for p in found)) != len(self._names):
            raise DustError(f"{self._tool.name} has {clients} ssh for {len(self._names)} nodes")
        return found

    def close(self) -> None:
        """Take its input away, and wait until all its processes have ended."""
        left = processes.tree(self._process.pid)
        os.close(self._writer)
        os.close(self._reader)
        self._errors.close()
        processes.end(left, PATIENCE)
        self._process.wait()

    def _type(self, line: str) -> None:
        os.write(self._writer, line.encode() + (b"\r" if self._tool.terminal else b"\n"))

    def _read(self, done: Callable[[bytes], bool]) -> bytes:
        """What it prints from now on, until that is `done`."""
        output = b""
        deadline = time.monotonic() + LIMIT
        while not done(output):
            if not self._readable(deadline):
                raise self._failure("does not answer", output)
            if not (data := self._receive()):
                raise self._failure("has ended", output)
            output += data
        return output

    def _receive(self) -> bytes:
        try:
            return os.read(self._reader, 1 << 16)
        except OSError as error:
            if error.errno != errno.EIO:  # a terminal's way to say that it has ended
                raise
            return b""

    def _failure(self, what: str, output: bytes = b"") -> DustError:
        self._errors.seek(0)
        said = (output + self._errors.read())[-1000:].decode(errors="replace")
        return DustError(f"{self._tool.name} {what}; it said: {said}")

    def _readable(self, deadline: float) -> bool:
        left = max(0.0, deadline - time.monotonic())
        poll = select.poll()
        poll.register(self._reader, select.POLLIN)
        return bool(poll.poll(left * 1000))


class FloorShells:
    """One `ssh -tt` a node and one loop of bare reads and writes: the least it can cost."""

    def __init__(self, fleet: Fleet, count: int) -> None:
        argv = ["ssh", "-F", str(fleet.ssh_config(count)), "-tt"]
        env = environment(fleet.directory / "home")
        self._clients: list[subprocess.Popen[bytes]] = []
        self._selector = selectors.DefaultSelector()
        try:
            for name in fleet.names(count):
                client = subprocess.Popen(
                    [*argv, name], env=env, bufsize=0, start_new_session=True,
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                )  # fmt: skip
                self._clients.append(client)
                assert client.stdout
                self._selector.register(client.stdout, selectors.EVENT_READ)
            self._broadcast("set +o emacs +o vi; stty -echo; PS1= PS2=")
        except BaseException:
            self.close()
            raise

    def ask(self, number: int) -> float:
        """Have every node print a word; return when all have come, in monotonic seconds."""
        command, wanted = word(number)
        self._broadcast(command)
        pending = {client.stdout: b"" for client in self._clients}
        deadline = time.monotonic() + LIMIT
        while pending:
            ready = self._selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                raise DustError(f"ssh -tt: {len(pending)} nodes do not answer")
            for key, _ in ready:
                data = os.read(key.fd, 1 << 16)
                if not data:
                    raise DustError("ssh -tt: a session has ended")
                if key.fileobj in pending:
                    pending[key.fileobj] += data
                    if wanted in pending[key.fileobj]:
                        del pending[key.fileobj]
        return time.monotonic()

    def rest(self, seconds: float) -> None:
        """Let it be for that long."""
        time.sleep(seconds)

    def processes(self) -> list[Process]:
        """The ssh clients. The loop itself is the bench's and not counted."""
        return [process for client in self._clients for process in processes.tree(client.pid)]

    def close(self) -> None:
        """End all clients, and wait until they have ended."""
        left = self.processes()
        self._selector.close()
        for client in self._clients:
            client.terminate()
        processes.end(left, PATIENCE)
        for client in self._clients:
            client.communicate()

    def _broadcast(self, command: str) -> None:
        for client in self._clients:
            assert client.stdin
            client.stdin.write(command.encode() + b"\n")
