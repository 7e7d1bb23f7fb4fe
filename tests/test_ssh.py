from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dust.errors import SessionError
from dust.node import Node
from dust.ssh import DEFAULTS, argv, block, config, host


def node(name: str = "worker1", facts: Mapping[str, str] | None = None) -> Node:
    return Node(name, "i-1", "test", ssh=facts or {})


def asked(
    tmp_path: Path,
    users: str = "",
    facts: Mapping[str, str] | None = None,
    name: str = "worker1",
    command: str = "true",
) -> dict[str, str]:
    """What the ssh of this machine makes of a call (`ssh -G`), by keyword in lower case."""
    theirs = tmp_path / "their config"
    theirs.write_text(users)
    ours = tmp_path / "config"
    ours.write_text(config([theirs], DEFAULTS))
    words = argv(node(name, facts), ours, command)
    at = words.index("--")
    said = subprocess.run([*words[:at], "-G", *words[at:]], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    rows = (line.partition(" ") for line in said.stdout.splitlines())
    return {key: value for key, _, value in rows}


# --- what wins, by the word of the real ssh


def test_the_defaults_hold_where_nobody_says_anything(tmp_path: Path) -> None:
    values = asked(tmp_path)
    assert {key: values[key.lower()] for key in DEFAULTS} == dict(DEFAULTS)


@pytest.mark.parametrize(
    "block",
    [
        "ServerAliveInterval 77\nConnectTimeout 3\n",
        "Host worker*\n  ServerAliveInterval 77\n  ConnectTimeout 3\n",
        "Match host worker1\n  ServerAliveInterval 77\n  ConnectTimeout 3\n",
        "Host worker1\n  ServerAliveInterval 77\nHost *\n  ConnectTimeout 3\n",
    ],
)
def test_what_the_user_configures_beats_the_defaults(tmp_path: Path, block: str) -> None:
    values = asked(tmp_path, block)
    assert (values["serveraliveinterval"], values["connecttimeout"]) == ("77", "3")
    assert values["serveralivecountmax"] == DEFAULTS["ServerAliveCountMax"]


def test_a_block_of_the_users_for_another_host_does_not_hold_the_defaults_back(
    tmp_path: Path,
) -> None:
    values = asked(tmp_path, "Host elsewhere\n  ConnectTimeout 3\n")
    assert values["connecttimeout"] == DEFAULTS["ConnectTimeout"]


def test_facts_of_a_node_beat_what_the_user_configures(tmp_path: Path) -> None:
    facts = {"HostName": "10.1.2.3", "Port": "2201", "User": "admin", "HostKeyAlias": "i-1"}
    users = "Host *\n  HostName 9.9.9.9\n  Port 9\n  User nobody\n  HostKeyAlias other\n"
    values = asked(tmp_path, users, facts)
    assert {key: values[key.lower()] for key in facts} == facts
    assert asked(tmp_path, users)["port"] == "9"


def test_a_guess_about_a_node_gives_way_to_what_the_user_configures(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_text("Host worker1\n  User me\n")
    ours = tmp_path / "config"
    ours.write_text(config([theirs], {**DEFAULTS, "User": "ubuntu"}))
    for name, user in ("worker1", "me"), ("worker2", "ubuntu"):
        said = subprocess.run(["ssh", "-G", "-F", ours, name], capture_output=True, text=True)
        assert f"user {user}\n" in said.stdout


@pytest.mark.parametrize(
    ("name", "alias"),
    [
        ("worker1.example", "worker1.example"),
        ("my node", "i-1"),
        ("-rf", "i-1"),
        ("root@worker1", "i-1"),
        ("%h", "i-1"),
        ("", "i-1"),
    ],
)
def test_an_odd_name_is_the_id_where_the_address_is_known(name: str, alias: str) -> None:
    assert host(node(name, {"HostName": "10.1.2.3"})) == alias
    if alias != name and name not in ("%h", "root@worker1"):
        with pytest.raises(SessionError):
            host(node(name))


def test_a_host_of_a_file_is_known_by_its_id_whatever_it_is_called() -> None:
    found = Node("web 1", "n1", "ssh")
    assert host(found) == "n1"
    assert host(Node("web1", "n1", "ssh", ssh={"HostName": "10.1.2.3"})) == "web1"
    with pytest.raises(SessionError):
        host(Node("web1", "-rf", "ssh"))


def test_what_a_session_cannot_have_is_off(tmp_path: Path) -> None:
    users = "RemoteCommand top\nLocalForward 8080 localhost:80\nEscapeChar ~\nRequestTTY no\n"
    values = asked(tmp_path, users)
    assert values["escapechar"] == "none"
    assert values["requesttty"] == "force"
    assert values["clearallforwardings"] == "yes"
    assert "remotecommand" not in values
    assert "localforward" not in values


def test_several_files_are_read_in_their_order(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("one", "two", "missing")]
    paths[0].write_text("Host *\n  Port 1\n")
    paths[1].write_text("Host *\n  Port 2\n  User two\n")
    ours = tmp_path / "config"
    ours.write_text(config(paths, {}))
    said = subprocess.run(["ssh", "-G", "-F", ours, "n"], capture_output=True, text=True)
    assert "port 1\n" in said.stdout
    assert "user two\n" in said.stdout


@pytest.mark.parametrize(
    "name",
    ["plain", "with space", "tab\there", "[a-z]*?", "#hash", "per%cent", "o'clock", "é", "~"],
)
def test_a_file_of_any_name_is_included(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("Port 4242\n")
    (tmp_path / "a").write_text("Port 1\n")  # what wildcards would find
    ours = tmp_path / "config"
    ours.write_text(config([path], {}))
    said = subprocess.run(["ssh", "-G", "-F", ours, "n"], capture_output=True, text=True)
    assert "port 4242\n" in said.stdout, said.stderr


def test_a_relative_file_is_that_of_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert f'Include "{tmp_path}/cfg"' in config([Path("cfg")], {})


@pytest.mark.parametrize("name", ['double"quote', "new\nline", "back\\slash"])
def test_a_file_that_ssh_cannot_include_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(SessionError, match="cannot include") as caught:
        config([tmp_path / name], {})
    assert ascii(name)[1:-1] in str(caught.value)


@pytest.mark.parametrize("directory", ["plain", "with space", "per%%cent"])
def test_a_quoted_fact_arrives_whole(tmp_path: Path, directory: str) -> None:
    values = asked(tmp_path, facts={"IdentityFile": f'"/{directory}/id"', "IdentitiesOnly": "yes"})
    assert values["identityfile"] == f"/{directory}/id"


def test_a_fact_with_words_of_its_own_is_left_alone(tmp_path: Path) -> None:
    proxy = "ssh -W %h:%p 'jump host'"
    assert asked(tmp_path, facts={"ProxyCommand": proxy})["proxycommand"] == proxy
    files = '/a/known_hosts "/b c/known_hosts"'
    values = asked(tmp_path, facts={"UserKnownHostsFile": files})
    assert values["userknownhostsfile"].replace('"', "") == "/a/known_hosts /b c/known_hosts"


# --- nothing is an option


@pytest.mark.parametrize(
    "name",
    [
        "", "-v", "-oProxyCommand=touch x", "a b", "a\nb", "a;b", "$(id)", "`id`", "a|b", "a'b",
        'a"b', "a\\b", "a\0b", "root@-oProxyCommand=x", "-l@host", "root@", "@host", "a/b", "é",
        "n1\n", "a\u202eb", "ssh://x",
    ],
)  # fmt: skip
def test_names_that_ssh_cannot_take_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SessionError, match="ssh cannot take this") as caught:
        argv(node(name), tmp_path / "config", "true")
    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "name",
    ["worker1", "a.b.c", "10.0.0.1", "::1", "fe80::1%eth0", "root@host", "n-1", "_x", "a@b@c"],
)
def test_names_that_ssh_takes_are_taken(tmp_path: Path, name: str) -> None:
    values = asked(tmp_path, name=name)
    assert values["hostname"] == name.rpartition("@")[2]


@given(st.text(max_size=12))
def test_no_name_becomes_an_option(name: str) -> None:
    try:
        words = argv(node(name), Path("/c"), "true")
    except SessionError:
        return
    assert words[-3:] == ["--", name, "true"]
    assert not name.startswith("-")
    assert not name.rpartition("@")[2].startswith("-")
    assert shlex.quote(name) == name or set(name) & set("[]:%@")


def test_a_fact_that_would_become_two_lines_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SessionError, match="HostName"):
        argv(node(facts={"HostName": "a\nProxyCommand x"}), tmp_path, "true")


def test_the_call_has_a_terminal_or_not(tmp_path: Path) -> None:
    assert "-tt" in argv(node(), tmp_path, "true")
    assert "-T" in argv(node(), tmp_path, "true", tty=False)
    assert "-tt" not in argv(node(), tmp_path, "true", tty=False)


def test_the_command_is_one_word_for_the_login_shell(tmp_path: Path) -> None:
    command = "exec sh -c 'a b' \"$x\"; -v"
    words = argv(node(), tmp_path / "c", command)
    assert words[-1] == command
    assert words[:3] == ["ssh", "-F", os.fspath(tmp_path / "c")]


# --- Host blocks


def test_a_block_is_for_the_name_and_the_id() -> None:
    facts = {"HostName": "10.0.0.1", "User": "ubuntu"}
    text = "Host worker1 i-1\n    HostName 10.0.0.1\n    User ubuntu"
    assert block(node("worker1", facts), facts, by_name=True) == text
    assert block(node("worker1", facts), facts, by_name=False).startswith("Host i-1\n")
    assert block(node("my node*", facts), facts, by_name=True).startswith("Host i-1\n")


def test_a_block_takes_no_second_line() -> None:
    with pytest.raises(SessionError, match="HostName"):
        block(node(), {"HostName": "a\nProxyCommand x"}, by_name=True)
