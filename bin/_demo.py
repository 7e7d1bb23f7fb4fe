"""Start real nodes on this machine and open dust on them: master, worker1, worker2, ...

Usage:
  bin/demo [<nodes> | --cloud] [-c LINE]... [--keep]
  bin/demo --stop
  bin/demo --help

<nodes> is how many, 3 if it is not given, or the file of a cluster's spec, whose nodes are then
made on this machine. They end with dust.

Options:
  -c LINE     Run this line instead of the prompt; several run in turn. The exit
              status is the worst of theirs.
  --cloud     Have a cloud of its own instead: EC2 and CloudFormation as a moto server plays
              them, with a real node behind each instance. No account is needed.
  -k, --keep  Leave the nodes running.
  --stop      End the nodes that --keep left running.
  -h, --help  Show this.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TextIO

from docopt import DocoptExit, docopt

from dust.backends.local import LocalBackend
from dust.backends.localstacks import LocalStacks
from dust.cli import unknown_option
from dust.clusterspec import Group, Options, Spec
from dust.errors import DustError
from dust.nodeset import fold
from dust.specfile import read

ROOT = Path(__file__).resolve().parent.parent
ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
# How long dust has to end when the demo is told to, in seconds.
GRACE = 5.0
CLOUD = """\
A cloud of this machine's own, which ends with dust (exit). To begin with:
  show
  assign tags=cluster-name:webtest webtest
  cluster create {home}/slurm1.yaml"""


def main(argv: list[str]) -> int:
    """Run the demo that `argv` describes and return the exit status."""
    try:
        options = docopt(__doc__ or "", argv)
    except DocoptExit as error:
        unknown = unknown_option(__doc__ or "", argv)
        what = f"no option {unknown}" if unknown else f"cannot understand {shlex.join(argv)!r}"
        print(f"bin/demo: {what}", error.usage, file=sys.stderr, sep="\n")
        return 2
    try:
        spec = None if options["--cloud"] else wanted(options["<nodes>"] or "3")
    except DustError as error:
        print(f"bin/demo: {error}", file=sys.stderr)
        return 2
    if options["--cloud"] and options["--keep"]:
        print("bin/demo: the cloud ends with dust, --keep or not", file=sys.stderr)
        return 2
    for each in ENDING:
        signal.signal(each, _end)
    try:
        if options["--stop"]:
            ended = sweep(kept=True)
            plural = "" if ended == 1 else "s"
            print(f"Ended {ended or 'no'} node{plural}.")
            return 0
        sweep(kept=False)
        if spec is None:
            return cloud(options["-c"])
        return demo(spec, options["-c"], options["--keep"])
    except (DustError, OSError) as error:
        print(f"bin/demo: {error}", file=sys.stderr)
        return 1


def wanted(nodes: str) -> Spec:
    """The cluster that is meant by a number of nodes or the file of a spec. Raises `DustError`."""
    if nodes.isascii() and nodes.isdecimal() and int(nodes):
        names = ["master", *(f"worker{number}" for number in range(1, int(nodes)))]
        return Spec("demo", "local", "", (Group(tuple(names), "", Options()),))
    if not (os.path.exists(nodes) or nodes.endswith((".yaml", ".yml"))):
        raise DustError(f"{nodes!r} is no number of nodes, such as 3, and no file of a spec")
    return read(Path(nodes))


def demo(spec: Spec, lines: list[str], keep: bool) -> int:
    """Start the nodes of a spec, run dust on them and end them; return dust's exit status."""
    with new_home() as home:
        try:
            stacks = LocalStacks(LocalBackend(home / "local"))
            plan = stacks.plan(spec)
            for remark in plan.remarks:
                print(remark, file=sys.stderr)
            stacks.create(plan, lambda stack: True)
            if keep:
                (home / "keep").touch()
                print(kept_notice(home), file=sys.stderr)
            elif not lines and sys.stdin.isatty():
                print(f"Nodes on this machine: {fold(spec.names)}. They end with dust (exit).")
            options = ["--backend", "local"]
            return run_dust(options, lines, {**os.environ, "DUST_HOME": str(home)})
        finally:
            for each in ENDING:
                signal.signal(each, signal.SIG_IGN)
            if not (home / "keep").exists():
                end(home)


def cloud(lines: list[str]) -> int:
    """Run dust on a cloud of its own and end that; return dust's exit status."""
    if not sys.platform.startswith("linux"):
        raise DustError("--cloud needs an address for each node, which Linux alone gives")
    import _machines  # moto, which takes a second

    with new_home() as home:
        try:
            with _machines.serving(home) as environment:
                if not lines and sys.stdin.isatty():
                    print(CLOUD.format(home=home))
                options = ["--backend", "ec2", "-F", str(home / _machines.SSH_CONFIG)]
                return run_dust(options, lines, environment)
        finally:
            for each in ENDING:
                signal.signal(each, signal.SIG_IGN)
            end(home)


def run_dust(options: list[str], lines: list[str], environment: Mapping[str, str]) -> int:
    """Run dust with these options to its end and return its exit status."""
    command = [sys.executable, str(ROOT / "bin" / "dust"), *options]
    for line in lines:
        command += ["-c", line]
    if sys.stdin.isatty():
        # The terminal sends Ctrl-C to dust too, which knows what it means. No SIG_IGN, which
        # dust would inherit.
        signal.signal(signal.SIGINT, lambda number, frame: None)
    child = subprocess.Popen(command, env=environment)
    try:
        status = child.wait()
    finally:
        if child.returncode is None:
            child.terminate()
            try:
                child.wait(GRACE)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
    return status if status >= 0 else 128 - status


def kept_notice(home: Path) -> str:
    """Say how to come back to nodes that are kept, and how to end them."""
    dust = shlex.quote(str(ROOT / "bin" / "dust"))
    return (
        "The nodes keep running.\n"
        f"  to come back:  DUST_HOME={shlex.quote(str(home))} {dust} --backend local\n"
        f"  to end them:   {shlex.quote(str(ROOT / 'bin' / 'demo'))} --stop"
    )


@contextmanager
def new_home() -> Iterator[Path]:
    """Make a home for one demo, marked as in use while the context lasts."""
    with locked(homes() / "lock"):
        home = Path(tempfile.mkdtemp(prefix="run-", dir=homes()))
        in_use = lock(home / "lock")
    assert in_use
    with in_use:
        yield home


def sweep(kept: bool) -> int:
    """End the nodes of demos that are gone, with `kept` those left on purpose; count them."""
    ended = 0
    with locked(homes() / "lock"):
        for home in sorted(homes().glob("run-*")):
            abandoned = lock(home / "lock")
            if abandoned:
                with abandoned:
                    if kept or not (home / "keep").exists():
                        ended += end(home)
    return ended


def end(home: Path) -> int:
    """End the nodes under `home`, remove it and return how many nodes there were."""
    backend = LocalBackend(home / "local")
    nodes = backend.nodes()
    failed = [change for change in backend.terminate([node.id for node in nodes]) if change.error]
    if failed:
        raise DustError(f"cannot end node {failed[0].id} in {home}: {failed[0].error}")
    shutil.rmtree(home)
    return len(nodes)


def homes() -> Path:
    """Return the directory for this user's demos, on short paths and private."""
    path = Path(tempfile.gettempdir()) / f"dust-demo-{os.getuid()}"
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if (
        not stat.S_ISDIR(found.st_mode)
        or found.st_uid != os.getuid()
        or stat.S_IMODE(found.st_mode) & 0o077
    ):
        raise DustError(f"{path} is not a private directory of yours: remove it, then try again")
    return path


def lock(path: Path) -> TextIO | None:
    """Take the lock of a demo; None if a live demo holds it."""
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock that all demos of this user share."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
