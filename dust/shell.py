"""One typed line becomes one action; the one place where errors become messages and statuses."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from dust import faults, lines
from dust.command import HelpRequested
from dust.context import Context
from dust.errors import DustError, Ending, Interrupted, UsageError
from dust.link import DOWN, LIVE, READY, UNFINISHED, WAITING
from dust.node import Node
from dust.printer import OutputClosed
from dust.run import BY_CTRL_C, Run

#: What some editors put before a text.
_BOM = b"\xef\xbb\xbf"


class Shell:
    """Carries out lines on a context."""

    def __init__(self, context: Context) -> None:
        self.context = context
        context.registry.load()
        for problem in context.registry.problems:
            context.printer.error(str(problem))

    def execute(self, text: str, *, wait: bool = True) -> int:
        """Carry out one line (which may span several) and return its exit status.

        With `wait` a line on nodes is waited for; without, its output comes as it comes.
        """
        context = self.context
        context.failed = False
        try:
            status = self._told(text, wait)
            context.printer.flush()
        except (Interrupted, KeyboardInterrupt):
            self.give_up()
            status = BY_CTRL_C
        return status or int(context.failed)

    def give_up(self) -> None:
        """After Ctrl-C: show and ask no more, and say so."""
        printer = self.context.printer
        with _undisturbed():  # whoever holds the key is told all the same
            self.context.display.questions.give_up()
            cut = ": not all of it was shown" if printer.drop() else ""
            printer.tell(f"interrupted{cut}")

    def _told(self, text: str, wait: bool) -> int:
        """Carry out one line, with what goes wrong turned into a message and a status."""
        context = self.context
        try:
            return self._act(lines.parse(text), wait)
        except HelpRequested as help:
            context.printer.say(str(help))
            return 0
        except DustError as error:
            context.printer.error(str(error))
            return error.status
        except (Interrupted, OutputClosed, Ending):
            raise
        except SystemExit as error:  # a plugin's, which is not to end more than its command
            return faults.tell_exit(error, context.printer)
        except Exception as error:  # a bug, of a plugin's or ours: the prompt lives
            return faults.tell(error, context.printer)

    def _act(self, action: lines.Action, wait: bool) -> int:
        if isinstance(action, lines.Remote):
            return self._remote(action, wait)
        if isinstance(action, lines.Raw):
            return self._raw(action.target)
        if isinstance(action, (lines.System, lines.Local)) and "\0" in action.text:
            raise UsageError("there is a NUL in this line, which no name has")
        if isinstance(action, lines.System):
            return self._system(action.text)
        if isinstance(action, lines.Local):
            return self._local(action)
        return 0

    # --- lines on nodes

    def _remote(self, action: lines.Remote, wait: bool) -> int:
        context = self.context
        nodes = context.addressed(action.target)
        if self.continues(nodes, action.line):
            lines.check_whole(action.line)
        run = context.send(nodes, action.line)
        if not wait:
            return 0
        waiting = context.waiter.wait_for_run(run)
        return 0 if waiting else run.status

    def continues(self, nodes: list[Node], line: str) -> bool:
        """Whether a line is unfinished as a command, and some node would take it as one."""
        if lines.unfinished(line) is None:
            return False
        links = self.context.sessions.links
        return any(
            node.running and (node.id not in links or links[node.id].state not in ("busy", WAITING))
            for node in nodes
        )

    def _lacks(self, text: str) -> str:
        """What an `@` line that is unfinished lacks; else ""."""
        try:
            action = lines.parse(text)
            if not isinstance(action, lines.Remote):
                return ""
            what = lines.unfinished(action.line) or ""
            # While nodes are not listed none has anything that could take it.
            if not what or not self.context.listing.ready():
                return what
            return what if self.continues(self.context.running(action.target), action.line) else ""
        except DustError:
            return ""

    def _raw(self, target: str) -> int:
        from dust.raw import attach  # not before it is wanted

        nodes = self.context.running(target)
        if len(nodes) != 1:
            what = target or "the working set"
            raise UsageError(
                f"raw mode takes one node and {what} has {len(nodes)}; "
                "to send a line, put it after the target; `enter` sends an empty one"
            )
        attach(self.context, nodes[0])
        return 0

    # --- commands

    def _local(self, action: lines.Local) -> int:
        context = self.context
        try:
            command = context.registry.find(action.name)
        except UsageError:
            return self._system(action.text, action.name)
        context.plugin = command.plugin
        command(context, **command.bind(action.words))
        return 0

    def _system(self, text: str, name: str = "") -> int:
        """Hand a line to the local shell; `name`, if given, is a word that must be known there."""
        shell = os.environ.get("SHELL") or "/bin/sh"
        if name and name.replace("-", "").isalnum() and not _known_to_shell(name):
            close = get_close_matches(name, list(self.context.registry.commands), 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise UsageError(f"no command or program {name}{hint}")
        self.context.printer.flush()
        argv = [shell, "-c", text] if text else [shell]
        try:
            with _undisturbed() as pressed:  # Ctrl-C is the program's
                status = subprocess.run(argv, check=False).returncode
            if status < 0:
                status = 128 - status  # by a signal, as any shell has it
            if pressed and status == BY_CTRL_C and os.isatty(1):
                self.context.printer.say()  # behind the ^C that the terminal shows
            return status
        except OSError as error:
            raise UsageError(f"{shell}: {error.strerror}") from error

    # --- scripts

    def script(self, typed: Iterable[str]) -> int:
        """Carry out lines until the end, `exit`, or with `set -e` the first failure.

        Returns the worst status. Lines that are unfinished go on in the next one.
        """
        worst = 0
        for text in self.joined(typed):
            status = self.execute(text)
            worst = max(worst, status)
            if self.context.leaving is not None:
                return self.context.leaving or worst
            if status == BY_CTRL_C or (status and self.context.settings.errexit):
                return status if status == BY_CTRL_C else worst
        return max(worst, self._left_waiting())

    def joined(self, typed: Iterable[str]) -> Iterator[str]:
        """The lines, unfinished ones together with those that finish them."""
        return (entry for entry, _ in self._gathered(typed))

    def goes_on(self, text: str) -> bool:
        """Whether the last of these lines is unfinished, so that reading has to go on."""
        *_, (_, lacking) = self._gathered(text.split("\n"))
        return bool(lacking)

    def _gathered(self, typed: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Each whole line, and the last one with what it lacks."""
        held: list[str] = []
        lacking = ""
        for line in typed:
            held.append(line)
            if not lines.leaves_open(lacking, line):  # or each line of a long text is read again
                lacking = self._lacks("\n".join(held))
            if not lacking:
                yield "\n".join(held), ""
                held.clear()
        if held:
            yield "\n".join(held), lacking

    def _left_waiting(self) -> int:
        """At the end of a script, nobody will answer what still waits for input."""
        run: Run | None = self.context.last
        if run is None or run.done:
            return 0
        for node in run.unfinished():
            link = self.context.sessions.links[node.id]
            line = link.state == UNFINISHED
            what = "the rest of its line" if line else f"input: {link.asked}"
            self.context.printer.error(f"{node.name}: still waits for {what}")
        return 1

    # --- for the prompt

    def status(self) -> dict[str, int]:
        """How many sessions are in each state; empty before there are any.

        A session that ended with its node is none that anybody could want back.
        """
        if not self.context.has_sessions:
            return {}
        counts = self.context.sessions.counts()
        if DOWN in counts:
            known = {node.id for node in self.context.cluster.known()}
            links = self.context.sessions.links.items()
            counts[DOWN] = sum(link.state == DOWN and id in known for id, link in links)
        return {state: count for state, count in counts.items() if count}

    def interrupt_last(self) -> bool:
        """Ctrl-C to what the last run's nodes do; False if nothing runs there."""
        run = self.context.last
        if run is None:
            return False
        links = self.context.sessions.links
        nodes = [r.node for r in run.results.values()]
        busy = [n for n in nodes if n.id in links and links[n.id].state not in (READY, DOWN)]
        if not busy:
            return False
        interrupted = self.context.waiter.interrupt(busy)
        self.context.printer.flush()  # what ended by it ended between two turns of the loop
        return bool(interrupted)

    def progress(self) -> str:
        """How far the last line is; "" once it is done, and where one node alone has it."""
        run = self.context.last
        if run is None or run.done or len(run.results) < 2 or not self.context.settings.progress:
            return ""
        return run.progress(self.context.cluster.label)

    def running(self) -> list[Node]:
        """The nodes whose sessions have something running, or are to run something once open."""
        links = self.context.sessions.links.values() if self.context.has_sessions else ()
        busy = LIVE - {READY}
        return [link.node for link in links if link.state in busy or link.queue]


def read_lines(shell: Shell, fd: int) -> Iterator[str]:
    """Lines of a script on a descriptor; while none is there, output of the nodes is taken in."""
    held, begun = b"", False
    while True:
        if not begun and not _BOM.startswith(held):
            held, begun = held.removeprefix(_BOM), True
        head, newline, held = held.partition(b"\n")
        if newline:
            yield head.decode("utf-8", "surrogateescape").rstrip("\r")
            continue
        held = head
        if shell.context.has_sessions:
            sessions = shell.context.sessions
            while fd not in select.select([fd, sessions.fileno()], [], [])[0]:
                sessions.pump(0)
        data = os.read(fd, 1 << 16)
        if not data:
            if held:
                yield held.decode("utf-8", "surrogateescape")
            return
        held += data


def _known_to_shell(name: str) -> bool:
    """Whether the local shell has a program, builtin or keyword of this name."""
    if shutil.which(name):
        return True
    shell = os.environ.get("SHELL") or "/bin/sh"
    probe = [shell, "-c", 'command -v "$1" || type "$1"', "sh", name]
    found = subprocess.run(probe, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    return found.returncode == 0


@contextlib.contextmanager
def _undisturbed() -> Iterator[list[int]]:
    """Ctrl-C is only noted here; it is not ignored, which programs would inherit."""
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


def is_script(fd: int = 0) -> bool:
    """Whether lines come from a file or a pipe rather than from a person."""
    return not (os.isatty(fd) and os.isatty(1))
