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
_NEWNS, _NEWUTS, _NEWUSER = 0x20000, 0x4000000, 0x10000000
_BIND, _REC, _SLAVE = 4096, 16384, 1 << 19


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
    """Give this process the node's own name, and as root its home; OSError where that is refused.

    An ordinary user may do so in a user namespace, which has nobody else: setuid programs (sudo)
    gain nothing there.
    """
    import ctypes  # a start of dust must not pay for it

    libc = ctypes.CDLL(None, use_errno=True)

    def call(function: str, *arguments: object) -> None:
        if getattr(libc, function)(*arguments):
            number = ctypes.get_errno()
            raise OSError(number, f"{function}: {os.strerror(number)}")

    def cover(place: str, source: str) -> None:
        call("mount", os.fsencode(source), os.fsencode(place), None, _BIND, None)

    uid, gid = os.geteuid(), os.getegid()
    call("unshare", _NEWNS | _NEWUTS | (_NEWUSER if uid else 0))
    if uid:
        _write("/proc/self/setgroups", b"deny")
        _write("/proc/self/uid_map", b"%d %d 1" % (uid, uid))
        _write("/proc/self/gid_map", b"%d %d 1" % (gid, gid))
    # Mounts made later on the machine still come and go here too; none made here gets out.
    call("mount", None, b"/", None, _REC | _SLAVE, None)
    socket.sethostname(launch["name"])
    if uid:
        # The user's own group has the terminals, as sshd does it where there is no group for them.
        with open("/etc/group", "rb") as file:
            groups = [line for line in file if not line.startswith(b"tty:")]
        _write(launch["sshd"] + "/group", b"".join(groups))
        cover("/etc/group", launch["sshd"] + "/group")
    else:
        os.makedirs(SSHD_DIR, 0o700, exist_ok=True)
        cover(SSHD_DIR, launch["sshd"])
        cover(launch["login_home"], launch["home"])


def _write(path: str, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)


def isolates(launch: Launch) -> bool:
    """Whether `isolate` goes well, tried in a process that ends: half of it cannot be undone."""
    pid = os.fork()
    if pid:
        return not os.waitpid(pid, 0)[1]
    try:
        isolate(launch)
    except BaseException as error:
        os.write(2, f"not isolated: {error}\n".encode(errors="replace"))
        os._exit(1)
    os._exit(0)


def check_terminals() -> None:
    """Raise OSError where the sshd of an ordinary user can give out no terminals.

    It gives each to the group `tty`; without rights the system must have done so already.
    """
    import grp

    try:
        group = grp.getgrnam("tty").gr_gid
    except KeyError:
        return
    pair = os.openpty()
    owner = os.fstat(pair[1]).st_gid
    for fd in pair:
        os.close(fd)
    if owner != group and group not in [os.getegid(), *os.getgroups()]:
        raise OSError(
            "an ordinary user's sshd can give out no terminals here; as root type:"
            f" mount -o remount,gid={group},mode=620 /dev/pts"
        )


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
    if launch["isolated"] and isolates(launch):
        isolate(launch)
        argv = launch["isolated"]
    elif LINUX and os.geteuid():
        check_terminals()
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
