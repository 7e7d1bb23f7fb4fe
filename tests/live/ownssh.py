"""An ssh_config of the user's own, and the three ways in which Dust must keep to it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from dust.backends import local
from dust.backends.local import LocalBackend
from dust.node import Node

BIN = Path(__file__).resolve().parents[2] / "bin"
#: A session of the shell, a call of dust-at, and a copy there and back that has no session.
WAYS = ("shell", "dust-at", "copy")


class Failed(AssertionError):
    """A way that did not lead there; its text is what was said."""


class Place:
    """A directory of this machine with an ssh_config in it, and nodes that know nothing of it.

    `known_hosts` has their keys and `id` is the key that they take.
    """

    def __init__(self, here: Path, home: Path, nodes: Sequence[Node]) -> None:
        self.here, self.home = here, home
        self.nodes = {node.name: node for node in nodes}
        self.config = here / "ssh_config"
        self.known = here / "known_hosts"
        self.key = Path(nodes[0].details["key"])
        self.env = {
            **{name: text for name, text in os.environ.items() if not name.startswith("SSH_A")},
            "DUST_HOME": str(home),
            "TERM": "dumb",
        }
        (home / "config.yaml").write_text("persist: 0\n")
        self.known.write_text("".join(f"{self.line(name)}\n" for name in self.nodes))

    # --- what is written

    def sshd(self, name: str) -> Path:
        """The directory with what the sshd of a node reads and logs."""
        return Path(self.nodes[name].details["home"]).parent / "sshd"

    def known_as(self, name: str) -> str:
        """What a node is called in known_hosts."""
        return f"[{self.nodes[name].ip}]:{self.nodes[name].details['port']}"

    def line(self, name: str) -> str:
        """The line of a node in known_hosts."""
        return f"{self.known_as(name)} {(self.sshd(name) / 'host_key.pub').read_text().strip()}"

    def at(self, name: str) -> str:
        """The lines that say where a node is."""
        node = self.nodes[name]
        return f"  HostName {node.ip}\n  Port {node.details['port']}\n"

    def login(self, key: Path | None = None) -> str:
        """The lines that log in by a key, the one that all nodes take if none is given."""
        return f'  IdentityFile "{key or self.key}"\n  IdentitiesOnly yes\n'

    def configure(self, text: str) -> None:
        """Write the ssh_config: `text`, and for all hosts what keeps tests to themselves."""
        self.config.write_text(
            f"{text}\nHost *\n  BatchMode yes\n  StrictHostKeyChecking yes\n"
            f'  UserKnownHostsFile "{self.known}"\n  GlobalKnownHostsFile /dev/null\n'
            "  KexAlgorithms curve25519-sha256\n"
        )

    # --- what is seen

    def logins(self, name: str) -> int:
        """How often somebody has logged in to a node."""
        return (self.sshd(name) / "log").read_text().count("Accepted ")

    def call(
        self, program: str, *arguments: str, config: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run dust or dust-at, with the ssh_config or on the local nodes. There is no terminal."""
        chosen = ["-F", "ssh_config"] if config else []
        done = subprocess.run(
            [sys.executable, str(BIN / program), *chosen, *arguments],
            cwd=self.here, env=self.env, text=True, timeout=60, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert "Traceback" not in done.stdout, done.stdout
        return done

    def reach(self, way: str, host: str, node: str = "n1") -> str:
        """Go that way to a host, which must be that node; returns what was said.

        Raises `Failed`.
        """
        if way == "copy":
            return self._copy(host, node)
        line = "echo $((40 + 2)) $DUST_NODE"
        program, *words = ["dust", "-c", f"@{host} {line}"]
        if way == "dust-at":
            program, *words = ["dust-at", host, line]
        done = self.call(program, *words)
        if done.returncode or f"[{host}] 42 {node}" not in done.stdout.splitlines():
            raise Failed(done.stdout)
        return done.stdout

    def _copy(self, host: str, node: str) -> str:
        text = f"for {host}\n"
        (self.here / "there").write_text(text)
        done = self.call("dust", "-c", f"put there {host}", "-c", f"get {host} there back/")
        if done.returncode:
            raise Failed(done.stdout)
        assert Path(self.nodes[node].details["home"], "there").read_text() == text
        assert (self.here / "back" / host / "there").read_text() == text
        return done.stdout

    def refused(self, way: str, host: str) -> str:
        """Go that way to a host, which must fail; returns what was said."""
        with pytest.raises(Failed) as failed:
            self.reach(way, host)
        return str(failed.value)


def _configured(make: Callable[..., str], lines: Mapping[str, str]) -> Callable[..., str]:
    def config(sshd: object, name: str, *more: str) -> str:
        # the first value counts
        return lines.get(name, "") + make(sshd, name, *more)

    return config


@contextmanager
def configured(lines: Mapping[str, str]) -> Iterator[None]:
    """Meanwhile the sshd of a node that is started reads these lines too, by its name."""
    with pytest.MonkeyPatch.context() as patch:
        for function in ("isolated_config", "plain_config"):
            patch.setattr(local, function, _configured(getattr(local, function), lines))
        yield


@contextmanager
def begun(root: Path, *names: str) -> Iterator[LocalBackend]:
    """Nodes, ended in the end."""
    backend = LocalBackend(root)
    changes = backend.create(names)
    try:
        assert not [change for change in changes if change.error], changes
        yield backend
    finally:
        backend.terminate([node.id for node in backend.nodes()])


def keygen(*words: str | Path) -> None:
    """Run ssh-keygen."""
    subprocess.run(["ssh-keygen", "-q", *map(str, words)], check=True, stdin=subprocess.DEVNULL)


def new_key(path: Path) -> Path:
    """Make a key without a passphrase."""
    keygen("-t", "ed25519", "-N", "", "-f", path)
    return path
