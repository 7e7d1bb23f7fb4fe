"""put and get on real nodes, as they are typed."""

from __future__ import annotations

import hashlib
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dust.backends import local
from dust.backends.local import LocalBackend
from live.driver import children, gone, started

DUST = Path(__file__).resolve().parents[2] / "bin" / "dust"
ODD = [
    b"plain",
    b"a name with spaces",
    b"-rf",
    b"new\nline",
    b'it\'s "quoted" $(x);*?[a]',
    b"\xff\xfe",
    b"~",
    b".hidden",
    "später".encode(),
]


class Place:
    """Two nodes, and a directory of this machine that dust is started in."""

    def __init__(self, root: Path, backend: LocalBackend) -> None:
        self.root = root
        self.here = root / "here"
        self.homes = {node.name: Path(node.details["home"]) for node in backend.nodes()}

    def dust(
        self,
        *lines: str,
        status: int = 0,
        memory: int = resource.RLIM_INFINITY,
        size: int = resource.RLIM_INFINITY,
    ) -> str:
        """What these lines print; each process may use so much memory, and write files so large."""
        argv = [sys.executable, str(DUST)]
        for line in lines:
            argv += ["-c", line]
        env = {**os.environ, "DUST_HOME": str(self.root / "dust")}
        done = subprocess.run(
            argv, cwd=self.here, env=env, text=True, stdin=subprocess.DEVNULL, timeout=60,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="surrogateescape",
            preexec_fn=lambda: limit(memory, size),
        )  # fmt: skip
        assert done.returncode == status, done.stdout
        return done.stdout

    @contextmanager
    def halfway(self, line: str, there: Path) -> Iterator[subprocess.Popen[str]]:
        """Dust with a copy of much, once some of it has arrived in a folder."""
        for folder in (self.here, self.homes["n2"]):
            with open(folder / "much", "wb") as file:
                file.truncate(8 << 30)  # nothing of it is on a disk, and no machine is that quick
        argv = [sys.executable, str(DUST), "-c", line]
        env = {**os.environ, "DUST_HOME": str(self.root / "dust")}
        process = subprocess.Popen(
            argv, cwd=self.here, env=env, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            until(lambda: any(part.stat().st_size for part in rubbish(there)))
            yield process
        finally:
            process.kill()
            process.communicate()
            (self.homes["n2"] / "much").unlink()

    def parts(self) -> list[Path]:
        """What is left of files that were not whole."""
        return [path for place in [self.here, *self.homes.values()] for path in rubbish(place)]


def limit(memory: int, size: int) -> None:
    """Let this process and those that it starts have no more."""
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def until(true: Callable[[], object], patience: float = 30.0) -> None:
    """Wait for what must come."""
    deadline = time.monotonic() + patience
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def rubbish(place: Path) -> list[Path]:
    return [path for path in place.rglob(".*") if ".dust-part-" in path.name]


def without_sftp(make: Callable[..., str]) -> Callable[..., str]:
    """A maker of configurations without an sftp server."""

    def config(*given: str) -> str:
        return re.sub(r"(?m)^Subsystem.*\n", "", make(*given))

    return config


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, LocalBackend]]:
    root = tmp_path_factory.mktemp("copies")
    backend = LocalBackend(root / "dust" / "local")
    changes = backend.create(["n1", "n2"])
    with pytest.MonkeyPatch.context() as patch:
        for function in ("isolated_config", "plain_config"):
            patch.setattr(local, function, without_sftp(getattr(local, function)))
        changes += backend.create(["bare"])
    assert not [change for change in changes if change.error], changes
    yield root, backend
    backend.terminate([node.id for node in backend.nodes()])


@pytest.fixture
def place(nodes: tuple[Path, LocalBackend], tmp_path: Path) -> Iterator[Place]:
    place = Place(*nodes)
    place.here = tmp_path / "here"
    place.here.mkdir()
    yield place
    assert not place.parts()


def seen(folder: Path) -> dict[bytes, tuple[object, ...]]:
    """Everything below a folder: name, kind and mode, time, contents."""
    found: dict[bytes, tuple[object, ...]] = {}
    base = os.fsencode(folder)
    for path, _, names in os.walk(base):
        for each in [path, *(os.path.join(path, name) for name in names)]:
            info = os.lstat(each)
            data = b"" if os.path.isdir(each) else Path(os.fsdecode(each)).read_bytes()
            found[each[len(base) :]] = (oct(info.st_mode), int(info.st_mtime), data)
    return found


@pytest.mark.parametrize(("target", "count"), [("n*", 2), ("bare", 1)])
def test_a_tree_there_and_back_again(place: Place, target: str, count: int) -> None:
    tree = place.here / "tree"
    (tree / "sub" / "none").mkdir(parents=True)
    for number, name in enumerate(ODD):
        path = os.path.join(os.fsencode(tree), name)
        with open(path, "wb") as file:
            file.write(name * number)  # the first is empty
        os.chmod(path, 0o600 + number)
        os.utime(path, (10**9, 10**9 + number))
    (tree / "large").write_bytes(os.urandom(3_000_001))
    (tree / "sub" / "exact").write_bytes(bytes(1 << 20))
    os.chmod(tree / "sub", 0o500)
    os.utime(tree / "sub", (10**9, 10**9))
    for line in (f"put tree {target}", f"get {target} tree back/"):
        said = place.dust(line)
        assert f"{count * (len(ODD) + 2)} files " in said
        assert ("bare: no sftp server there that can do it: copied by tar" in said) == (count == 1)
    for node, home in place.homes.items():
        if node.startswith("n") != (count == 2):
            continue
        assert seen(home / "tree") == seen(tree)
        assert seen(place.here / "back" / node / "tree") == seen(tree)


def test_links_are_left_out_and_said(place: Place) -> None:
    tree = place.here / "links"
    tree.mkdir()
    (tree / "file").write_text("x")
    (tree / "link").symlink_to("/etc/passwd")
    os.mkfifo(tree / "pipe")
    said = place.dust("put links n1")
    (place.homes["n1"] / "links" / "other").symlink_to("/etc/passwd")
    said += place.dust("get n1 links")
    assert "n1: links/link: skipped: a symbolic link" in said
    assert "n1: links/pipe: skipped: not an ordinary file" in said
    assert "n1: links/other: skipped: a symbolic link" in said
    assert sorted(os.listdir(place.homes["n1"] / "links")) == ["file", "other"]
    assert os.listdir(place.here / "n1" / "links") == ["file"]


def test_wildcards_on_both_sides(place: Place) -> None:
    for name in ("a.w", "b.w", ".c.w", "d.v", "x[1].w"):
        (place.here / name).write_text(name)
    for node in ("n1", "n2"):
        (place.homes[node] / "w").mkdir()
    assert "6 files to n[1-2]" in place.dust("put *.w n* w")
    assert sorted(os.listdir(place.homes["n1"] / "w")) == ["a.w", "b.w", "x[1].w"]
    said = place.dust("get n1 w/[ab].w ~/w/x\\[1\\].w 'w/*.w'", status=1)
    assert "3 files from n1" in said
    assert "w/*.w: no such file" in said
    assert sorted(os.listdir(place.here / "n1")) == ["a.w", "b.w", "x[1].w"]
    assert "w/*.none: nothing there matches" in place.dust("get n1 w/*.none", status=1)


@pytest.mark.parametrize(
    ("line", "there"),
    [
        ("put f n1", "f"),
        ("put n1 f", "f"),
        ("put f n1 d", "d/f"),
        ("put n1 f d", "d/f"),
        ("put f n1 ~/d", "d/f"),
        ("put f g n1", "g"),
        ("put f g n1 d/", "d/g"),
        ("put f n1 /tmp/../{home}/d", "d/f"),
        ("put . n1 d", "d/g"),
    ],
)
def test_the_order_of_words(place: Place, line: str, there: str) -> None:
    for name in ("f", "g"):
        (place.here / name).write_text(line)
    home = place.homes["n1"]
    (home / "d").mkdir(exist_ok=True)
    place.dust(line.replace("{home}", "root" if os.geteuid() == 0 else str(home)[1:]))
    assert (home / there).read_text() == line


@pytest.mark.parametrize(
    ("line", "says", "status"),
    [
        ("put f n1 n2", "this may mean", 2),
        ("put nosuch n1", "there is no file nosuch here", 2),
        ("put f n3", "no node or cluster is called n3", 2),
        ("put f n1 nosuch", "n1: nosuch: there is no such directory there", 1),
        ("put f n1 nosuch", "put: this makes the directory: @n1 mkdir -p ~/nosuch", 1),
        ("put f n1 '/no such/a'", "@n1 mkdir -p '/no such/a'", 1),
        ("get n[1-2] .kept nosuch", "get: to copy into a new directory here, write nosuch/", 1),
        ("put f n1 /etc/passwd", "/etc/passwd: that is no directory", 1),
        ("put f ./n1/f n2", "f and ./n1/f would both be f", 2),
        ("put f", "Usage: put", 2),
        ("put f n1 ~other", "write the whole path", 2),
        ("get n1 nosuch", "n1: nosuch: no such file or directory", 1),
        ("get n3 f", "no node or cluster is called n3", 2),
        ("get n1 f f/", "f", 1),
    ],
)
def test_what_cannot_be_done_is_said(place: Place, line: str, says: str, status: int) -> None:
    (place.here / "f").write_text("f")
    (place.here / "n1").mkdir()
    (place.here / "n1" / "f").write_text("f")
    for home in place.homes.values():
        (home / ".kept").touch()
    assert says in place.dust(line, status=status)


@pytest.mark.parametrize("node", ["n1", "bare"])
def test_what_fails_on_this_machine_is_said_to_be_here(place: Place, node: str) -> None:
    (place.homes[node] / "f").write_text("f")
    (place.here / "folder").mkdir()
    (place.here / "folder" / node).touch()
    said = place.dust(f"get {node} f folder", status=1)
    assert f"{node}: folder/{node}: File exists (on this machine)" in said
    (place.here / node / "f").mkdir(parents=True)
    said = place.dust(f"get {node} f", status=1)
    assert f"{node}: ./{node}/f: Is a directory (on this machine)" in said


def test_a_full_disk_of_this_machine_is_said_to_be_here(place: Place) -> None:
    with open(place.homes["n1"] / "large", "wb") as file:
        file.truncate(1 << 20)
    said = place.dust("get n1 large", status=1, size=1 << 16)
    assert "large: File too large (on this machine)" in said


def test_a_directory_is_not_replaced_by_a_file(place: Place) -> None:
    (place.here / "thing").write_text("new")
    (place.homes["n1"] / "thing").mkdir(exist_ok=True)
    said = place.dust("put thing n*", status=1)
    assert "n1: thing: there is a directory of this name" in said
    assert "1 file to n2" in said
    (place.here / "n2" / "thing").mkdir(parents=True)
    said = place.dust("get n2 thing", status=1)
    assert "irectory" in said


def test_many_small_files(place: Place) -> None:
    tree = place.here / "many"
    for number in range(2000):
        folder = tree / str(number % 20)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / str(number)).write_text(str(number))
    place.dust("put many n*", "get n2 many")
    assert seen(place.homes["n1"] / "many") == seen(tree) == seen(place.here / "n2" / "many")


def test_a_large_file_in_little_memory(place: Place) -> None:
    size = 300 << 20
    with open(place.here / "sparse", "wb") as file:
        file.truncate(size)
        file.write(b"begin")
        file.seek(size - 5)
        file.write(b"end")
    wanted = digest(place.here / "sparse")
    place.dust("put sparse n1", "get n1 sparse", memory=100 << 20)
    assert digest(place.homes["n1"] / "sparse") == wanted == digest(place.here / "n1" / "sparse")
    (place.homes["n1"] / "sparse").unlink()


def digest(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


@pytest.mark.parametrize("line", ["put much n1 d", "get n2 much", "put much bare d"])
def test_ctrl_c_leaves_the_old_file_and_says_what_is_not_done(place: Place, line: str) -> None:
    node = line.split()[2 if "put" in line else 1]
    old = (place.here / node if "get" in line else place.homes[node] / "d") / "much"
    old.parent.mkdir(exist_ok=True)
    old.write_text("old")
    with place.halfway(line, old.parent) as dust:
        dust.send_signal(signal.SIGINT)
        said, _ = dust.communicate(timeout=30)
        assert dust.returncode == 130
        assert f"not done: {node}" in said
        assert old.read_text() == "old"
        if node == "bare":  # its shell tidies up by itself
            until(lambda: not place.parts())
        assert not place.parts()


@pytest.mark.parametrize("line", ["put much n1 d", "get n2 much"])
def test_a_killed_dust_leaves_no_part_and_no_process(place: Place, line: str) -> None:
    folder = place.here / "n2" if "get" in line else place.homes["n1"] / "d"
    folder.mkdir(exist_ok=True)
    with place.halfway(line, folder) as dust:
        processes = {pid: started(pid) for pid in children(dust.pid)}
        dust.kill()
        assert not gone(processes, 10)
        until(lambda: not place.parts())


def test_a_cut_connection_leaves_the_old_file_and_a_part_that_is_named(place: Place) -> None:
    old = place.homes["n1"] / "d" / "much"
    old.parent.mkdir(exist_ok=True)
    old.write_text("old")
    with place.halfway("put much n1 d", old.parent) as dust:
        for pid in children(dust.pid):
            if Path(f"/proc/{pid}/comm").read_text() == "ssh\n":
                os.kill(pid, signal.SIGKILL)
        said, _ = dust.communicate(timeout=30)
        assert dust.returncode == 1
        assert "dust: n1: dropped: " in said
        assert old.read_text() == "old"
        (part,) = rubbish(old.parent)
        assert part.name.startswith(".much.dust-part-")
        part.unlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
@pytest.mark.parametrize("node", ["n1", "bare"])
def test_a_full_disk_there_leaves_the_old_file(place: Place, node: str) -> None:
    place.dust(f"@{node} mkdir small; mount -t tmpfs -o size=64k none small; echo old > small/big")
    (place.here / "big").write_bytes(os.urandom(1 << 20))
    try:
        said = place.dust(f"put big {node} small", status=1)
        assert "the disk there is full" in said or "tar: ./big: Wrote only" in said
        assert f"[{node}] old" in place.dust(f"@{node} cat small/big; ls -A small").splitlines()
    finally:
        left = place.dust(f"@{node} ls -A small; umount small; rmdir small")
    assert left.splitlines() == [f"[{node}] big"]


def test_a_node_that_is_not_there_fails_alone(place: Place) -> None:
    (place.here / "hosts").write_text("nobody.invalid\n")
    (place.here / "f").write_text("f")
    env = {**os.environ, "DUST_HOME": str(place.root / "dust")}
    argv = [sys.executable, str(DUST), "-i", "hosts", "-c", "put f nobody*"]
    done = subprocess.run(argv, cwd=place.here, env=env, text=True, capture_output=True)
    assert done.returncode == 1
    assert "nobody.invalid: name resolution: " in done.stderr


def test_without_an_sftp_server(place: Place) -> None:
    home = place.homes["bare"]
    tree = place.here / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "sub" / "f").write_text("new")
    (tree / "thing").write_text("a file")
    (tree / "link").symlink_to("thing")
    (home / "to" / "tree" / "sub").mkdir(parents=True)
    (home / "to" / "tree" / "sub" / "f").write_text("old")
    (home / "to" / "tree" / "kept").write_text("kept")
    (home / "to" / "tree" / "thing").mkdir()
    said = place.dust("put tree bare to", status=1)
    assert "bare: tree/link: skipped: a symbolic link" in said
    assert "./tree/thing: there is a directory of this name" in said
    assert (home / "to" / "tree" / "sub" / "f").read_text() == "new"
    assert (home / "to" / "tree" / "kept").read_text() == "kept"
    said = place.dust("get bare to/tr?e nosuch*", status=1)
    assert "nosuch*: no such file or directory" in said
    assert (place.here / "bare" / "tree" / "sub" / "f").read_text() == "new"
    said = place.dust("put tree bare nosuch", status=1)
    assert "nosuch" in said
    assert "file to" not in said
