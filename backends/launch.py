"""Start programs that outlive whoever asked, each as a node of its own where the system allows it.

`dust.backends.local` runs this text in a fresh interpreter (`python -I -S -c`), so that nothing
is ever forked from a process that may have threads. It imports the standard library only.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable
from typing import TypedDict

# Where a node with a mount namespace of its own sees its sshd directory: its login home, which
# may well hold the real one, is covered there.
SSHD_DIR = "/run/dust-node"

LINUX = sys.platform.startswith("linux")
_NEWNS, _NEWUTS, _BIND, _REC, _SLAVE = 0x20000, 0x4000000, 4096, 16384, 1 << 19


class Launch(TypedDict):
    """One program to start.

    `isolated` is what to run in namespaces of its own ([] means not to try), `plain` what to run
    where these are refused. `login_home` is the directory that `home` covers there. `record`
    receives `PID MARK` (see `marks`), `log` what the program has to say.
    """

    name: str
    isolated: list[str]
    plain: list[str]
    home: str
    login_home: str
    sshd: str
    log: str
    record: str


def marks(pids: Iterable[int]) -> dict[int, str]:
    """Return, for those processes that live, a text that no other process of that id ever has."""
    found = {}
    if LINUX:
        with open("/proc/sys/kernel/random/boot_id") as file:
            boot = file.read().strip()
        for pid in pids:
            if stat := linux_stat(pid):
                found[pid] = f"{boot}/{stat[1]}"
        return found
    return {pid: mark for pid, (_, mark) in ps(pids).items()}


def linux_stat(pid: int) -> tuple[int, int] | None:
    """Return the parent and the start (in ticks since the boot) of a process, None if it ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[0] in b"ZX" else (int(fields[1]), int(fields[19]))


def ps(pids: Iterable[int] | None = None) -> dict[int, tuple[int, str]]:
    """Return parent and start time of these processes, or of all, as `ps` tells them."""
    chosen = ["-ax"] if pids is None else ["-p", ",".join(map(str, pids))]
    if chosen == ["-p", ""]:
        return {}
    listing = subprocess.run(
        ["ps", *chosen, "-o", "pid=,ppid=,stat=,lstart="],
        capture_output=True,
        text=True,
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
    )
    rows = [line.split(None, 3) for line in listing.stdout.splitlines()]
    return {int(row[0]): (int(row[1]), row[3].strip()) for row in rows if row[2][0] != "Z"}


def isolate(launch: Launch) -> None:
    """Give this process the node's own name and home; raises OSError where that is refused."""
    import ctypes  # a start of dust must not pay for it

    libc = ctypes.CDLL(None, use_errno=True)

    def call(function: str, *arguments: object) -> None:
        if getattr(libc, function)(*arguments):
            number = ctypes.get_errno()
            raise OSError(number, f"{function}: {os.strerror(number)}")

    call("unshare", _NEWNS | _NEWUTS)
    # Mounts made later on the machine still come and go here too; none made here gets out.
    call("mount", None, b"/", None, _REC | _SLAVE, None)
    socket.sethostname(launch["name"])
    os.makedirs(SSHD_DIR, 0o700, exist_ok=True)
    call("mount", os.fsencode(launch["sshd"]), os.fsencode(SSHD_DIR), None, _BIND, None)
    call("mount", os.fsencode(launch["home"]), os.fsencode(launch["login_home"]), None, _BIND, None)


def become(launch: Launch) -> None:
    """Turn this process into the program; returns only by an exception."""
    os.setsid()
    os.chdir("/")
    os.umask(0o022)
    log = os.open(launch["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDWR)
    for source, target in (null, 0), (null, 1), (log, 2):
        os.dup2(source, target)
    argv = launch["plain"]
    if launch["isolated"]:
        try:
            isolate(launch)
            argv = launch["isolated"]
        except OSError as error:
            os.write(2, f"not isolated: {error}\n".encode())
    os.execv(argv[0], argv)


def start(launch: Launch) -> int:
    """Fork one program; returns its process id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        become(launch)
    except BaseException as error:
        os.write(2, f"{error}\n".encode(errors="replace"))
    finally:
        os._exit(127)


def main() -> None:
    """Start what standard input lists as JSON, and record each process."""
    # What the caller ignores or blocks (`nohup dust`), sessions on its nodes must not.
    for signum in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(signum, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    launches: list[Launch] = json.load(sys.stdin)
    pids = [start(launch) for launch in launches]
    marked = marks(pids)
    for launch, pid in zip(launches, pids, strict=True):
        # One that has ended already leaves a record that fits no living process.
        with open(launch["record"] + ".new", "w") as file:
            file.write(f"{pid} {marked.get(pid, 'ended')}\n")
        os.replace(launch["record"] + ".new", launch["record"])


if __name__ == "__main__":
    main()
