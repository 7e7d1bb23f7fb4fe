"""Many nodes behind one jump host: one connection to it, made as the user's configuration says."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pexpect
import pytest

from dust.backends.local import LocalBackend
from live.driver import children, gone, started
from live.ownssh import BIN, Place, begun, configured

#: More than sshd takes at once by default, in logins and in sessions of one connection.
COUNT = 12
NAMES = [f"n{number}" for number in range(1, COUNT + 1)]
DEFAULTS = "MaxStartups 10:30:100\nMaxSessions 10\n"
WAYS = {
    "shell": ["dust", "-c", "@w* echo h$((0))i"],
    "dust-at": ["dust-at", "w*", "echo h$((0))i"],
    "copy": ["dust", "-c", "put there w*"],
}
ways = pytest.mark.parametrize("way", WAYS)
session_and_one_shot = pytest.mark.parametrize("way", ["shell", "dust-at"])


class Gated(Place):
    """A place whose nodes are w1, w2, ... behind the host bastion."""

    def gate(
        self,
        bastion: str = "",
        *,
        jump: str = "bastion",
        at: str = "",
        more: str = "",
        login: Path | None = None,
    ) -> None:
        """Write the ssh_config, with further lines about the bastion, at a place of its own."""
        hosts = [f"Host w{name[1:]}\n  ProxyJump {jump}\n{self.at(name)}" for name in NAMES]
        self.configure(
            f"Host bastion\n{bastion}{at or self.at('gate')}{''.join(hosts)}{more}"
            f"Host bastion w* first\n{self.login(login)}"
        )
        (self.here / "there").write_text("text\n")

    def all_reached(self, way: str) -> str:
        """Go that way to all nodes; returns what was said."""
        done = self.call(*WAYS[way])
        if way == "copy":
            assert f"{COUNT} files to w[1-{COUNT}]" in done.stdout, done.stdout
        else:
            assert done.stdout.count("] h0i\n") == COUNT, done.stdout
        assert done.returncode == 0, done.stdout
        return done.stdout

    def left(self) -> list[str]:
        """What is in the folder of sockets."""
        folder = Path(self.env["DUST_HOME"], "cm")
        return sorted(os.listdir(folder)) if folder.exists() else []

    def spawn(self, *words: str) -> Any:
        """Run dust or dust-at on a terminal."""
        return pexpect.spawn(
            sys.executable, [str(BIN / words[0]), "-F", "ssh_config", *words[1:]],
            cwd=str(self.here), env=self.env, timeout=40, encoding="utf-8",
        )  # fmt: skip


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBackend]:
    with configured({"gate": DEFAULTS}):
        with begun(tmp_path_factory.mktemp("jump") / "local", "gate", *NAMES) as backend:
            yield backend


@pytest.fixture
def place(backend: LocalBackend, tmp_path: Path) -> Iterator[Gated]:
    with TemporaryDirectory(prefix="d") as home:
        yield Gated(tmp_path, Path(home), backend.nodes())


# --- one connection


@ways
def test_many_nodes_share_one_connection_to_the_bastion(place: Gated, way: str) -> None:
    place.gate()
    before = place.logins("gate")
    place.all_reached(way)
    assert place.logins("gate") == before + 1
    assert place.left() == []


def test_a_session_and_a_copy_share_it(place: Gated) -> None:
    place.gate()
    before = place.logins("gate"), place.logins("n1")
    done = place.call("dust", "-c", "@w1 hostname", "-c", "put there w*", "-c", "@w* cat there")
    assert done.stdout.count("] text\n") == COUNT, done.stdout
    assert (place.logins("gate"), place.logins("n1")) == (before[0] + 1, before[1] + 1)


def test_one_shots_keep_it_for_the_next_call(place: Gated) -> None:
    place.gate()
    Path(place.env["DUST_HOME"], "config.yaml").write_text("persist: 60\n")
    before = place.logins("gate"), place.logins("n1")
    try:
        place.call("dust-at", "w1", "true")
        place.all_reached("dust-at")
        place.all_reached("dust-at")
        assert (place.logins("gate"), place.logins("n1")) == (before[0] + 1, before[1] + 1)
    finally:
        for name in place.left():
            path = Path(place.env["DUST_HOME"], "cm", name)
            subprocess.run(["ssh", "-S", path, "-O", "exit", "node"], capture_output=True)


@session_and_one_shot
def test_a_home_of_an_odd_name_has_room_for_its_socket(place: Gated, way: str) -> None:
    with TemporaryDirectory(prefix="d %h'é;") as home:
        place.env["DUST_HOME"] = home
        place.gate()
        before = place.logins("gate")
        place.all_reached(way)
        assert place.logins("gate") == before + 1


# --- what the configuration says of the bastion


@session_and_one_shot
def test_the_bastions_own_block_holds(place: Gated, way: str) -> None:
    known = place.known.read_text()
    place.known.write_text(known.replace(place.known_as("gate"), "the-gate"))
    place.gate("  HostKeyAlias the-gate\n")
    place.all_reached(way)
    place.gate("  HostKeyAlias the-gate\n  User me\n")
    done = place.call(*WAYS[way])
    assert done.returncode
    assert "me@" in done.stdout


@pytest.mark.parametrize(("way", "form"), [("shell", "chain"), ("dust-at", "its own")])
def test_a_bastion_behind_another_is_reached_once(place: Gated, way: str, form: str) -> None:
    first = f"Host first\n{place.at('n1')}"
    if form == "chain":
        place.gate(jump="first,bastion", more=first)
    else:
        place.gate("  ProxyJump first\n", more=first)
    before = place.logins("gate"), place.logins("n1")
    place.all_reached(way)
    # n1 is one of the nodes too
    assert (place.logins("gate"), place.logins("n1")) == (before[0] + 1, before[1] + 2)


def test_two_bastions_have_a_connection_each(place: Gated) -> None:
    place.gate(more=f"Host w*\n  ProxyJump first\nHost first\n{place.at('n1')}")
    text = place.config.read_text()
    place.config.write_text(text.replace("ProxyJump bastion", "ProxyJump first", COUNT // 2))
    before = place.logins("gate"), place.logins("n1")
    place.all_reached("shell")
    assert (place.logins("gate"), place.logins("n1")) == (before[0] + 1, before[1] + 2)


@ways
def test_a_connection_that_the_user_shares_is_used_as_it_is(place: Gated, way: str) -> None:
    own = Path(place.env["DUST_HOME"], "own")
    place.gate(f"  ControlPath {own}\n")
    master = ["ssh", "-F", str(place.config), "-M", "-f", "-N", "bastion"]
    subprocess.run(master, check=True, stderr=subprocess.DEVNULL)
    try:
        before = place.logins("gate")
        place.all_reached(way)
        assert place.logins("gate") == before
    finally:
        subprocess.run(["ssh", "-S", own, "-O", "exit", "x"], check=True, capture_output=True)


def test_a_jump_that_is_found_in_an_included_file_is_shared(place: Gated) -> None:
    place.gate()
    place.config.rename(place.here / "hosts.conf")
    names = " ".join(f"w{name[1:]}" for name in NAMES)
    place.config.write_text(f'Host {names}\nMatch all\nInclude "{place.here}/h*.conf"\n')
    before = place.logins("gate")
    place.all_reached("dust-at")
    assert place.logins("gate") == before + 1


# --- what goes wrong


@ways
def test_a_bastion_that_cannot_be_reached_is_told_once(place: Gated, way: str) -> None:
    place.gate(at="  HostName 127.0.0.1\n  Port 1\n")
    done = place.call(*WAYS[way])
    assert done.returncode
    refused = "its jump host bastion: refused: ssh: connect to host 127.0.0.1 port 1"
    assert refused in done.stdout
    if way != "dust-at":  # it has a line for each node
        assert f"w[1-{COUNT}]: {refused}" in done.stdout
        assert done.stdout.count(refused) == 1
    assert place.left() == []


@ways
def test_a_node_that_the_bastion_cannot_reach_is_told(place: Gated, way: str) -> None:
    place.gate(more="Host w99\n  ProxyJump bastion\n  HostName 127.0.0.1\n  Port 1\n")
    done = place.call(*WAYS[way])
    assert "w99: unreachable: its jump host cannot connect to it" in done.stdout
    if way == "copy":
        assert f"{COUNT} files to w[1-{COUNT}]" in done.stdout
    else:
        assert done.stdout.count("] h0i\n") == COUNT


@ways
def test_what_the_bastion_asks_is_asked_once(place: Gated, way: str) -> None:
    key = place.here / "locked"
    key.write_bytes(place.key.read_bytes())
    key.chmod(0o600)
    subprocess.run(
        ["ssh-keygen", "-q", "-p", "-P", "", "-N", "opened", "-f", key],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    place.gate(f"  BatchMode no\n  IdentitiesOnly yes\n  IdentityFile {key}\n")
    # the key that opens nodes comes after that in the bastion's block, and is not for it
    text = place.config.read_text().replace("Host bastion w* first", "Host w* first")
    place.config.write_text(text)
    child = place.spawn(*WAYS[way])
    child.expect("passphrase for key")
    child.sendline("opened")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0, child.before
    assert "passphrase" not in child.before


def test_sessions_whose_bastion_is_lost_are_down_with_its_reason(place: Gated) -> None:
    place.gate()
    child = place.spawn("dust")
    child.sendline("@w* echo in$((1 + 1))")
    for _ in NAMES:
        child.expect("] .*?in2")
    child.sendline("@w1 kill -9 $PPID")
    child.expect("w1: [^\r\n]*(Broken pipe|closed|lost)")
    before = place.logins("gate")
    os.kill(jump_host(child.pid), signal.SIGTERM)
    child.expect(re.escape(f"w[2-{COUNT}]") + ".*: .*its jump host bastion: ")
    child.sendline("reconnect")
    child.sendline("@w* echo again$((1 + 1))")
    for _ in NAMES:
        child.expect("again2")
    assert place.logins("gate") == before + 1
    child.sendline("exit")
    child.expect(pexpect.EOF)
    child.close()
    assert place.left() == []


@pytest.mark.parametrize("way", ["dust", "dust-at"])
def test_nothing_survives_a_killed_dust(place: Gated, way: str) -> None:
    place.gate()
    words = (
        ["-c", "@w* echo h$((0))i; sleep 300"]
        if way == "dust"
        else ["w*", WAYS[way][2] + "; sleep 300"]
    )
    child = place.spawn(way, *words)
    for _ in NAMES:
        child.expect("h0i")
    below = {pid: begun for pid in children(child.pid) if (begun := started(pid))}
    assert jump_host(child.pid)
    child.kill(signal.SIGKILL)
    child.wait()
    assert gone(below, 2.0) == set()
    assert [name for name in place.left() if "conf" not in name] == []


def jump_host(pid: int) -> int:
    """The ssh below a process that is the connection to a jump host."""
    for below in children(pid):
        words = Path(f"/proc/{below}/cmdline").read_bytes().decode().split("\0")
        if words[0].endswith("ssh") and "-N" in words:
            return below
    raise AssertionError("no connection to a jump host")
