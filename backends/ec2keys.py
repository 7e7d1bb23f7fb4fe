"""What this machine keeps of a cluster on EC2: its key, and the file that says whose nodes it has.

Both are there before the cluster is, so that a killed dust loses neither.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from dust import clusterfile, config
from dust.assigned import ClusterFiles
from dust.backends.sshd import make_keys
from dust.clusterfile import ClusterFile
from dust.errors import BackendError, ConfigError


def folder() -> Path:
    """Where private keys are kept; it need not exist."""
    return config.home() / "keys"


def is_kept(pair: str) -> bool:
    """Whether the private key of a key pair is there."""
    return (folder() / f"{pair}.pem").is_file()


def key_path(name: str) -> Path:
    """Where the private key of a cluster is kept."""
    return folder() / f"dust-{name}.pem"


def public_key(name: str) -> str:
    """The public key of a cluster; a pair is made if there is none yet. Raises `BackendError`."""
    path = key_path(name)
    if not path.exists():
        with TemporaryDirectory(prefix=".new-", dir=config.folder("keys")) as place:
            made = Path(place) / "key"
            make_keys([made], comment=f"dust-{name}")
            config.write_whole(path, made.read_bytes())
    done = subprocess.run(
        ["ssh-keygen", "-y", "-P", "", "-f", str(path)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BackendError(f"{path} is no key of Dust's: {done.stderr.strip()}; move it away")
    return done.stdout.strip()


def check(name: str, region: str) -> None:
    """Raise `BackendError` if the name is that of a cluster that was made of something else."""
    path = ClusterFile(name, "").path
    if os.path.lexists(path) and not _is_ours(path, name, region):
        raise BackendError(
            f"{path} is about another cluster of this name; `assign --remove {name}` forgets it"
        )


def remember(name: str, region: str, username: str) -> None:
    """Write the file of a cluster, all nodes of the stack of its name."""
    files = ClusterFiles()
    files.read()
    file = ClusterFile(
        name,
        _filter(name),
        username=username,
        precedence=files.precedence(last=False),
        backend="ec2",
        region=region,
    )
    clusterfile.write(file)


def forget(name: str, region: str, ended: datetime | None = None) -> None:
    """Remove the file and the key of a cluster that is gone; what others made stays.

    So does what was written after its end: the next cluster of that name is being made.
    """
    path = ClusterFile(name, "").path
    if _is_ours(path, name, region) and not (ended and _is_newer(path, ended)):
        for each in path, key_path(name):
            with suppress(FileNotFoundError):
                each.unlink()


def _filter(name: str) -> str:
    return f"cluster={name}"


def _is_newer(path: Path, than: datetime) -> bool:
    try:
        return path.stat().st_mtime > than.timestamp()
    except FileNotFoundError:
        return False


def _is_ours(path: Path, name: str, region: str) -> bool:
    try:
        file = clusterfile.read(path)
    except ConfigError:
        return False
    return (file.filter, file.backend, file.region) == (_filter(name), "ec2", region)
