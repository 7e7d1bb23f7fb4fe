"""ssh is the user's own: what an ssh_config says holds in sessions, in dust-at and in copies."""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dust.backends.local import LocalBackend
from live.ownssh import WAYS, Place, begun, new_key


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBackend]:
    with begun(tmp_path_factory.mktemp("own") / "local", "n1", "n2") as backend:
        yield backend


ways = pytest.mark.parametrize("way", WAYS)

# --- where a host is and who logs in


@ways
def test_host_and_match_blocks_hold_in_their_order(place: Place, way: str) -> None:
    place.configure(
        f"Host web* !web9\n{place.at('n1')}"
        f"Match originalhost web1 exec true\n{place.login()}"
        "Host web1\n  Port 1\n  IdentityFile /nonexistent\n"
    )
    place.reach(way, "web1")


@ways
def test_what_is_included_holds(place: Place, way: str) -> None:
    beside = os.path.relpath(place.here, Path(pwd.getpwuid(os.geteuid()).pw_dir, ".ssh"))
    (place.here / "a part").write_text(f"Host web1\n{place.at('n1')}")
    (place.here / "more.conf").write_text(f"Host *\n{place.login()}")
    Path(pwd.getpwuid(os.geteuid()).pw_dir, ".ssh").mkdir(0o700, exist_ok=True)
    place.configure(f'Include "{place.here}/a part"\nInclude {beside}/*.conf\n')
    place.reach(way, "web1")


@ways
def test_a_key_of_an_odd_name_is_taken(place: Place, way: str) -> None:
    key = place.here / "my key %d"
    key.write_bytes(place.key.read_bytes())
    key.chmod(0o600)
    name = str(key).replace("%", "%%")
    place.configure(f"Host web1\n{place.at('n1')}{place.login(Path(name))}")
    place.reach(way, "web1")


@ways
def test_another_key_is_not_replaced_by_one_that_would_do(place: Place, way: str) -> None:
    place.configure(f"Host web1\n{place.at('n1')}{place.login(new_key(place.here / 'other'))}")
    assert "Permission denied" in place.refused(way, "web1")


@ways
def test_the_users_name_there_is_theirs(place: Place, way: str) -> None:
    place.configure(f"Host web1\n  User stranger\n{place.at('n1')}{place.login()}")
    assert "stranger@" in place.refused(way, "web1")


# --- the way there


@ways
def test_a_jump_goes_through_the_other_node(place: Place, way: str) -> None:
    place.configure(
        f"Host bastion\n{place.at('n2')}Host web1\n  ProxyJump bastion\n{place.at('n1')}"
        f"Host *\n{place.login()}"
    )
    before = place.logins("n2")
    place.reach(way, "web1")
    assert place.logins("n2") > before


@ways
def test_a_proxy_command_is_run(place: Place, way: str) -> None:
    proxy = f"sh -c 'echo %r@%h:%p >>proxied; exec ssh -F \"{place.config}\" -W [%h]:%p bastion'"
    place.configure(
        f"Host bastion\n{place.at('n2')}Host web1\n  ProxyCommand {proxy}\n{place.at('n1')}"
        f"Host *\n{place.login()}"
    )
    place.reach(way, "web1")
    node = place.nodes["n1"]
    calls = set((place.here / "proxied").read_text().splitlines())
    assert calls == {f"{node.details['username']}@{node.ip}:{node.details['port']}"}


# --- what is meant for one ssh on a terminal


@ways
@pytest.mark.parametrize("tty", ["no", "yes", "force", "auto"])
def test_the_users_terminal_does_no_harm(place: Place, way: str, tty: str) -> None:
    place.configure(f"Host web1\n  RequestTTY {tty}\n{place.at('n1')}{place.login()}")
    place.reach(way, "web1")


@ways
@pytest.mark.parametrize(
    "set",
    ["SessionType none", "SessionType subsystem", "ForkAfterAuthentication yes", "StdinNull yes"],
)
def test_a_tunnel_without_a_command_does_no_harm(place: Place, way: str, set: str) -> None:
    place.configure(
        f"Host bastion\n{place.at('n2')}Host web1\n{place.at('n1')}Host web2\n{place.at('n1')}"
        f"  ProxyJump bastion\nHost *\n  {set}\n{place.login()}"
    )
    place.reach(way, "web1")
    place.reach(way, "web2")


@ways
def test_a_command_and_forwardings_do_no_harm(place: Place, way: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        place.configure(
            "Host web1\n  RemoteCommand exec false\n  ExitOnForwardFailure yes\n"
            f"  LocalForward {port} localhost:1\n  DynamicForward {port}\n"
            f"  RemoteForward {port} localhost:1\n{place.at('n1')}{place.login()}"
        )
        place.reach(way, "web1")


# --- connections that are shared


def shared(place: Place, more: str = "") -> Path:
    """Configure sharing as users do; returns where the socket is. Dust would keep its own, too."""
    (place.home / "config.yaml").write_text("persist: 60\n")
    path = place.home / "own"
    place.configure(f"Host web1\n  ControlPath {path}\n{more}{place.at('n1')}{place.login()}")
    return path


def asked(place: Place, path: Path, what: str) -> bool:
    """Ask the connection at a socket for something; whether there is one."""
    words = ["ssh", "-F", str(place.config), "-S", str(path), "-O", what, "web1"]
    return subprocess.run(words, capture_output=True).returncode == 0


def sockets(place: Place) -> list[Path]:
    """The sockets that Dust keeps for itself."""
    return [path for path in (place.home / "cm").iterdir() if path.is_socket()]


@ways
@pytest.mark.parametrize("master", ["auto", "no"])
def test_a_connection_of_the_users_is_used_and_lives_on(
    place: Place, way: str, master: str
) -> None:
    path = shared(place, f"  ControlMaster {master}\n")
    ssh = ["ssh", "-F", str(place.config), "-o", "ControlMaster=yes", "-o", "ControlPersist=yes"]
    subprocess.run([*ssh, "-fN", "web1"], check=True, stderr=subprocess.DEVNULL)
    try:
        before = place.logins("n1")
        place.reach(way, "web1")
        assert place.logins("n1") == before
        assert sockets(place) == []
        assert asked(place, path, "check")
    finally:
        asked(place, path, "exit")


@ways
def test_a_connection_is_kept_where_and_how_long_the_user_has_it(place: Place, way: str) -> None:
    path = shared(place, "  ControlMaster auto\n  ControlPersist yes\n")
    try:
        before = place.logins("n1")
        place.reach(way, "web1")
        place.reach(way, "web1")
        assert place.logins("n1") == before + 1
        assert sockets(place) == []
        assert asked(place, path, "check")
    finally:
        asked(place, path, "exit")


@ways
def test_nothing_is_shared_if_the_user_has_it_so(place: Place, way: str) -> None:
    path = shared(place)
    place.config.write_text(f"Host *\n  ControlPath none\n{place.config.read_text()}")
    before = place.logins("n1")
    place.reach(way, "web1")
    place.reach(way, "web1")
    assert place.logins("n1") == before + (4 if way == "copy" else 2)
    assert sockets(place) == []
    assert not path.exists()
