"""Other tools, each in an environment of its own that nothing else uses."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from dust.errors import DustError

VERSION = "1.0.8"
CLUSH_VERSION = "1.9.3"
ANSIBLE_VERSION = "2.17.14"


def install() -> Path:
    """Return polysh's program, installed by pip the first time."""
    return _install("polysh", VERSION) / "polysh"


def install_clush() -> Path:
    """Return clush's program, installed by pip the first time."""
    return _install("ClusterShell", CLUSH_VERSION) / "clush"


def install_ansible() -> Path:
    """Return ansible's program, installed by pip the first time."""
    return _install("ansible-core", ANSIBLE_VERSION) / "ansible"


def _install(package: str, version: str) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dust-bench"
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    directory = cache / f"{package.lower()}-{version}-python{python}"
    complete = directory / "complete"
    if not complete.exists():
        print(f"Installing {package} {version} (once) ...", file=sys.stderr, flush=True)
        if directory.exists():
            shutil.rmtree(directory)
        base = getattr(sys, "_base_executable", sys.executable)
        _run([base, "-m", "venv", str(directory)])
        pip = [str(directory / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
        _run([*pip, "install", f"{package}=={version}"])
        complete.touch()
    return directory / "bin"


def _run(command: list[str]) -> None:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode:
        raise DustError(f"{' '.join(command)} failed:\n{done.stdout.decode(errors='replace')}")
