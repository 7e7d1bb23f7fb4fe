"""How long one command on many nodes takes, and how fast the output of many is labelled."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tabulate import tabulate

from bench import peer
from bench.fleet import Fleet
from bench.rate import LINE
from bench.tools import LIMIT, environment
from dust.errors import DustError

#: Ansible takes seconds where the others take tenths: measured up to so many nodes.
MOST_ANSIBLE = 64
#: Bytes that a node prints, and how many nodes print.
SIZE, PRINTING = 20_000_000, 16
DUST_AT = "dust-at"
#: dust-at that keeps no connections of its own, as the others do not.
KEEPING_NONE = "persist:0"
NOTE = """\
Medians of {runs} run(s), in seconds, each from starting the tool to its end; the tools take turns.
cold: `true` with no connection there. warm: over connections that are up, which dust-at keeps by
itself and all others by ControlMaster in the ssh_config; persist:0 is dust-at too, keeping none by
itself. xargs: `xargs -P64 ssh`. pdsh, clush,
pssh: -f (or -p) 64. ansible: `-m raw -f 64`. A tool that is not installed is left out."""
RATE_NOTE = """\
{size} MB of lines from each of {count} nodes, labelled, into one file (pssh: a file for each, no
labels; ssh: the same, by one ssh a node at once). MB/s, medians of {runs} run(s)."""


@dataclass(frozen=True)
class Target:
    """The nodes of a measurement, as the tools are told of them."""

    config: Path
    names: list[str]
    hosts: Path
    env: Mapping[str, str]


def report(fleet: Fleet, counts: Sequence[int], runs: int, say: Callable[[str], None]) -> str:
    """Measure every tool; returns the tables."""
    tools = _tools()
    rows: dict[str, list[list[str]]] = {}
    for warm in (False, True):
        for count in counts:
            names = [n for n in tools if n != "ansible" or count <= MOST_ANSIBLE]
            taken: dict[str, list[float]] = {name: [] for name in names}
            for run in range(runs):
                for name in _turned(names, run):
                    say(f"{'warm' if warm else 'cold'}, {count} nodes, run {run + 1}: {name}")
                    target = _target(fleet, count, name, warm)
                    taken[name].append(_one(tools[name], target, warm))
            for name in tools:
                cells = [f"{median(taken[name]):.2f}"] if name in taken else ["-"]
                rows.setdefault(name, []).append(cells)
    headers = ["", *(f"{kind} {n}" for kind in ("cold", "warm") for n in counts)]
    body = [[name, *(cell for cells in found for cell in cells)] for name, found in rows.items()]
    return "\n\n".join(
        [
            tabulate(body, headers=headers, disable_numparse=True, stralign="right"),
            NOTE.format(runs=runs),
            _rates(fleet, runs, say),
        ]
    )


def _turned(names: list[str], run: int) -> list[str]:
    """The names with another one first in each run."""
    first = run % len(names)
    return names[first:] + names[:first]


# --- the tools


Call = Callable[[Target, str], list[str]]


def _tools() -> dict[str, Call]:
    """What there is on this machine, by name; clush and ansible are installed by pip."""
    clush, ansible = str(peer.install_clush()), str(peer.install_ansible())
    dust_at = [str(peer.install_dust_at())]
    xargs = ["sh", "-c", 'xargs -P64 -I{} ssh -F "$1" {} "$2" <"$3"', "sh"]
    found: dict[str, Call] = {
        DUST_AT: lambda t, line: [*dust_at, "-F", str(t.config), "-f", "64", "*", line],
        KEEPING_NONE: lambda t, line: [*dust_at, "-F", str(t.config), "-f", "64", "*", line],
        "xargs": lambda t, line: [*xargs, str(t.config), line, str(t.hosts)],
    }
    if shutil.which("pdsh"):
        pdsh = ["pdsh", "-R", "ssh", "-f", "64", "-w"]
        found["pdsh"] = lambda t, line: [*pdsh, ",".join(t.names), line]
    options = ["-f", "64", "-o"]
    found["clush"] = lambda t, line: [
        clush, *options, f"-F {t.config}", "-w", ",".join(t.names), line,
    ]  # fmt: skip
    if pssh := shutil.which("parallel-ssh") or shutil.which("pssh"):
        found["pssh"] = lambda t, line: [
            pssh, "-p", "64", "-t", "0", "-h", str(t.hosts), "-x", f"-F {t.config}", line,
        ]  # fmt: skip
    raw = ["-m", "raw", "-f", "64", "-a"]
    found["ansible"] = lambda t, line: [
        ansible, "all", "-i", ",".join([*t.names, ""]), *raw, line,
        "--ssh-common-args", f"-F {t.config}",
    ]  # fmt: skip
    return found


def _target(fleet: Fleet, count: int, name: str, warm: bool) -> Target:
    """What a tool is told; each has connections of its own."""
    folder = fleet.directory / "c" / name
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    config = folder / "ssh_config"
    kept = f"ControlMaster auto\nControlPath {folder}/%C\nControlPersist 60\n"
    shared = kept if warm and name != DUST_AT else ""
    config.write_text(fleet.ssh_config(count).read_text() + shared)
    hosts = folder / "hosts"
    hosts.write_text("".join(f"{node}\n" for node in fleet.names(count)))
    env = environment(fleet.directory / "home")
    if name == KEEPING_NONE:
        env["DUST_HOME"] = str(folder)
        (folder / "config.yaml").write_text("persist: 0\n")
    env["PDSH_SSH_ARGS"] = f"-2 -a -x -F{config} %h"
    # by default it has ways of its own to keep connections
    env["ANSIBLE_SSH_ARGS"] = "-o ForwardAgent=no"
    return Target(config, fleet.names(count), hosts, env)


def _one(call: Call, target: Target, warm: bool) -> float:
    """Seconds for `true` on all nodes."""
    argv = call(target, "true")
    if warm:
        _run(argv, target.env, subprocess.DEVNULL)
    else:
        _disconnect(target)
    taken = _run(argv, target.env, subprocess.DEVNULL)
    if not warm:
        _disconnect(target)
    return taken


def _disconnect(target: Target) -> None:
    """End the connections that are kept."""
    home = Path(target.env["DUST_HOME"])
    for folder in (target.config.parent, home / "cm"):
        for path in folder.glob("*"):
            if path.is_socket():
                end = ["ssh", "-o", f"ControlPath={path}", "-O", "exit", "node"]
                subprocess.run(end, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _run(argv: list[str], env: Mapping[str, str], out: int) -> float:
    begun = time.monotonic()
    done = subprocess.run(
        argv, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE, timeout=LIMIT
    )
    taken = time.monotonic() - begun
    if done.returncode:
        raise DustError(f"{shlex.join(argv)[:300]}: exit {done.returncode}: {done.stderr!r}")
    return taken


# --- output


def _rates(fleet: Fleet, runs: int, say: Callable[[str], None]) -> str:
    """MB/s of labelled output of every tool that does not take minutes."""
    count = min(PRINTING, len(fleet.nodes))
    tools = _tools()
    measures: dict[str, Call] = {DUST_AT: tools[DUST_AT]}
    measures |= {name: tools[name] for name in ("pdsh", "pssh") if name in tools}
    measures["ssh"] = tools["xargs"]
    taken: dict[str, list[float]] = {name: [] for name in measures}
    for run in range(runs):
        for name in _turned(list(measures), run):
            say(f"output of {count} nodes, run {run + 1} of {runs}: {name}")
            taken[name].append(_rate(fleet, name, measures[name]))
    rows = [[name, f"{median(found):.0f}"] for name, found in taken.items()]
    note = RATE_NOTE.format(size=SIZE // 1_000_000, count=count, runs=runs)
    return f"{tabulate(rows, headers=['output', 'MB/s'], disable_numparse=True)}\n\n{note}"


def _rate(fleet: Fleet, name: str, call: Call) -> float:
    """MB/s of what the nodes print; all of it must be there."""
    target = _target(fleet, min(PRINTING, len(fleet.nodes)), name, False)
    folder = target.config.parent / "out"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    payload = fleet.directory / "payload"
    payload.write_bytes(LINE * (SIZE // len(LINE)))
    argv = call(target, f"cat {shlex.quote(str(payload))}")
    if name == "pssh":
        argv[1:1] = ["-o", str(folder)]
    if name == "ssh":
        one = """sh -c 'exec ssh -F "$1" "$2" "$3" >"$4/$2"' sh "$1" {} "$2" "$4" <"$3\""""
        argv[2:3] = [f"xargs -P64 -I{{}} {one}"]
        argv.append(str(folder))
    with (folder / "all").open("wb") as out:
        taken = _run(argv, target.env, out.fileno())
    written = sum(path.stat().st_size for path in folder.iterdir())
    if written < SIZE * len(target.names):
        raise DustError(f"{name} lost output: {written:,} bytes are there")
    shutil.rmtree(folder)
    return SIZE * len(target.names) / taken / 1e6
