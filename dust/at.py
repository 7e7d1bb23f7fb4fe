"""dust-at: one command on a set of nodes, for scripts.

Usage:
  dust-at [options] TARGET COMMAND...

The command's words are joined by spaces, as ssh does. It runs in a session with a terminal, so
standard output and error of a node come together.

Options:
  -b                  identical outputs once, under the names of their nodes
  -f N                connections that are opened at the same time, at most
  -u SECONDS          give up what still runs after that time
  --connect-timeout SECONDS
  --backend NAME      where nodes come from: local, ssh or ec2
  --profile NAME      the AWS profile (alone: the ec2 backend)
  --region NAME       the AWS region (alone: the ec2 backend)
  --cluster NAME      the working set
  -F FILE             the ssh configuration to use (alone: the ssh backend, with its hosts)
  -i FILE             an inventory or a file of hosts, - for standard input (the ssh backend)
  -h, --help          show this
  --version           show the version

Exit status: the worst of the commands'; 255 where a node could not be reached, 124 where the time
was up, 130 when interrupted, 2 for wrong usage.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from dust import __version__
from dust.cli import INTERRUPTED, backend, end_on_signals, guarded, parse, settled
from dust.errors import UsageError

#: The exit status where the time was up, as of timeout(1).
TIMED_OUT = 124


def main(argv: Sequence[str] | None = None) -> int:
    """Run dust-at with these arguments (the process's own if None); returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words == ["--version"]:
        print(f"dust-at {__version__}")
        return 0
    return guarded(lambda: _run(parse(__doc__, words, options_first=True)))


def _run(options: dict[str, Any]) -> int:
    from dust.context import Context, Interrupted

    settings = settled(options)
    if options["-b"]:
        settings = replace(settings, output="fold")
    timeout = _seconds(options["-u"])
    context = Context(settings, backend(settings))
    end_on_signals()
    try:
        nodes = context.running(options["TARGET"])
        run = context.send(nodes, " ".join(options["COMMAND"]))
        in_time = context.wait(lambda: run.done, timeout, run)
        if not in_time:
            late = ", ".join(context.cluster.label(node) for node in run.unfinished())
            context.printer.error(f"{late}: still running after {timeout:g} s")
        return run.status if in_time else TIMED_OUT
    except Interrupted:
        return INTERRUPTED
    finally:
        context.close()


def _seconds(text: str | None) -> float | None:
    """A number of seconds. Raises UsageError."""
    try:
        seconds = float(text) if text is not None else None
    except ValueError as error:
        raise UsageError(f"-u {text}: this is no number of seconds") from error
    if seconds is not None and not 0 < seconds < float("inf"):
        raise UsageError(f"-u {text}: this is no time")
    return seconds
