"""What every source of nodes keeps to, tried on real nodes."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from cloud import account, launch, serving

from dust import ssh
from dust.backend import Backend
from dust.backends.ec2 import Ec2Backend
from dust.backends.ec2client import Cloud
from dust.backends.local import LocalBackend
from dust.backends.ssh import SshBackend
from dust.errors import BackendError
from dust.node import Node

#: The sources, and which of them can start and stop nodes.
KINDS = {"local": True, "ec2": True, "ssh_config": False, "inventory": False}
# Facts that an inventory has no variables for; the configuration says them.
_ONLY_CONFIGURED = ("IdentitiesOnly", "HostKeyAlias", "UserKnownHostsFile")


# What stands between an instance's address, which is only moto's, and an sshd of this machine.
RELAY = """
import os, selectors, socket, sys
there = socket.create_connection((sys.argv[1], int(sys.argv[2])))
selector = selectors.DefaultSelector()
selector.register(0, selectors.EVENT_READ, there.sendall)
selector.register(there, selectors.EVENT_READ, lambda data: os.write(1, data))
while True:
    for key, _ in selector.select():
        data = os.read(key.fd, 65536)
        if not data:
            sys.exit()
        key.data(data)
"""


def block(node: Node, keywords: Sequence[str]) -> str:
    """A node as ssh_config has it."""
    facts = "".join(f"    {key} {node.ssh[key]}\n" for key in keywords)
    return f"Host {node.name}\n{facts}"


def variables(node: Node) -> str:
    """A node as a line of an inventory."""
    facts = {"host": "HostName", "port": "Port", "user": "User"}
    words = [f"ansible_{name}={node.ssh[key]}" for name, key in facts.items()]
    key = node.ssh["IdentityFile"].strip('"').replace("%%", "%")
    return " ".join([node.name, *words, f"ansible_ssh_private_key_file='{key}'"]) + "\n"


def made(kind: str, local: LocalBackend, directory: Path) -> Backend:
    """A source of this kind that has the nodes of `local`."""
    if kind == "local":
        return local
    if kind == "ec2":
        return instances(local, directory)
    nodes, config = local.nodes(), directory / "ssh config"
    if kind == "ssh_config":
        config.write_text("".join(block(node, list(node.ssh)) for node in nodes))
        return SshBackend.from_options(config, None)
    config.write_text("".join(block(node, _ONLY_CONFIGURED) for node in nodes))
    inventory = directory / "my hosts"
    inventory.write_text("[web]\n" + "".join(variables(node) for node in nodes))
    return SshBackend.from_options(config, str(inventory))


def instances(local: LocalBackend, directory: Path) -> Backend:
    """Instances of moto's with the names of local nodes, whose sshd answers for them."""
    urlopen(Request(f"{os.environ['AWS_ENDPOINT_URL']}/moto-api/reset", method="POST"))
    backend = Ec2Backend(Cloud(region="us-east-1"))
    backend.ssh_config = directory / "ssh config"
    relay = directory / "relay.py"
    relay.write_text(RELAY)
    text = ""
    for node in local.nodes():
        launch(backend.cloud, node.name)
        proxy = shlex.join([sys.executable, str(relay), node.ssh["HostName"], node.ssh["Port"]])
        own = [f"{key} {node.ssh[key]}" for key in ("User", "IdentityFile", "IdentitiesOnly")]
        text += "\n    ".join([f"Host {node.name}", f"ProxyCommand {proxy}", *own]) + "\n"
    backend.ssh_config.write_text(text)
    return backend


def echoed(backend: Backend, node: Node, directory: Path) -> str:
    """What a real ssh to the node brings back from `echo`."""
    config = directory / "config"
    own = [backend.ssh_config] if backend.ssh_config else []
    preferred = {**ssh.DEFAULTS, **backend.ssh_defaults, **node.ssh_defaults}
    config.write_text(ssh.config(own, preferred))
    call = ssh.argv(node, config, "echo $((40 + 2))", tty=False)
    # Without a terminal a question fails instead of waiting.
    done = subprocess.run(
        call, stdin=subprocess.DEVNULL, capture_output=True, text=True, start_new_session=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving() as endpoint:
        yield endpoint


@pytest.fixture(autouse=True)
def _account(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    account(monkeypatch, server, tmp_path)


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalBackend]:
    """Two nodes that one test may change."""
    backend = LocalBackend(tmp_path / "nodes")
    try:
        assert not any(change.error for change in backend.create(["n1", "n2"], "c", {"env": "x"}))
        yield backend
    finally:
        backend.terminate([node.id for node in backend.nodes()])


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBackend]:
    """Two nodes that no test changes."""
    backend = LocalBackend(tmp_path_factory.mktemp("shared") / "nodes")
    try:
        assert not any(change.error for change in backend.create(["n1", "n2"], "c", {"env": "x"}))
        yield backend
    finally:
        backend.terminate([node.id for node in backend.nodes()])


@pytest.fixture(params=KINDS)
def backend(request: pytest.FixtureRequest, shared: LocalBackend, tmp_path: Path) -> Backend:
    return made(request.param, shared, tmp_path)


def test_ids_and_names_are_unique_and_stay(backend: Backend) -> None:
    nodes = backend.nodes()
    assert [node.name for node in nodes] == ["n1", "n2"]
    assert len({node.id for node in nodes}) == 2
    assert [node.id for node in backend.nodes()] == [node.id for node in nodes]


def test_a_node_says_what_it_is(backend: Backend) -> None:
    for node in backend.nodes():
        assert node.backend == backend.name
        assert node.running and node.state == "running"


def test_properties_are_complete_and_texts(backend: Backend) -> None:
    wanted = {"name", "id", "backend", "state", "type", "ip", "private_ip", "cluster"}
    for node in backend.nodes():
        properties = node.properties()
        assert wanted <= set(properties)
        for mapping in properties, node.tags, node.ssh:
            assert all(type(part) is str for pair in mapping.items() for part in pair)
        assert (node.properties()["name"], node.properties()["id"]) == (node.name, node.id)
        assert ip_address(node.ip)


def test_the_prompt_has_a_label_of_one_line(backend: Backend) -> None:
    assert backend.label.startswith(backend.name)
    assert backend.label.isprintable()


def test_ssh_reaches_a_node_with_what_the_backend_says(backend: Backend, tmp_path: Path) -> None:
    for node in backend.nodes():
        assert echoed(backend, node, tmp_path) == "42\n"


@pytest.mark.parametrize("kind", [kind for kind, able in KINDS.items() if able])
def test_nodes_stop_start_and_end(kind: str, local: LocalBackend, tmp_path: Path) -> None:
    backend = made(kind, local, tmp_path)
    first, second = backend.nodes()
    ids = [second.id, first.id, "nobody"]
    for change, state in (backend.stop, "stopped"), (backend.start, "running"):
        # Once more changes nothing.
        for _ in range(2):
            changes = change(ids)
            assert [each.id for each in changes] == ids
            assert [(each.state, each.error) for each in changes[:2]] == [(state, "")] * 2
            assert "nobody" in changes[2].error
            assert [node.state for node in backend.nodes()] == [state] * 2
    changes = backend.reboot(ids)
    assert [(each.id, each.state) for each in changes[:2]] == [(i, "running") for i in ids[:2]]
    assert "nobody" in changes[2].error
    assert [node.id for node in backend.nodes()] == [first.id, second.id]
    assert echoed(backend, backend.nodes()[1], tmp_path) == "42\n"
    (gone,) = backend.terminate([first.id])
    assert (gone.id, gone.state, gone.error) == (first.id, "terminated", "")
    assert [node.id for node in backend.nodes()] == [second.id]


@pytest.mark.parametrize("kind", [kind for kind, able in KINDS.items() if able])
def test_tags_come_and_go(kind: str, local: LocalBackend, tmp_path: Path) -> None:
    backend = made(kind, local, tmp_path)
    first, second = backend.nodes()
    changes = backend.tag([first.id, "nobody"], {"note": "a=b: *\n\N{PILE OF POO}", "env": "y"})
    assert [(each.id, each.state) for each in changes][0] == (first.id, "running")
    assert (changes[0].error, "nobody" in changes[1].error) == ("", True)
    tags = [dict(node.tags) for node in backend.nodes()]
    given = {"env": "y", "note": "a=b: *\n\N{PILE OF POO}"}
    assert tags == [{**first.tags, **given}, dict(second.tags)]
    backend.untag([first.id, second.id], ["note", "nothing"])
    tags = [dict(node.tags) for node in backend.nodes()]
    assert tags == [{**first.tags, "env": "y"}, dict(second.tags)]


@pytest.mark.parametrize("kind", [kind for kind, able in KINDS.items() if not able])
@pytest.mark.parametrize("verb", ["start", "stop", "reboot", "terminate"])
def test_what_cannot_change_nodes_says_so(
    kind: str, verb: str, shared: LocalBackend, tmp_path: Path
) -> None:
    backend = made(kind, shared, tmp_path)
    before = backend.nodes()
    with pytest.raises(BackendError, match="does not apply to hosts of a file"):
        getattr(backend, verb)([before[0].id])
    assert backend.nodes() == before
    assert [node.state for node in shared.nodes()] == ["running", "running"]
