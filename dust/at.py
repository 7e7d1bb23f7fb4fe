"""dust-at: one command on a set of nodes, for scripts.

Usage:
  dust-at [options] [-x TARGET]... ((-w TARGET)... | TARGET) COMMAND...

The command's words are joined by spaces, as ssh does; {name}, {ip} and the like are filled in for
each node. It runs without a terminal: standard output and error stay apart, and standard input
goes to every node. What follows TARGET belongs to the command: options come first.

Output options:
  -N                  no labels: the bytes as they come
  -b                  identical outputs once, under the names of their nodes
  --json              an object a line for each node as it ends
  -o DIR              standard output into a file for each node
  -e DIR              standard error into a file for each node
  -q, --quiet         no progress and no summary

Node options:
  -w TARGET           the nodes, as pdsh and clush have it; may be given again
  -x TARGET           but not these; may be given again
  -l USER             log in as this user
  --backend NAME      where nodes come from: local, ssh or ec2
  --profile NAME      the AWS profile (alone: the ec2 backend)
  --region NAME       the AWS region (alone: the ec2 backend)
  --cluster NAME      the working set; '*' is all nodes
  -F FILE             the ssh configuration to use (alone: the ssh backend, with its hosts)
  -i FILE             an inventory or a file of hosts, - for standard input (the ssh backend)

Further options:
  -n                  give the command no input
  -t                  with a terminal, as ssh -t; what you type reaches one node, not several
  -f N                nodes at the same time, at most
  -u SECONDS          give up what still runs after that time
  --connect-timeout SECONDS
  --retry N           try a node that cannot be reached again, up to N times
  --fail-fast         at the first failure end what runs, and begin no more
  --dry-run           show the nodes and the calls of ssh, and run nothing
  -S                  accepted: the exit status is always the nodes'
  -h, --help          show this
  --version           show the version

Exit status: the worst of the commands'; 255 where a node could not be reached, 124 where the time
was up, 130 when interrupted, 2 for wrong usage and where dust-at itself fails.
"""

from __future__ import annotations

import atexit
import gc
import os
import re
import sys
from collections.abc import Callable, Sequence
from math import ceil, isfinite
from typing import TYPE_CHECKING, Any

from dust.cli import backend, guarded, parse, settled
from dust.errors import DustError, UsageError

if TYPE_CHECKING:
    from dust.calls import Calls
    from dust.cluster import Cluster
    from dust.config import Settings
    from dust.feed import Feed
    from dust.jumps import Jump
    from dust.node import Node
    from dust.report import Report

# An option of ssh's, where clush has its -o.
_SSH_OPTION = r"[A-Z][A-Za-z]+[ =]"
#: What is done with the output or the time, which a command that has the terminal does not know.
_HANDLING = ("-b", "--json", "-o", "-e", "-n", "-u", "--retry", "--fail-fast")
# A login name as ssh takes it, also one of a domain.
_USER = r"(?!-)[A-Za-z0-9_.@+\\-]+"

NAME = "dust-at"
#: The exit status for what is no node's fault.
FAILED = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run dust-at with these arguments (the process's own if None); returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if argv is None:  # a short life: garbage is hardly looked for, and at the end not at all
        gc.set_threshold(50_000)
        atexit.register(gc.freeze)
    return guarded(lambda: _run(parse(__doc__, words, NAME, options_first=True)), FAILED, NAME)


def _run(options: dict[str, Any]) -> int:
    from dust.asker import asker
    from dust.calls import Calls
    from dust.cluster import Cluster
    from dust.guard import Guard
    from dust.oneshot import OneShots
    from dust.run import Run
    from dust.ssh import ONE_SHOT

    if options["TARGET"] == "--":
        options["TARGET"], *options["COMMAND"] = options["COMMAND"]
    _check(options)
    timeout, retries = _seconds(options, "-u"), _count(options["--retry"])
    preferences = _preferences(options)
    settings = settled(options, NAME)
    cluster = Cluster(backend(settings), use=settings.use)
    cluster.way_out = "--cluster '*' takes in all nodes"
    nodes = _nodes(cluster, options)
    line = _line(options["COMMAND"], nodes, cluster)
    # The ssh that a terminal is given to waits for it: nobody else's may.
    handed = options["-t"] and len(nodes) == 1 and _is_plain(options)
    place, kept = ("", {}) if handed else _kept(settings, borrowing=not options["--dry-run"])
    alone = Calls(ONE_SHOT)
    calls = alone.preferring(kept)

    def argv(node: Node, log: str) -> list[str]:
        ours = [*preferences, "-E", log]
        return calls.argv(cluster.backend, node, line(node), tty=options["-t"], options=ours)

    if options["--dry-run"]:
        return _rehearse(nodes, argv, None if options["-N"] else cluster.label)
    if handed:
        return _hand_over(
            calls.argv(cluster.backend, nodes[0], line(nodes[0]), options=preferences)
        )
    run = Run.on(nodes, " ".join(options["COMMAND"]), whole=options["-b"] or options["--json"])
    guard = Guard()
    shots = OneShots(
        run,
        argv,
        guard,
        jumps=_jumps(
            alone,
            cluster,
            nodes,
            place or guard.folder,
            settings.persist if place else 0,
            _connect_timeout(options),
        ),
        feed=_feed(options),
        asker=asker(),
        fanout=settings.fanout,
        timeout=timeout,
        patience=settings.connect_timeout,
        retries=retries,
        fail_fast=options["--fail-fast"],
        kept=place,
    )

    def report() -> Report:
        from dust.forms import report  # while the first connect

        return report(options, settings, run, cluster.label, NAME)

    number = shots.shoot(report)
    return 128 + number if number else run.status


# --- what was asked for


def _check(options: dict[str, Any]) -> None:
    """Refuse forms of output that exclude each other. Raises UsageError."""
    command = next(iter(options["COMMAND"]), "")
    if not command:
        raise UsageError("there is no command")
    if command.startswith("-") and command != "--":
        raise UsageError(f"{command} stands after the target: options come before it")
    if options["-o"] and re.match(_SSH_OPTION, options["-o"]):
        raise UsageError("-o takes a folder for the output; options of ssh are read from -F")
    if options["-o"] and options["-e"]:
        if os.path.abspath(options["-o"]) == os.path.abspath(options["-e"]):
            raise UsageError("-o and -e: each needs a folder of its own")
    forms = [name for name in ("-N", "-b", "--json") if options[name]]
    if options["--json"]:
        forms += [name for name in ("-o", "-e") if options[name] is not None]
    if len(forms) > 1:
        raise UsageError(f"{' and '.join(forms)}: choose one")


def _nodes(cluster: Cluster, options: dict[str, Any]) -> list[Node]:
    """The running nodes of the target, less the excluded ones. Raises TargetError."""
    targets, others = options["-w"] or [options["TARGET"]], options["-x"]
    if any("@" in target for target in (*targets, *others)):
        from dust.groups import Groups  # few targets name one

        cluster.groups = Groups()
    if not all(target.strip() for target in targets):  # a script's variable that is not set
        raise UsageError("the target is empty; '*' is all nodes")
    nodes = {node.id: node for target in targets for node in cluster.addressed(target)}
    for target in others:
        for node in cluster.select(target):
            nodes.pop(node.id, None)
        if not nodes:
            raise UsageError(f"-x {target} leaves no node")
    return list(nodes.values())


def _line(words: list[str], nodes: list[Node], cluster: Cluster) -> Callable[[Node], str]:
    """The command of each node, with its variables filled."""
    command = " ".join(words[1:] if words[0] == "--" else words)
    if "{" not in command:
        return lambda node: command
    from dust.lines import filled  # most commands have none

    return filled(command, nodes, cluster.number)


def _preferences(options: dict[str, Any]) -> list[str]:
    """What was asked of ssh itself."""
    asked: list[str] = []
    if user := options["-l"]:
        if not re.fullmatch(_USER, user):
            raise UsageError(f"-l {user}: this is no name of a user")
        asked += ["-o", f"User={user}"]
    return asked + _connect_timeout(options)


def _connect_timeout(options: dict[str, Any]) -> list[str]:
    seconds = _seconds(options, "--connect-timeout")
    return ["-o", f"ConnectTimeout={ceil(seconds)}"] if seconds else []


def _kept(settings: Settings, *, borrowing: bool) -> tuple[str, dict[str, str]]:
    """The folder of connections that are kept for the next call, and what has ssh keep them.

    Both are empty where none can be kept. If `borrowing`, those of sessions are in the folder too.
    """
    from dust import config, ssh
    from dust.sharing import borrow

    try:
        folder = config.folder("cm")
        kept = ssh.shared(folder, settings.persist)
        if kept and borrowing:
            borrow(folder)
    except (DustError, OSError):  # a home that cannot be written, or has an odd name
        return "", {}
    return (str(folder) if kept else ""), kept


def _jumps(
    calls: Calls,
    cluster: Cluster,
    nodes: list[Node],
    folder: str,
    seconds: int,
    asked: list[str],
) -> dict[str, Jump]:
    """The jump hosts whose connections are shared, by the ids of the nodes behind them.

    Their sockets are in `folder`; they are kept for so many `seconds` after their last use.
    `calls` prefer no sharing, `asked` is what was asked of ssh.
    """
    from dust import jumps

    find = jumps.finder(
        calls, cluster.backend, nodes, lambda name: f"{folder}/{name}", seconds, asked
    )
    found = zip(nodes, find(nodes), strict=True) if find else ()
    return {node.id: way.jump for node, way in found if way.jump}


def _seconds(options: dict[str, Any], name: str) -> float | None:
    """A number of seconds. Raises UsageError."""
    text = options[name]
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError as error:
        raise UsageError(f"{name} {text}: this is no number of seconds") from error
    if not isfinite(seconds) or seconds <= 0:
        raise UsageError(f"{name} {text}: this is no time")
    return seconds


def _count(text: str | None) -> int:
    if text is None:
        return 0
    if not (text.isascii() and text.isdigit()):
        raise UsageError(f"--retry {text}: this is no number of times")
    return int(text)


def _feed(options: dict[str, Any]) -> Feed | None:
    """Standard input, where the command may have it."""
    if options["-n"] or options["-i"] == "-":
        return None
    # One of a job in the background would stop us, and a remote terminal echoes by itself.
    if os.isatty(0) and (options["-t"] or os.tcgetpgrp(0) != os.getpgrp()):
        if options["-t"] and not options["--quiet"]:
            print(f"{NAME}: what you type reaches no node", file=sys.stderr)
        return None
    from dust.feed import Feed

    return Feed(0)


# --- what is done


def _rehearse(
    nodes: list[Node],
    argv: Callable[[Node, str], list[str]],
    name: Callable[[Node], str] | None,
) -> int:
    """Show what would be run, behind the names of the nodes if these are wanted."""
    from shlex import join

    from dust.plain import printable
    from dust.printer import write

    for node in nodes:
        label = f"[{name(node)}] " if name else ""
        line = printable(label + join(argv(node, os.devnull)))
        write(1, f"{line}\n".encode("utf-8", "replace"))
    return 0


def _is_plain(options: dict[str, Any]) -> bool:
    """Whether ssh may have the terminal itself, with what else was asked for."""
    return os.isatty(0) and os.isatty(1) and not any(options[name] for name in _HANDLING)


def _hand_over(argv: list[str]) -> int:
    """Let ssh have the terminal, and this process."""
    try:
        os.execvp(argv[0], argv)
    except OSError as error:
        raise UsageError(f"ssh cannot be started: {error.strerror}") from error
