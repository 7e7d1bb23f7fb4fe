"""Other tools, each in an environment of its own that nothing else uses, and Dust as installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from dust.errors import DustError

ROOT = Path(__file__).resolve().parent.parent.parent
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


def install_dust_at() -> Path:
    """Return dust-at of this checkout as `pip install` leaves it, installed anew by each bench.

    From the checkout itself Python takes a third longer to find its modules.
    """
    environment = _environment("dust", [str(ROOT)])
    print("Installing dust ...", file=sys.stderr, flush=True)
    _run([*_pip(environment), "install", "--force-reinstall", "--no-deps", str(ROOT)])
    return environment / "bin" / "dust-at"


def _install(package: str, version: str) -> Path:
    return _environment(f"{package.lower()}-{version}", [f"{package}=={version}"]) / "bin"


def _environment(name: str, packages: list[str]) -> Path:
    """An environment of that name with these packages, made the first time."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dust-bench"
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    directory = cache / f"{name}-python{python}"
    complete = directory / "complete"
    if not complete.exists():
        print(f"Installing {name} (once) ...", file=sys.stderr, flush=True)
        if directory.exists():
            shutil.rmtree(directory)
        base = getattr(sys, "_base_executable", sys.executable)
        _run([base, "-m", "venv", str(directory)])
        _run([*_pip(directory), "install", *packages])
        complete.touch()
    return directory


def _pip(environment: Path) -> list[str]:
    return [str(environment / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]


def _run(command: list[str]) -> None:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode:
        raise DustError(f"{' '.join(command)} failed:\n{done.stdout.decode(errors='replace')}")
