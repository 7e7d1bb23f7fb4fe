"""The programs that are compared, each driven by the lines that a user would type."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.fleet import Fleet

DUST = Path(__file__).resolve().parent.parent.parent / "bin" / "dust"
#: How long anything may take before the bench gives up, in seconds.
LIMIT = 300.0
#: How long a tool has to end when its input and its terminal are gone.
PATIENCE = 10.0


@dataclass(frozen=True)
class Tool:
    """How to call a program, and what stands before a line for all nodes.

    `terminal` says whether its lines come from a terminal or through a pipe. `greeting` is what it
    prints, for a number of nodes, when it is done with a line: by itself, or where `probe` is the
    next line.
    """

    name: str
    argv: Callable[[Fleet, int], list[str]]
    prefix: str
    terminal: bool
    greeting: Callable[[int], str]
    probe: str = ""


def dust(*, prompt: bool = False) -> Tool:
    """Dust of this checkout, its lines from a pipe or typed at its prompt."""

    def argv(fleet: Fleet, count: int) -> list[str]:
        return [sys.executable, str(DUST), "-F", str(fleet.ssh_config(count))]

    if prompt:
        return Tool("dust's prompt", argv, "@ ", True, lambda count: "\x1b")
    return Tool("dust", argv, "@ ", False, lambda count: "stream", "output")


def polysh(program: Path, *, prompt: bool) -> Tool:
    """polysh, with the ssh call that it has by default, but for the configuration."""

    def argv(fleet: Fleet, count: int) -> list[str]:
        config = shlex.quote(str(fleet.ssh_config(count))).replace("%", "%%")
        ssh = f"exec ssh -F {config} -t %(host)s %(port)s"
        return [str(program), "--no-color", f"--ssh={ssh}", *fleet.names(count)]

    return Tool("polysh", argv, "", prompt, lambda count: f"ready ({count})>")


def environment(home: Path) -> dict[str, str]:
    """What a tool inherits: nothing of the user's settings, no agent."""
    home.mkdir(mode=0o700, exist_ok=True)
    dropped = {"PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "SSH_AUTH_SOCK", "SSH_ASKPASS", "DISPLAY"}
    kept: Mapping[str, str] = {k: v for k, v in os.environ.items() if k not in dropped}
    return {**kept, "HOME": str(home), "DUST_HOME": str(home / "dust"), "TERM": "xterm"}
