"""One connection to a node for its session, its copies and one-shots, or as the user has it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pexpect
import pytest

from dust.backends.local import LocalBackend
from dust.node import Node

BIN = Path(__file__).resolve().parents[2] / "bin"
DUST = [sys.executable, str(BIN / "dust")]
DUST_AT = [sys.executable, str(BIN / "dust-at"), "-F", "ssh_config"]


class Place:
    """A home with a short path, in which sockets find room, and an ssh_config of two nodes."""

    def __init__(self, home: Path, here: Path, nodes: list[Node]) -> None:
        self.home, self.here, self.nodes = home, here, nodes
        self.env = {**os.environ, "DUST_HOME": str(home), "TERM": "dumb"}
        self.prompts: list[pexpect.spawn[Any]] = []
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
        try:
            yield
        finally:
            self.keys(node).write_text(keys)

    def dust(self, *lines: str) -> str:
        words = [word for line in lines for word in ("-c", line)]
        done = subprocess.run(
            [*DUST, "-F", "ssh_config", *words], cwd=self.here, env=self.env, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60,
        )  # fmt: skip
        return done.stdout

    def prompt(self) -> pexpect.spawn[str]:
        """A dust at its prompt, with a session on n1."""
        child = pexpect.spawn(
            DUST[0], [*DUST[1:], "-F", "ssh_config"], cwd=str(self.here), env=self.env,
            timeout=30, encoding="utf-8",
        )  # fmt: skip
        self.prompts.append(child)
        child.expect("dust:")
        child.sendline("@n1 echo i''n")
        child.expect_exact("[n1] in")
        return child

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*DUST_AT, *words], cwd=self.here, env=self.env, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def at(self, *words: str) -> tuple[int, str]:
        """The status of a dust-at, and what it said."""
        process = self.start(*words)
        said = process.communicate(timeout=30)[0]
        return process.returncode, said

    def left(self) -> list[str]:
        """What is in the folder of sockets."""
        return sorted(os.listdir(self.home / "cm"))

    def end_kept(self) -> None:
        """End the connections that dust-at has kept."""
        for name in self.left():
            call = ["ssh", "-S", str(self.home / "cm" / name), "-O", "exit", "node"]
            subprocess.run(call, capture_output=True, check=True)


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
        place = Place(Path(home), tmp_path, nodes)
        yield place
        for child in place.prompts:
            child.close(force=True)


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
    child = place.prompt()
    assert place.at("n1", "true")[0] == 0
    assert len(place.left()) > 1  # the session's socket, and the way there for dust-at
    child.kill(9)
    child.wait()
    place.dust("@n2 hostname")
    assert place.left() == []


# --- one-shots


def test_one_shots_go_through_the_connections_of_sessions(place: Place) -> None:
    place.prompt()
    with place.keeping_out(place.nodes[0]), place.keeping_out(place.nodes[1]):
        assert place.at("-q", "n1", "echo through; exit 255") == (255, "[n1] through\n")
        status, said = place.at("n2", "true")
        assert (status, "Permission denied" in said) == (255, True)
        # Another user's connection is another one, and nothing of a session's is kept.
        assert "Permission denied" in place.at("-l", "somebody", "n1", "true")[1]


def test_one_shots_have_a_connection_of_their_own_without_a_session(place: Place) -> None:
    child = place.prompt()
    child.sendline("close n1")
    child.expect("n1: closed")
    with place.keeping_out(place.nodes[0]):
        assert "Permission denied" in place.at("n1", "true")[1]
    assert place.at("n1", "true")[0] == 0
    with place.keeping_out(place.nodes[0]):
        assert place.at("n1", "true")[0] == 0
    child.close(force=True)
    place.end_kept()


def test_what_a_script_has_open_is_its_own(place: Place) -> None:
    call = " ".join(DUST_AT)
    with place.keeping_out(place.nodes[1]):
        said = place.dust("@n1 hostname", f"!{call} n1 'echo $PPID'", "@n1 echo $PPID")
    server, own = (line.split()[-1] for line in said.splitlines()[-2:])
    assert server != own
    place.end_kept()


@pytest.mark.parametrize("way", ["@n1 yes", "@n1\nyes"])
def test_a_session_whose_terminal_takes_nothing_serves_others(place: Place, way: str) -> None:
    child = place.prompt()
    for line in way.split("\n"):
        child.sendline(line)
    child.expect("y\r\n.*y\r\n")
    while len(child.read_nonblocking(1 << 16, timeout=5)) < 1000:
        pass  # it floods; from here on nobody reads what it prints
    for _ in range(5):
        assert place.at("n1", "head -c 3000000 /dev/zero | wc -c") == (0, "[n1] 3000000\n")


def test_a_terminal_that_a_one_shot_was_given_holds_up_no_session(place: Place) -> None:
    child = place.prompt()
    words = [*DUST_AT[1:], "-t", "n1", "yes"]
    other = pexpect.spawn(DUST_AT[0], words, cwd=str(place.here), env=place.env, timeout=30)
    place.prompts.append(other)
    other.expect("y\r\n.*y\r\n")  # it floods, and nobody reads on
    for number in range(20):
        child.sendline(f"@n1 echo st''ill {number}")
        child.expect_exact(f"[n1] still {number}")


@pytest.mark.parametrize("way_out", ["@n1 exit", "@n1\nexit"])
def test_a_logout_leaves_one_shots_their_connection(place: Place, way_out: str) -> None:
    child = place.prompt()
    go = place.here / "go"
    os.mkfifo(go)
    running = place.start("-q", "n1", f"echo begun; cat {go}; exit 7")
    assert running.stdout and running.stdout.readline() == "[n1] begun\n"
    for line in way_out.split("\n"):
        child.sendline(line)
    child.expect("n1: logged out")
    child.sendline("@n1 echo a''new")
    child.expect(r"\[n1\] anew")
    go.write_text("went\n")
    assert running.communicate(timeout=30)[0] == "[n1] went\n"
    assert running.returncode == 7


@pytest.mark.parametrize("way", ["@n1 true", "@n1\ntrue"])
def test_the_end_of_a_shell_at_its_prompt_is_told_when_it_is_typed_to(
    place: Place, way: str
) -> None:
    child = place.prompt()
    child.sendline("@n1 echo pid $$")
    child.expect(r"\[n1\] pid (\d+)\r")
    assert isinstance(child.match, re.Match)
    shell = child.match[1]
    ended = f"kill -9 {shell}; while kill -0 {shell} 2>/dev/null; do :; done"
    running = place.start("-q", "n1", f"{ended}; echo begun; sleep 1000")
    assert running.stdout and running.stdout.readline() == "[n1] begun\n"
    for line in (*way.split("\n"), "true", "true"):  # keys are lost while raw mode begins
        child.sendline(line)
        if not child.expect(["n1: logged out", pexpect.TIMEOUT], timeout=3):
            break
    child.sendline("@n1 echo a''new")
    child.expect(r"\[n1\] anew")
    running.terminate()
    running.communicate(timeout=30)


def test_leaving_asks_while_a_one_shot_is_under_way(place: Place) -> None:
    child = place.prompt()
    running = place.start("-q", "n1", "echo begun; sleep 1000")
    assert running.stdout and running.stdout.readline() == "[n1] begun\n"
    child.sendline("exit")
    child.expect("A dust-at may be using the connections .* Leave?")
    child.sendline("n")
    child.sendline("!echo st''ill")
    child.expect("still")
    child.sendline("exit")
    child.expect("Leave?")
    child.sendline("y")
    child.expect(pexpect.EOF)
    said = running.communicate(timeout=30)[0]
    assert (running.returncode, said) == (255, "dust-at: n1: dropped: the connection was lost\n")
    assert place.left() == []


def test_a_home_without_room_for_sockets_shares_nothing(place: Place, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60)
    place.env["DUST_HOME"] = str(deep)
    assert "[n1] " in place.dust("@n1 echo in")
    assert os.listdir(deep / "cm") == []
