"""One connection to a node for its session and its copies, unless the user has it otherwise."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pexpect
import pytest

from dust.backends.local import LocalBackend
from dust.node import Node

DUST = [sys.executable, str(Path(__file__).resolve().parents[2] / "bin" / "dust")]


class Place:
    """A home with a short path, in which sockets find room, and an ssh_config of two nodes."""

    def __init__(self, home: Path, here: Path, nodes: list[Node]) -> None:
        self.home, self.here, self.nodes = home, here, nodes
        self.env = {**os.environ, "DUST_HOME": str(home), "TERM": "dumb"}
        self.configure()

    def configure(self, more: str = "", **names: str) -> None:
        """Write the ssh_config; `names` are further ones, for nodes by theirs."""
        facts = {node.name: node.ssh for node in self.nodes}
        facts |= {name: facts[of] for name, of in names.items()}
        blocks = [
            "\n  ".join([f"Host {name}", *(f"{key} {value}" for key, value in each.items())])
            for name, each in facts.items()
        ]
        (self.here / "ssh_config").write_text("\n".join([*blocks, "Host *", more, ""]))

    def keys(self, node: Node) -> Path:
        return Path(node.details["home"]).parent / "sshd" / "authorized_keys"

    @contextmanager
    def keeping_out(self, node: Node) -> Iterator[None]:
        """A node takes no new connection meanwhile."""
        keys = self.keys(node).read_text()
        self.keys(node).write_text("")
        yield
        self.keys(node).write_text(keys)

    def dust(self, *lines: str) -> str:
        words = [word for line in lines for word in ("-c", line)]
        done = subprocess.run(
            [*DUST, "-F", "ssh_config", *words], cwd=self.here, env=self.env, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60,
        )  # fmt: skip
        return done.stdout

    def left(self) -> list[str]:
        """What is in the folder of sockets."""
        return sorted(os.listdir(self.home / "cm"))


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Node]]:
    backend = LocalBackend(tmp_path_factory.mktemp("sharing") / "local")
    changes = backend.create(["n1", "n2"])
    assert not [change for change in changes if change.error], changes
    yield backend.nodes()
    backend.terminate([node.id for node in backend.nodes()])


@pytest.fixture
def place(nodes: list[Node], tmp_path: Path) -> Iterator[Place]:
    with TemporaryDirectory(prefix="d") as home:
        yield Place(Path(home), tmp_path, nodes)


def test_a_copy_goes_through_the_connection_of_the_session(place: Place) -> None:
    keys = place.keys(place.nodes[0])
    before = keys.read_text()
    (place.here / "file").write_text("text\n")
    try:
        said = place.dust(
            "@n1 hostname",
            f"!: >'{keys}'",
            "put file n1",
            "@n1 cat file",
            "close n1",
            "put file n1",
        )
    finally:
        keys.write_text(before)
    assert "[n1] text" in said
    assert said.count("1 file to n1") == 1
    assert "Permission denied" in said.splitlines()[-1] + said.splitlines()[-2]
    assert place.left() == []


def test_two_names_of_a_host_are_two_sessions(place: Place) -> None:
    place.configure(other="n1")
    said = place.dust("@n1,other echo my $PPID", "close n1", "@other echo still $PPID")
    mine = {line.split()[-1] for line in said.splitlines() if " my " in line}
    assert len(mine) == 2
    assert "[other] still" in said
    assert "ControlSocket" not in said
    assert place.left() == []


def test_the_users_own_sharing_wins(place: Place) -> None:
    own = place.home / "own"
    place.configure(f"ControlMaster auto\nControlPath {own}-%n\nControlPersist 30")
    (place.here / "file").write_text("text\n")
    said = place.dust("@n1 hostname", f"!ls {place.home} {place.home}/cm", "put file n1")
    try:
        assert "own-n1" in said
        assert "1 file to n1" in said
        assert Path(f"{own}-n1").is_socket()
    finally:
        subprocess.run(["ssh", "-S", f"{own}-n1", "-O", "exit", "node"], capture_output=True)


def test_a_session_joins_the_connection_that_the_user_opened(place: Place) -> None:
    own = place.home / "own"
    place.configure(f"ControlPath {own}-%n")
    ssh = ["ssh", "-F", str(place.here / "ssh_config")]
    master = subprocess.Popen([*ssh, "-M", "-N", "n1"], stdin=subprocess.DEVNULL)
    try:
        while not Path(f"{own}-n1").is_socket():
            assert master.poll() is None
            time.sleep(0.05)
        with place.keeping_out(place.nodes[0]), place.keeping_out(place.nodes[1]):
            said = place.dust("@n1 echo through", "@n2 echo through")
        assert "[n1] through" in said
        assert "[n2] through" not in said
    finally:
        master.terminate()
        master.wait()


def test_what_a_killed_dust_left_is_removed_by_the_next(place: Place) -> None:
    child = pexpect.spawn(
        DUST[0], [*DUST[1:], "-F", "ssh_config"], cwd=str(place.here), env=place.env, timeout=30
    )
    child.sendline("@n1 echo in$((1 + 1))")
    child.expect("in2")
    assert place.left()
    child.kill(9)
    child.wait()
    place.dust("@n2 hostname")
    assert place.left() == []


def test_a_home_without_room_for_sockets_shares_nothing(place: Place, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60)
    place.env["DUST_HOME"] = str(deep)
    assert "[n1] " in place.dust("@n1 echo in")
    assert os.listdir(deep / "cm") == []
