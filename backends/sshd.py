"""The sshd of one local node: finding it, its keys, its configuration."""

from __future__ import annotations

import os
import pwd
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dust.errors import BackendError
from dust.ssh import quoted

_PLACES = "/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin"
_SFTP_PLACES = (
    "/usr/lib/openssh",
    "/usr/libexec/openssh",
    "/usr/libexec",
    "/usr/lib/ssh",
    "/usr/lib64/ssh",
    "/usr/libexec/ssh",
)

_COMMON = """\
AuthenticationMethods publickey
PermitRootLogin prohibit-password
StrictModes no
UseDNS no
PrintMotd no
PrintLastLog no
MaxStartups 10000
MaxSessions 10000
AcceptEnv LANG LC_*
"""

# Where no mount namespace gives a node its home, each login goes there by itself.
_ENTER = """\
# What sshd runs for every login.
cd || exit
line=$SSH_ORIGINAL_COMMAND
unset SSH_ORIGINAL_COMMAND
[ -n "$line" ] || exec "$SHELL" -l
exec "$SHELL" -c "$line"
"""


@dataclass(frozen=True)
class Sshd:
    """The sshd of this machine: where it is and what its release and the account ask for."""

    path: str
    version: tuple[int, int]
    pam: bool

    @classmethod
    def find(cls) -> Sshd:
        """Find sshd and ssh-keygen; raises `BackendError` saying how to install them."""
        path = shutil.which("sshd", path=os.pathsep.join([_path(), *_PLACES]))
        if not path or not shutil.which("ssh-keygen", path=_path()):
            raise BackendError(f"local nodes need sshd, which is not installed: {_advice()}")
        asked = subprocess.run(
            [path, "-V"], stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        found = re.search(r"OpenSSH_(\d+)\.(\d+)", asked.stderr + asked.stdout)
        version = (int(found[1]), int(found[2])) if found else (0, 0)
        return cls(os.path.abspath(path), version, os.geteuid() == 0 and locked(user().pw_name))


def user() -> pwd.struct_passwd:
    """Return the account that dust runs as; raises `BackendError` where it has none."""
    try:
        return pwd.getpwuid(os.geteuid())
    except KeyError:
        text = f"local nodes need an account to log in to, and user id {os.geteuid()} has none"
        raise BackendError(text) from None


def locked(name: str, shadow: Path = Path("/etc/shadow")) -> bool:
    """Whether the account's password is locked, which sshd takes for a closed account without PAM.

    Only root can tell, and only root's sshd asks.
    """
    try:
        text = shadow.read_text(errors="replace")
    except FileNotFoundError:
        return False
    rows = (line.split(":") for line in text.splitlines())
    return any(row[0] == name and row[1].startswith("!") for row in rows if len(row) > 1)


def make_keys(paths: Sequence[Path], comment: str = "") -> None:
    """Make ed25519 key pairs, several at a time; raises `BackendError`."""
    batch = 2 * (os.cpu_count() or 1) + 4
    for first in range(0, len(paths), batch):
        running = [
            subprocess.Popen(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            for path in paths[first : first + batch]
        ]
        errors = [process.communicate()[1].strip() for process in running]
        for process, error in zip(running, errors, strict=True):
            if process.returncode:
                raise BackendError(f"ssh-keygen failed: {error or process.returncode}")


def isolated_config(sshd: Sshd, name: str, address: str, port: int, directory: str) -> str:
    """Return the sshd_config of a node whose namespaces give it its home and its host name."""
    lines = [f"SetEnv DUST_NODE={name}", "Subsystem sftp internal-sftp"]
    return _config(sshd, address, port, directory, lines)


def plain_config(sshd: Sshd, name: str, address: str, port: int, directory: str, home: str) -> str:
    """Return the sshd_config of a node that has its home by way of `enter_script` only."""
    sftp = shutil.which("sftp-server", path=os.pathsep.join(_SFTP_PLACES)) or "sftp-server"
    lines = [
        f"SetEnv DUST_NODE={name} {quoted('HOME=' + home)}",
        f"ForceCommand exec /bin/sh {shlex.quote(directory + '/enter')}",
        f"Subsystem sftp {sftp}",
    ]
    return _config(sshd, address, port, directory, lines)


def enter_script() -> str:
    """Return the text of the file `enter` that a node with a plain configuration needs."""
    return _ENTER


def _config(sshd: Sshd, address: str, port: int, directory: str, more: Iterable[str]) -> str:
    lines = [
        f"ListenAddress {address}",
        f"Port {port}",
        f"HostKey {quoted(directory + '/host_key')}",
        f"AuthorizedKeysFile {quoted(directory + '/authorized_keys', tokens=True)}",
        # Written when it listens, so this is also how we know.
        f"PidFile {quoted(directory + '/listening')}",
        f"UsePAM {'yes' if sshd.pam else 'no'}",
    ]
    if sshd.version >= (9, 8):
        # Since then a client that often goes away before it logs in is shut out for a while.
        lines.append("PerSourcePenalties no")
    return "".join(line + "\n" for line in [*lines, *more]) + _COMMON


def _path() -> str:
    return os.environ.get("PATH", os.defpath)


def _advice() -> str:
    if sys.platform == "darwin":
        return "brew install openssh"
    known = {
        "apt-get": "sudo apt-get install openssh-server",
        "dnf": "sudo dnf install openssh-server",
        "yum": "sudo yum install openssh-server",
        "apk": "sudo apk add openssh",
        "pacman": "sudo pacman -S openssh",
        "zypper": "sudo zypper install openssh",
    }
    places = os.pathsep.join([_path(), "/usr/bin", "/sbin"])
    for program, line in known.items():
        if shutil.which(program, path=places):
            return line
    return f"{known['apt-get']} (or your system's openssh package)"
