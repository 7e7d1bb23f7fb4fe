"""Opening, losing and finding again; nodes that fail in each way beside nodes that work."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dust.backends.local import LocalBackend
from dust.node import Node
from live.driver import CONFIG, PATIENCE, children, driving, gone, nodes, started

GOOD = ("good1", "good2", "good3")
QUICK = CONFIG + "ServerAliveInterval 1\nServerAliveCountMax 2\n"


PROXY = """\
import os, select, socket, sys
with open("{counter}", "a+") as file:
    file.write("x")
    file.seek(0)
    if len(file.read()) < 3:
        sys.exit(1)
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
while True:
    ready, _, _ = select.select([0, s], [], [])
    if 0 in ready:
        data = os.read(0, 65536)
        if not data:
            break
        s.sendall(data)
    if s in ready:
        data = s.recv(65536)
        if not data:
            break
        os.write(1, data)
"""


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBackend]:
    names = [*GOOD, "victim", "stopped", *(f"more{i}" for i in range(6))]
    with nodes(tmp_path_factory.mktemp("sessions") / "nodes", names) as backend:
        yield backend


def named(backend: LocalBackend, *names: str) -> list[Node]:
    by_name = {node.name: node for node in backend.nodes()}
    return [by_name[name] for name in names]


def other(node: Node, name: str, **facts: str) -> Node:
    """The same node under another name, with some facts changed."""
    return node._replace(name=name, id=name, ssh={**node.ssh, **facts})


def make_key(path: Path, passphrase: str = "") -> str:
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", str(path)]
    subprocess.run(words, check=True)
    return path.with_suffix(".pub").read_text()


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """Takes connections and never says a word."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server


@pytest.fixture
def failing(backend: LocalBackend, silent: socket.socket, tmp_path: Path) -> dict[str, Node]:
    """A node for each way to fail, by the reason that is told."""
    node, gone = named(backend, "victim", "stopped")
    backend.stop([gone.id])
    wrong = make_key(tmp_path / "wrong")
    known = tmp_path / "known_hosts"
    known.write_text(f"changed {wrong}")
    address, port = silent.getsockname()
    facts = {
        "refused": other(gone._replace(state="running"), "refused"),  # as far as is known
        "timed out": other(node, "silent", HostName=address, Port=str(port)),
        "name resolution": other(node, "lost", HostName="n" * 64),
        "host key": other(node, "changed", HostKeyAlias="changed", UserKnownHostsFile=str(known)),
        "authentication": other(node, "denied", IdentityFile=str(tmp_path / "wrong")),
        "dropped": other(node, "proxied", ProxyCommand="/nonexistent/proxy"),
    }
    return facts


def test_every_failure_is_told_apart_and_disturbs_no_other_node(
    backend: LocalBackend, failing: dict[str, Node], tmp_path: Path
) -> None:
    every = [*failing.values(), *named(backend, *GOOD)]
    config = CONFIG + "ConnectTimeout 1\n"
    with driving(every, tmp_path / "d", config=config, fanout=2, connect_timeout=2) as driver:
        run = driver.start("echo ready")
        driver.state("ready", *GOOD)
        driver.until(lambda: run.done)
        for kind, node in failing.items():
            link = driver.link(node.name)
            assert link.state == "down"
            assert run.results[node.id].state == "unreachable"
            assert run.results[node.id].error == link.reason
            assert driver.events.notes[node.name] == [link.reason]
            if kind == "dropped":
                assert "/nonexistent/proxy" in link.reason
            else:
                assert link.reason.startswith(f"{kind}: ")
        assert "known_hosts:1" in driver.link("changed").reason
        assert {run.results[driver.nodes[name].id].output for name in GOOD} == {"ready\n"}
        assert run.status == 255
        again = driver.run("hostname", *GOOD)
        assert again.status == 0


def test_a_node_without_a_session_that_is_down_fails_at_once_and_not_the_others(
    backend: LocalBackend, failing: dict[str, Node], tmp_path: Path
) -> None:
    every = [failing["refused"], *named(backend, "good1")]
    with driving(every, tmp_path / "d") as driver:
        assert driver.run("echo one").status == 255
        run = driver.run("echo two")  # tries again
        assert driver.outputs(run) == {"refused": "", "good1": "two\n"}
        assert len(driver.events.notes["refused"]) == 2


def test_no_more_handshakes_at_once_than_the_fanout(backend: LocalBackend, tmp_path: Path) -> None:
    names = [f"more{i}" for i in range(6)]
    with driving(named(backend, *names), tmp_path / "d", fanout=2) as driver:
        connecting = []

        def opened() -> bool:
            begun = [link for link in driver.coordinator.links.values() if link.pipe]
            connecting.append(sum(link.state == "connecting" for link in begun))
            return driver.coordinator.counts().get("ready") == len(names)

        driver.coordinator.open(list(driver.nodes.values()))
        driver.until(opened)
        assert max(connecting) == 2


def test_a_node_that_turns_connections_away_is_tried_again(
    backend: LocalBackend, tmp_path: Path
) -> None:
    """What sshd does beyond MaxStartups, done twice by a proxy."""
    counter = tmp_path / "tries"
    proxy = tmp_path / "proxy"
    proxy.write_text(PROXY.format(counter=counter))
    command = f"{shlex.quote(sys.executable)} {proxy} %h %p"
    (node,) = named(backend, "good1")
    with driving([other(node, "busy", ProxyCommand=command)], tmp_path / "d") as driver:
        run = driver.run("echo in")
        assert driver.outputs(run) == {"busy": "in\n"}, driver
        assert counter.read_text() == "xxx"
        assert driver.events.notes["busy"] == []


def test_a_frozen_node_is_noticed_and_found_again(backend: LocalBackend, tmp_path: Path) -> None:
    """Silence of the network, without a word from the node."""
    (node,) = named(backend, "victim")
    with driving([node, *named(backend, "good1")], tmp_path / "d", config=QUICK) as driver:
        driver.run("cd /usr/lib")
        pids = [int(node.details["pid"])]
        pids += children(pids[0])
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            run = driver.start("echo still here")
            driver.state("down", "victim")
            driver.until(lambda: run.done)
            assert driver.outputs(run) == {"victim": "", "good1": "still here\n"}
            assert (run.results[node.id].state, run.status) == ("timeout", 255)
            assert run.summary().startswith("victim: timeout · 1 ok, ")
            assert driver.link("victim").reason.startswith("timed out: Timeout, server")
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
        driver.coordinator.reconnect([node])
        driver.state("ready", "victim")
        assert driver.outputs(driver.run("pwd", "victim")) == {"victim": "/usr/lib\n"}


def test_a_dropped_connection_is_noticed_at_once(backend: LocalBackend, tmp_path: Path) -> None:
    (node,) = named(backend, "victim")
    with driving([node], tmp_path / "d") as driver:
        run = driver.start("sh -c 'echo began; exec sleep 600'")
        driver.printed("began")
        for pid in children(int(node.details["pid"])):
            os.kill(pid, signal.SIGKILL)
        driver.until(lambda: run.done)
        assert run.results[node.id].state == "failed"
        assert "closed by remote host" in driver.link("victim").reason


def test_what_programs_print_is_not_taken_for_the_reason(
    backend: LocalBackend, tmp_path: Path
) -> None:
    (node,) = named(backend, "victim")
    with driving([node], tmp_path / "d") as driver:
        run = driver.start("sh -c 'echo Permission denied; exec sleep 600'")
        driver.printed("denied")
        ssh = children(driver.coordinator._zygote.pid)[-1]  # type: ignore[union-attr]
        os.kill(ssh, signal.SIGKILL)
        driver.until(lambda: run.done)
        assert "denied" not in driver.link("victim").reason
        assert driver.link("victim").reason == "its ssh was ended by signal 9"
        assert driver.link("victim").lost  # which `reconnect` opens again


def test_close_ends_a_session_and_what_runs_in_it(backend: LocalBackend, tmp_path: Path) -> None:
    (node,) = named(backend, "good1")
    with driving([node], tmp_path / "d") as driver:
        run = driver.start("sh -c 'echo $$; exec sleep 600'")
        driver.printed("\n")
        pid = int(driver.events.printed["good1"])
        begun = started(pid)
        assert begun
        assert driver.coordinator.close([node]) == [node]
        assert run.done
        assert driver.link("good1").reason == "closed"
        assert driver.coordinator.close([node]) == []
        assert driver.events.notes["good1"] == []  # nobody needs to be told
        assert not gone({pid: begun}, PATIENCE)


def test_a_line_sent_while_connecting_runs_when_ready(
    backend: LocalBackend, tmp_path: Path
) -> None:
    (node,) = named(backend, "good1")
    with driving([node], tmp_path / "d") as driver:
        runs = [driver.start(f"sleep 0.05; echo {i}; (exit {i})") for i in range(3)]
        driver.until(lambda: all(run.done for run in runs))
        assert [driver.outputs(run)["good1"] for run in runs] == ["0\n", "1\n", "2\n"]
        assert [driver.statuses(run)["good1"] for run in runs] == [0, 1, 2]


def test_a_line_may_differ_from_node_to_node(backend: LocalBackend, tmp_path: Path) -> None:
    with driving(named(backend, *GOOD), tmp_path / "d") as driver:
        run = driver.coordinator.run(driver.of(()), lambda node: f"echo {node.name}")
        driver.until(lambda: run.done)
        assert driver.outputs(run) == {name: f"{name}\n" for name in GOOD}


# --- what ssh asks


@pytest.fixture
def locked(backend: LocalBackend, tmp_path: Path) -> list[Node]:
    """Two nodes that take a key with a passphrase."""
    key = tmp_path / "locked"
    public = make_key(key, "open sesame")
    chosen = named(backend, "more0", "more1")
    for node in chosen:
        directory = Path(node.details["home"]).parent / "sshd"
        with (directory / "authorized_keys").open("a") as file:
            file.write(public)
    return [n._replace(ssh={**n.ssh, "IdentityFile": str(key)}) for n in chosen]


ASKING = CONFIG.replace("BatchMode yes\n", "")


def test_a_passphrase_is_asked_alike_and_the_answer_opens(
    locked: list[Node], tmp_path: Path
) -> None:
    with driving(locked, tmp_path / "d", config=ASKING, fanout=1) as driver:
        run = driver.start("echo in")
        driver.until(lambda: len(driver.events.questions) == 2, "the questions")
        (first, text, secret), (second, same, _) = driver.events.questions
        assert text == same == f"Enter passphrase for key '{tmp_path}/locked':"
        assert secret
        assert {first.node.name, second.node.name} == {"more0", "more1"}
        driver.coordinator.answer(first, "wrong")
        driver.until(lambda: len(driver.events.questions) == 3, "the question again")
        for link in (first, second):
            driver.coordinator.answer(link, "open sesame")
        driver.until(lambda: run.done)
        assert driver.outputs(run) == {"more0": "in\n", "more1": "in\n"}
        assert not any(b"sesame" in text for text in driver.events.printed.values())


def test_a_question_that_is_not_answered_ends_the_session(
    locked: list[Node], tmp_path: Path
) -> None:
    with driving(locked[:1], tmp_path / "d", config=ASKING) as driver:
        run = driver.start("echo in")
        driver.until(lambda: bool(driver.events.questions), "the question")
        driver.coordinator.answer(driver.events.questions[0][0], None)
        assert run.done
        assert driver.link("more0").reason == "authentication: not answered"


@pytest.mark.parametrize(("answer", "state"), [("yes", "ready"), ("no", "down")])
def test_a_new_host_key_is_asked_with_its_fingerprint(
    backend: LocalBackend, tmp_path: Path, answer: str, state: str
) -> None:
    (node,) = named(backend, "good1")
    known = tmp_path / "known_hosts"
    node = other(node, "new", HostKeyAlias="new", UserKnownHostsFile=str(known))
    config = ASKING.replace("accept-new", "ask")
    with driving([node], tmp_path / "d", config=config) as driver:
        driver.coordinator.open([node])
        driver.until(lambda: bool(driver.events.questions), "the question")
        ((link, text, secret),) = driver.events.questions
        assert not secret
        assert "The authenticity of host 'new" in text
        assert "SHA256:" in text
        assert text.endswith("(yes/no/[fingerprint])?")
        driver.coordinator.answer(link, answer)
        driver.state(state)
        if state == "down":
            assert link.reason.startswith("host key: ")
        else:
            assert "new ssh-ed25519" in known.read_text()
