from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from dust import jumps, ssh
from dust.backends.ssh import SshBackend
from dust.calls import Calls
from dust.errors import SessionError
from dust.node import Node


class Asked:
    """A finder for one ssh_config, which puts sockets into a folder."""

    def __init__(self, here: Path, text: str) -> None:
        self.config = here / "ssh_config"
        self.config.write_text(text)
        self.here = here

    def find(self, *names: str, sockets: str = "") -> list[jumps.Jump | None] | None:
        """The jumps of these hosts, or None where no ssh is asked for them."""
        ways = self.ways(*names, sockets=sockets)
        return None if ways is None else [way.jump for way in ways]

    def ways(self, *names: str, sockets: str = "", joining: bool = False) -> list[jumps.Way] | None:
        """The ways to these hosts, or None where no ssh is asked for them."""

        def write(text: str) -> Path:
            path = self.here / f"made{len(text)}"
            path.write_text(text)
            return path

        nodes = [Node(name, name, "ssh") for name in names]
        folder = sockets or "/tmp"
        find = jumps.finder(
            Calls({}, write),
            SshBackend(self.config, None),
            nodes,
            lambda name: f"{folder}/{name}",
            joining=joining,
        )
        return find(nodes) if find else None


def hops(found: Sequence[jumps.Jump | None] | None) -> list[str]:
    assert found is not None
    return [jump.hops if jump else "" for jump in found]


# --- which nodes are behind which host


def test_no_ssh_is_asked_where_nothing_speaks_of_a_jump(tmp_path: Path) -> None:
    asked = Asked(
        tmp_path, "Host a\n  # ProxyJump b\n  ProxyCommand ssh ProxyJump\nMatch exec no\n"
    )
    assert asked.find("a") is None


@pytest.mark.parametrize(
    "text",
    [
        "Include {}/parts/*", 'include "{}/parts/one"', "Include=/nonexistent {}/parts/one",
        "Host a\n\tInclude {}/parts/one", "proxyjump bastion", "Host a\n  PROXYJUMP=bastion",
    ],
)  # fmt: skip
def test_a_jump_is_found_wherever_it_stands(tmp_path: Path, text: str) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "one").write_text("Host a\n  ProxyJump bastion\n")
    assert hops(Asked(tmp_path, text.format(tmp_path)).find("a")) == ["bastion"]


def test_files_that_include_one_another_without_end_do_no_harm(tmp_path: Path) -> None:
    assert hops(Asked(tmp_path, f"Include {tmp_path}/ssh_config\n").find("a")) == [""]


def test_files_that_include_one_another_twice_are_not_followed_each_way(tmp_path: Path) -> None:
    include = f"Include {tmp_path}/ssh_config {tmp_path}/ssh_config {tmp_path}/ssh_config\n"
    assert Asked(tmp_path, include).find() == []


def test_each_node_has_its_own_jump_in_the_order_of_the_nodes(tmp_path: Path) -> None:
    asked = Asked(
        tmp_path,
        "Host direct bastion me@*\n  ProxyJump none\nHost chained\n  ProxyJump x,me@[::1]:22\n"
        "Match host proxied\n  ProxyCommand nc %h %p\nHost *\n  ProxyJump bastion\n",
    )
    names = [*(f"n{number}" for number in range(40)), "direct", "chained", "proxied", "n1", "-bad"]
    found = asked.find(*names)
    assert hops(found) == ["bastion"] * 40 + ["", "x,me@[::1]:22", "", "bastion", ""]
    assert found
    assert len({jump.socket for jump in found if jump}) == 2


# --- what is left to the user


@pytest.mark.parametrize(
    "own", ["ControlPath ~/%C", "ControlMaster ask", "ControlMaster no", "ControlPath none"]
)
def test_a_bastion_that_the_user_shares_is_not_opened(tmp_path: Path, own: str) -> None:
    text = f"Host bastion\n  {own}\nHost a b\n  ProxyJump bastion\nHost b\n  ControlPath /tmp/x\n"
    found = Asked(tmp_path, text).find("a", "b")
    assert found
    for jump in found:
        assert jump
        assert (jump.socket, jump.argv) == ("", ())
        assert jump.is_open()
        assert f"-F {jump.config} -- ssh://bastion" in " ".join(jump.through(["ssh", "a"]))
        assert "Control" not in jump.config.read_text()


def test_sharing_of_the_nodes_is_none_of_the_bastion(tmp_path: Path) -> None:
    text = "Host bastion\n  User me\nHost a\n  ControlPath /tmp/x\n  ProxyJump bastion\n"
    found = Asked(tmp_path, text).find("a")
    assert found
    assert found[0]
    assert found[0].argv


def test_a_socket_that_is_nobodys_is_not_open(tmp_path: Path) -> None:
    found = Asked(tmp_path, "Host a\n  ProxyJump bastion").find("a", sockets=str(tmp_path))
    assert found
    assert found[0]
    Path(found[0].socket).touch()
    assert not found[0].is_open()


# --- the calls, by the word of the real ssh


def resolved(argv: Sequence[str]) -> dict[str, str]:
    at = argv.index("--")
    words = [*argv[:at], "-G", *argv[at:]]
    said = subprocess.run(words, capture_output=True, text=True, check=True)
    return dict(line.split(" ", 1) for line in said.stdout.splitlines() if " " in line)


def test_the_bastion_is_called_as_its_block_says(tmp_path: Path) -> None:
    config = tmp_path / "c"
    config.write_text(
        "Host gate\n  HostName 10.0.0.1\n  Port 2222\n  RemoteCommand top\n  LocalForward 1 x:1\n"
    )
    values = resolved(ssh.jump(config, "one,me@gate:77", "/tmp/a b/%h"))
    assert (values["host"], values["hostname"], values["user"]) == ("gate", "10.0.0.1", "me")
    assert (values["port"], values["proxyjump"]) == ("77", "one")
    assert values["controlpath"] == "/tmp/a b/%h"
    assert (values["controlmaster"], values["controlpersist"]) == ("auto", "no")
    assert values["clearallforwardings"] == "yes"
    assert resolved(ssh.jump(config, "gate", "/tmp/s", 60))["controlpersist"] == "60"


@pytest.mark.parametrize("hops", ["", "-oProxyCommand=x", "a,-b", "a;b", "a b", "$(id)", "a,,b"])
def test_what_is_no_plain_host_is_not_called(tmp_path: Path, hops: str) -> None:
    with pytest.raises(SessionError):
        ssh.jump(tmp_path, hops, "/tmp/s")
    with pytest.raises(SessionError):
        ssh.through("/tmp/s", hops)
    with pytest.raises(SessionError):
        ssh.past(tmp_path, hops)


# --- connections that the user opens


def test_a_session_joins_where_there_is_a_control_path_and_nothing_else(tmp_path: Path) -> None:
    asked = Asked(
        tmp_path,
        "Host mine\n  ControlPath /tmp/%C\nHost auto\n  ControlPath /tmp/%C\n"
        "  ControlMaster auto\nHost none\n  ControlPath none\n",
    )
    names = ("mine", "auto", "none", "other")
    ways = asked.ways(*names, joining=True)
    assert ways == [jumps.Way(joins=name == "mine") for name in names]
    assert asked.find(*names) is None
