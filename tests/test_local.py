"""Local nodes: made, stopped, started and ended for real."""

from __future__ import annotations

import ast
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dust import ssh
from dust.backends import sshd
from dust.backends.local import LocalBackend
from dust.errors import BackendError
from dust.node import Node

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[LocalBackend]:
    """No nodes yet, below a path that every quoting has to get right."""
    found = LocalBackend(tmp_path / "50% of my nodes" / "root")
    try:
        yield found
    finally:
        found.terminate([node.id for node in found.nodes()])


def call(node: Node, directory: Path, line: str) -> subprocess.CompletedProcess[str]:
    """Run a line on a node by a real ssh, which asks nothing."""
    config = directory / "config"
    config.write_text(ssh.config([], {**ssh.DEFAULTS, **LocalBackend.ssh_defaults}))
    return subprocess.run(
        ssh.argv(node, config, line, tty=False),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,
    )


def said(node: Node, directory: Path, line: str) -> str:
    done = call(node, directory, line)
    assert done.returncode == 0, done.stderr
    return done.stdout


def runs(pid: int) -> bool:
    """Whether there is a living process of this id."""
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return bool(shown.stdout.strip()) and not shown.stdout.strip().startswith("Z")


def python(root: Path, code: str) -> list[str]:
    """A process of its own that has a backend `b` for the nodes below `root`."""
    head = "import sys; from dust.backends.local import LocalBackend as L; from pathlib import Path"
    return [sys.executable, "-c", f"{head}; b = L(Path(sys.argv[1])); {code}", str(root)]


# --- a node's life


def test_nothing_is_made_before_a_node_is(tmp_path: Path) -> None:
    root = tmp_path / "root"
    assert LocalBackend(root).nodes() == []
    assert not root.exists()


def test_a_new_node_runs_with_all_it_was_given(backend: LocalBackend, tmp_path: Path) -> None:
    changes = backend.create(["w10", "w2"], cluster="c", tags={"env": "dev"})
    assert [(change.state, change.error) for change in changes] == [("running", "")] * 2
    nodes = backend.nodes()
    assert [node.name for node in nodes] == ["w2", "w10"]
    assert {node.id for node in nodes} == {change.id for change in changes}
    for node in nodes:
        assert (node.state, node.cluster, node.tags) == ("running", "c", {"env": "dev"})
        assert said(node, tmp_path, "echo $DUST_NODE") == f"{node.name}\n"
        assert runs(int(node.details["pid"]))


def test_each_node_has_a_home_of_its_own_that_outlives_a_stop(
    backend: LocalBackend, tmp_path: Path
) -> None:
    backend.create(["a", "b"])
    a, b = backend.nodes()
    said(a, tmp_path, "echo mine > ~/file")
    assert said(b, tmp_path, "ls ~") == ""
    assert (Path(a.details["home"]) / "file").read_text() == "mine\n"
    backend.stop([a.id])
    backend.start([a.id])
    again = backend.nodes()[0]
    assert again.id == a.id
    assert said(again, tmp_path, "cat ~/file") == "mine\n"


def test_stop_ends_what_runs_on_the_node_and_on_no_other(
    backend: LocalBackend, tmp_path: Path
) -> None:
    backend.create(["a", "b"])
    detached = "nohup sleep 1000 > /dev/null 2>&1 & echo $!"
    pids = [int(said(node, tmp_path, detached)) for node in backend.nodes()]
    listeners = [int(node.details["pid"]) for node in backend.nodes()]
    a, b = backend.nodes()
    assert [runs(pid) for pid in pids + listeners] == [True] * 4
    (change,) = backend.stop([a.id])
    assert (change.state, change.error) == ("stopped", "")
    assert [runs(pid) for pid in pids + listeners] == [False, True, False, True]
    assert [node.state for node in backend.nodes()] == ["stopped", "running"]
    assert "pid" not in backend.nodes()[0].details


def test_a_start_leaves_a_node_that_runs_alone(backend: LocalBackend) -> None:
    backend.create(["a"])
    before = backend.nodes()
    backend.start([before[0].id])
    assert backend.nodes() == before


def test_terminate_leaves_no_file_of_the_node(backend: LocalBackend, tmp_path: Path) -> None:
    backend.create(["a", "b"])
    a, b = backend.nodes()
    said(a, tmp_path, "mkdir -p ~/d/e && touch ~/d/e/f && chmod 500 ~/d/e ~/d")
    home = Path(a.details["home"])
    (change,) = backend.terminate([a.id])
    assert (change.state, change.error) == ("terminated", "")
    assert not home.parent.exists()
    assert not runs(int(a.details["pid"]))
    assert backend.nodes() == [b]
    backend.create(["a"])
    assert a.id not in {node.id for node in backend.nodes()}


# --- several processes


def test_nodes_survive_the_process_that_made_them_and_another_one_ends_them(
    backend: LocalBackend, tmp_path: Path
) -> None:
    root = tmp_path / "50% of my nodes" / "root"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    maker = subprocess.Popen(
        python(root, "b.create(['a', 'b']); print('made', flush=True); sys.stdin.read()"),
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with maker:
        assert maker.stdout and maker.stdout.readline() == b"made\n"
        maker.kill()
    nodes = backend.nodes()
    assert [node.state for node in nodes] == ["running", "running"]
    assert said(nodes[0], tmp_path, "echo here") == "here\n"
    code = "print([c.error for c in b.terminate([n.id for n in b.nodes()])], b.nodes())"
    ended = subprocess.run(python(root, code), env=environment, capture_output=True, text=True)
    assert ended.stdout == "['', ''] []\n", ended.stderr
    assert [runs(int(node.details["pid"])) for node in nodes] == [False, False]
    assert backend.nodes() == []


def test_a_process_killed_while_it_makes_nodes_leaves_whole_ones_or_none(
    backend: LocalBackend, tmp_path: Path
) -> None:
    root = tmp_path / "50% of my nodes" / "root"
    # It is killed when the keys of the drafts are there and no node is.
    code = (
        "import os; import dust.backends.localstore as s;"
        " s.Store.publish = lambda *a: os.kill(os.getpid(), 9); b.create(['a', 'b'])"
    )
    killed = subprocess.run(python(root, code), env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert killed.returncode == -9
    assert os.listdir(root / "unfinished")
    assert backend.nodes() == []
    assert [change.error for change in backend.create(["a"])] == [""]
    assert os.listdir(root / "unfinished") == []
    assert [node.name for node in backend.nodes()] == ["a"]


# As root: an ordinary user, in a system where only root could give terminals to their group.
UID = 54321
SYSTEM = f"""
mount -t devpts -o newinstance,ptmxmode=666,mode=600 devpts /dev/pts
mount --bind /dev/pts/ptmx /dev/ptmx
echo 'somebody:x:{UID}:{UID}::/:/bin/sh' | cat /etc/passwd - > passwd
mount --bind passwd /etc/passwd
"""
SETPRIV = f"setpriv --reuid={UID} --regid={UID} --clear-groups".split()


def ordinary(directory: Path, code: str, enter: str = 'exec "$@"') -> subprocess.Popen[str]:
    """A process of an ordinary user that has a backend `b` for the nodes below `directory`."""
    user = UID if os.geteuid() == 0 else None
    # The checkout may lie where other users cannot read.
    shutil.copytree(ROOT / "dust", directory / "dust", ignore=shutil.ignore_patterns("*.pyc"))
    words = python(directory / "my nodes", code)
    words[0] = _readable_python(user)
    if user:
        shutil.chown(directory, user)
        words = ["unshare", "-m", "sh", "-ec", SYSTEM + enter, "sh", *SETPRIV, *words]
    return subprocess.Popen(
        words,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(directory),
            "HOME": str(directory),
            "PYTHONUNBUFFERED": "1",
        },
        cwd=directory,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_an_ordinary_user_has_nodes_too() -> None:
    code = """
print([(c.state, c.error) for c in b.create(["a"])])
node = b.nodes()[0]
print(node.state, node.details["pid"])
import subprocess; from dust import ssh
config = Path("config")
config.write_text(ssh.config([], {**ssh.DEFAULTS, **L.ssh_defaults}))
words = ssh.argv(node, config, "hostname; tty; id -u; cd; pwd", tty=True)
done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True)
print([done.returncode, *done.stdout.splitlines(), done.stderr])
sys.stdin.readline()
print([(c.state, c.error) for c in b.terminate([node.id])])
"""
    with tempfile.TemporaryDirectory() as name, ordinary(Path(name), code) as process:
        assert process.stdout and process.stdin
        assert process.stdout.readline() == "[('running', '')]\n"
        state, pid = process.stdout.readline().split()
        assert (state, runs(int(pid))) == ("running", True)
        session = process.stdout.readline()
        assert session.startswith("[0, "), session
        status, host, terminal, uid, home = ast.literal_eval(session)[:5]
        assert (status, terminal[:9]) == (0, "/dev/pts/"), session
        # Some systems let nobody but root have a host name.
        assert host in ("a", socket.gethostname())
        assert int(uid) == os.stat(name).st_uid
        assert home == f"{name}/my nodes/nodes/a/home"
        print(file=process.stdin, flush=True)
        assert process.stdout.read().endswith("[('terminated', '')]\n")
    assert not runs(int(pid))


@pytest.mark.skipif(os.geteuid() != 0, reason="it takes root to make such a system")
def test_what_keeps_an_ordinary_user_from_terminals_is_named() -> None:
    # In a changed root no user namespaces are made.
    enter = """
mkdir root
mount --rbind / root
exec chroot root "$@"
"""
    code = 'print(b.create(["a"])[0].error, b.nodes())'
    with tempfile.TemporaryDirectory() as name, ordinary(Path(name), code, enter) as process:
        assert process.stdout
        said = process.stdout.read()
    assert "not isolated: " in said
    assert "can give out no terminals here; as root type: mount -o remount,gid=" in said
    assert said.endswith(" []\n")


def _readable_python(user: int | None) -> str:
    """A Python that this user may run, the one of these tests if possible."""
    names = [sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"]
    check = ["-c", "import sys; sys.exit(sys.version_info < (3, 10))"]
    for name in names:
        try:
            if subprocess.run([name, *check], user=user, capture_output=True).returncode == 0:
                return name
        except OSError:
            continue
    pytest.fail("install a Python that other users may run")


# --- what goes wrong


@pytest.mark.parametrize(
    "names",
    [
        ["a", "b", "a"],
        ["a", "-oProxyCommand=x"],
        ["a", ""],
        ["a", "../b"],
        ["a", "b c"],
        ["a", "b\n"],
        ["a", "x" * 64],
        ["a", "old"],
    ],
)
def test_a_name_that_will_not_do_leaves_nothing_half_made(
    backend: LocalBackend, tmp_path: Path, names: list[str]
) -> None:
    root = tmp_path / "50% of my nodes" / "root"
    assert [change.error for change in backend.create(["old"])] == [""]
    before = backend.nodes()
    with pytest.raises(BackendError) as caught:
        backend.create(names)
    bad = next(name for name in reversed(names) if name != "b")
    assert (bad if bad.isprintable() else repr(bad)) in str(caught.value)
    assert backend.nodes() == before
    assert os.listdir(root / "nodes") == ["old"]
    assert os.listdir(root / "unfinished") == []


def test_a_missing_sshd_is_named_with_the_way_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(sshd, "_PLACES", ())
    with pytest.raises(BackendError, match="need sshd, which is not installed: .*openssh"):
        LocalBackend(tmp_path / "root").create(["a"])
    assert not (tmp_path / "root").exists()


def test_a_node_whose_sshd_ends_at_once_is_not_kept(
    backend: LocalBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    broken = tmp_path / "bin" / "sshd"
    broken.write_text("#!/bin/sh\necho out of order >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    (change,) = backend.create(["a"])
    assert change.state == "terminated"
    assert "a: " in change.error and "out of order" in change.error
    assert backend.nodes() == []


def test_a_damaged_record_is_named_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "nodes" / "a" / "node.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"id": "l-1",\n"name": }')
    with pytest.raises(ValueError, match=r"node\.json:2: damaged: .*remove") as caught:
        LocalBackend(tmp_path).nodes()
    assert str(path) in str(caught.value)


def test_a_port_that_is_taken_meanwhile_gives_way_to_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = LocalBackend(tmp_path / "nodes")
    prepared = backend._prepared
    others: list[socket.socket] = []

    def late(*arguments: Any) -> Any:
        """Take the port of the first node just before its sshd does."""
        record = arguments[1]
        if not others:
            others.append(socket.create_server((record.address, record.port)))
        return prepared(*arguments)

    monkeypatch.setattr(backend, "_prepared", late)
    try:
        changes = backend.create(["a"])
        assert [(change.state, change.error) for change in changes] == [("running", "")]
        assert others[0].getsockname()[1] != int(backend.nodes()[0].details["port"])
    finally:
        for other in others:
            other.close()
        backend.terminate([node.id for node in backend.nodes()])
