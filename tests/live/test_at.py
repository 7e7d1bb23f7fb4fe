"""dust-at on real nodes, as scripts use it."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from dust.backends.local import LocalBackend
from dust.ssh import block
from live.driver import children, gone, started

DUST_AT = Path(__file__).resolve().parents[2] / "bin" / "dust-at"
NAMES = ["n1", "n2", "n3", "n4"]
#: What no process here needs more of than this, in bytes: all input or output is larger.
LITTLE = 200 << 20
MUCH = 400 << 20
Done = subprocess.CompletedProcess[bytes]


class At:
    """Calls dust-at in a directory of its own."""

    def __init__(self, nodes: Path, home: Path, here: Path) -> None:
        self.homes = {node.name: Path(node.details["home"]) for node in LocalBackend(nodes).nodes()}
        self.here = here
        self.home = home
        (home / "local").symlink_to(nodes)
        (home / "config.yaml").write_text("persist: 0\n")
        self.env = {**os.environ, "DUST_HOME": str(home), "TMPDIR": str(here)}

    def start(
        self,
        *arguments: str,
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.PIPE,
        memory: int = resource.RLIM_INFINITY,
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, str(DUST_AT), *arguments], cwd=self.here, env=self.env,
            stdin=stdin, stdout=stdout, stderr=subprocess.PIPE,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (memory, memory)),
        )  # fmt: skip

    def __call__(self, *arguments: str, given: bytes | None = None, status: int = 0) -> Done:
        stdin = subprocess.DEVNULL if given is None else subprocess.PIPE
        process = self.start(*arguments, stdin=stdin)
        stdout, stderr = process.communicate(given, timeout=60)
        assert process.returncode == status, (stdout, stderr)
        assert b"Traceback" not in stderr
        return subprocess.CompletedProcess(arguments, status, stdout, stderr)


def until(true: Callable[[], object], patience: float = 30.0) -> None:
    """Wait for what must come."""
    deadline = time.monotonic() + patience
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def lines(data: bytes) -> list[str]:
    return sorted(data.decode().splitlines())


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The directory of a local backend with running nodes."""
    directory = tmp_path_factory.mktemp("at") / "local"
    backend = LocalBackend(directory)
    changes = backend.create(NAMES)
    assert not [change for change in changes if change.error], changes
    yield directory
    backend.terminate([node.id for node in backend.nodes()])


@pytest.fixture
def at(nodes: Path, tmp_path: Path) -> Iterator[At]:
    here = tmp_path / "here"
    here.mkdir()
    with TemporaryDirectory(prefix="d") as home:  # short: sockets are to find room in it
        yield At(nodes, Path(home), here)
    # nothing of it is left, whatever happened
    assert not [name for name in os.listdir(here) if name.startswith("dust-")]


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Makes an ssh_config of hosts by name, that nobody listens for."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # not listening, and nobody else will

        def make(*names: str, more: str = "") -> str:
            path = tmp_path / "ssh_config"
            port = closed.getsockname()[1]
            blocks = [f"Host {name}\n HostName 127.0.0.1\n Port {port}\n{more}" for name in names]
            path.write_text("\n".join(blocks) + "\n")
            return str(path)

        yield make


# --- output


def test_hosts_of_a_file_are_reached_by_the_names_that_a_cluster_gives_them(
    at: At, nodes: Path
) -> None:
    backend = LocalBackend(nodes)
    blocks = [
        block(node, {**node.ssh, **node.ssh_defaults, **backend.ssh_defaults}, by_name=True)
        for node in backend.nodes()
    ]
    config = at.here / "ssh_config"
    config.write_text("\n".join(blocks) + "\n")
    clusters = at.home / "clusters"
    clusters.mkdir()
    (clusters / "web.yaml").write_text("filter: n[1-2]\nnodes: {n1: web1, n2: web2}\n")
    done = at("-F", str(config), "--cluster", "web", "*", "hostname")
    assert lines(done.stdout) == ["[web1] n1", "[web2] n2"]


def test_output_and_error_are_apart_and_every_line_has_its_label(at: At) -> None:
    done = at("n[1-2]", "printf 'a\\nb'; echo oops >&2")
    assert lines(done.stdout) == ["[n1] a", "[n1] b", "[n2] a", "[n2] b"]
    assert lines(done.stderr) == ["[n1] oops", "[n2] oops"]


def test_without_labels_the_bytes_are_those_of_the_node(at: At) -> None:
    every = bytes(range(256)) * 300
    (at.homes["n1"] / "bytes").write_bytes(every)
    done = at("-N", "n1", "cat bytes; cat bytes >&2")
    assert done.stdout == every
    assert done.stderr == every


def test_a_label_changes_no_byte_behind_it(at: At) -> None:
    assert at("n1", r"printf '\377\000\033]0;t\007\r\n'").stdout == b"[n1] \xff\0\33]0;t\7\r\n"


def test_identical_outputs_come_once(at: At) -> None:
    done = at("-b", "*", "case {name} in n3) echo odd;; *) echo even;; esac")
    assert done.stdout == b"n[1-2,4] (3)\neven\nn3 (1)\nodd\n"


def test_each_node_is_an_object(at: At) -> None:
    done = at(
        "--json", "n[1-2]", r"printf 'caf\303\251 \200'; echo e >&2; [ {name} = n1 ]", status=1
    )
    found = {each["node"]: each for each in map(json.loads, done.stdout.splitlines())}
    assert found["n1"].pop("seconds") > 0
    assert found["n1"] == {
        "node": "n1", "status": 0, "stdout": "café \ufffd", "stderr": "e\n", "error": "",
        "stdout_base64": "Y2Fmw6kggA==",
    }  # fmt: skip
    assert found["n2"]["status"] == 1


def test_an_object_says_why_there_is_no_status(at: At, hosts: Callable[[str], str]) -> None:
    done = at("--json", "-F", hosts("h1"), "h1", "true", status=255)
    (found,) = map(json.loads, done.stdout.splitlines())
    assert found["status"] is None
    assert "Connection refused" in found["error"]


def test_outputs_go_into_files(at: At) -> None:
    done = at("-o", "out", "-e", "err/deep", "n[1-2]", "echo {name}; echo bad {name} >&2")
    assert done.stdout == done.stderr == b""
    for name in ("n1", "n2"):
        assert (at.here / "out" / name).read_text() == f"{name}\n"
        assert (at.here / "err/deep" / name).read_text() == f"bad {name}\n"


def test_a_folder_that_cannot_be_written_is_said(at: At) -> None:
    (at.here / "file").touch()
    done = at("-o", "file", "n1", "true", status=2)
    assert b"dust-at: file: this is no folder" in done.stderr
    done = at("-o", "file/deep", "n1", "true", status=2)
    assert b"file: cannot be written: Not a directory" in done.stderr.replace(b"/deep", b"")


def test_memory_stays_small_when_nobody_reads(at: At) -> None:
    process = at.start("-N", "n1", f"head -c {MUCH} /dev/zero; touch end", memory=LITTLE)
    assert process.stdout
    size = 0
    while data := process.stdout.read(1 << 20):
        assert (at.homes["n1"] / "end").exists() is (
            size + len(data) == MUCH
        ) or size > MUCH - LITTLE
        size += len(data)
    process.communicate(timeout=60)
    assert (size, process.returncode) == (MUCH, 0)


def test_a_reader_that_goes_ends_it(at: At) -> None:
    process = at.start("n[1-4]", "yes")
    assert process.stdout
    assert process.stdout.readline().endswith(b" y\n")
    process.stdout.close()
    assert process.wait(timeout=30) == 141
    assert process.stderr and process.stderr.read() == b""


# --- input


def test_input_reaches_every_node_whole(at: At) -> None:
    given = os.urandom(50 << 20)
    done = at("*", "sha256sum", given=given)
    digest = hashlib.sha256(given).hexdigest()
    assert lines(done.stdout) == [f"[{name}] {digest}  -" for name in NAMES]


def test_input_from_a_file_is_read_from_where_it_stands(at: At) -> None:
    (at.here / "file").write_bytes(b"first\nsecond\n")
    with open(at.here / "file", "rb", buffering=0) as file:
        assert file.read(6)
        process = at.start("-N", "n1", "cat", stdin=file.fileno())
        assert process.communicate(timeout=60)[0] == b"second\n"


def test_a_node_that_does_not_read_holds_back_nobody(at: At) -> None:
    command = "case {name} in n1) exec sleep 1000;; *) wc -c;; esac"
    process = at.start("n[1-2]", command, stdin=subprocess.PIPE, memory=LITTLE)
    assert process.stdin and process.stdout
    for _ in range(MUCH >> 20):
        process.stdin.write(bytes(1 << 20))
    process.stdin.close()
    assert process.stdout.readline() == f"[n2] {MUCH}\n".encode()
    until(lambda: len(children(process.pid)) == 2)  # n1's ssh, and what looks after it
    process.send_signal(signal.SIGINT)
    process.stdin = None
    assert b"n1: interrupted" in process.communicate(timeout=60)[1]
    assert process.returncode == 130


def test_without_input_the_command_reads_nothing(at: At) -> None:
    process = at.start("-n", "n1", "cat; echo end", stdin=subprocess.PIPE)
    assert process.stdout and process.stdout.read() == b"[n1] end\n"  # and nobody closed the pipe
    assert process.wait(timeout=30) == 0
    process.communicate()


# --- exit statuses


def test_the_worst_status_counts(at: At) -> None:
    done = at("*", "exit $(({index} * 10))", status=40)
    assert b"n2: exit 20" in done.stderr
    assert at("-q", "n1", "exit 7", status=7).stderr == b""
    assert b"n1: exit 255" in at("-S", "n1", "exit 255", status=255).stderr


def test_a_folder_for_what_is_kept_that_cannot_be_made(at: At) -> None:
    at.env["TMPDIR"] = "/nonexistent"
    done = at("n1", "true", status=2)
    assert done.stderr.startswith(b"dust-at: /nonexistent/")
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["n1"], b"Usage"),
        (["nobody", "true"], b"nobody"),
        (["-b", "-N", "n1", "true"], b"choose one"),
        (["--json", "-o", "x", "n1", "true"], b"choose one"),
        (["-u", "soon", "n1", "true"], b"-u soon"),
        (["-u", "0", "n1", "true"], b"-u 0"),
        (["-u", "nan", "n1", "true"], b"-u nan"),
        (["-f", "0", "n1", "true"], b"dust-at: -f: '0' is not a whole number"),
        (["-Z", "n1", "true"], b"dust-at: no option -Z"),
        (["-qZ", "n1", "true", "-Y"], b"no option -Z"),
        (["--retry", "-1", "n1", "true"], b"--retry"),
        (["--connect-timeout", "never", "n1", "true"], b"never"),
        (["-l", "-oProxyCommand=x", "n1", "true"], b"-l"),
        (["-l", "a b", "n1", "true"], b"-l a b"),
        (["-x", "n1", "n1", "true"], b"-x n1 leaves no node"),
        (["--nonsense", "n1", "true"], b"--nonsense"),
        (["--backend", "nosuch", "n1", "true"], b"nosuch"),
        (["-i", "", "n1", "true"], b"the value of -i is empty"),
        (["-l", "", "n1", "true"], b"the value of -l is empty"),
        (["-o", "d", "-e", "./d", "n1", "true"], b"a folder of its own"),
        (["-o", "StrictHostKeyChecking=no", "n1", "true"], b"read from -F"),
        (["2", "-w", "n1", "true"], b"options come before it"),
        (["--", "n1"], b"no command"),
        (["n1", ""], b"no command"),
    ],
)
def test_wrong_usage(at: At, arguments: list[str], message: bytes) -> None:
    done = at(*arguments, status=2)
    assert message in done.stderr
    assert done.stdout == b""


def test_a_time_that_is_up(at: At) -> None:
    done = at("-u", "0.7", "n[1-2]", "echo here; [ {name} = n1 ] || exec sleep 1000", status=124)
    assert lines(done.stdout) == ["[n1] here", "[n2] here"]
    assert b"n2: no end after 0.7 s" in done.stderr


@pytest.mark.parametrize("persist", [0, 60])
def test_a_connection_that_is_lost_is_told_from_a_status(at: At, persist: int) -> None:
    (at.home / "config.yaml").write_text(f"persist: {persist}\n")
    command = "echo $PPID >server; echo on; [ {name} = n2 ] && exit 255; exec sleep 1000"
    process = at.start("--json", "n[1-2]", command)
    assert process.stdout and process.stderr
    own = json.loads(process.stdout.readline())
    assert (own["node"], own["status"], own["error"]) == ("n2", 255, "")
    server = at.homes["n1"] / "server"
    until(lambda: server.exists() and server.read_text().endswith("\n"))
    os.kill(int(server.read_text()), signal.SIGKILL)
    lost = json.loads(process.stdout.readline())
    assert (lost["status"], lost["stdout"]) == (None, "on\n")
    assert lost["error"].startswith("dropped: ")
    assert b"n1: unreachable" in process.stderr.read()
    assert process.wait(30) == 255
    server.unlink()


def test_nodes_that_cannot_be_reached(at: At, hosts: Callable[..., str]) -> None:
    done = at("-b", "-F", hosts("h1", "h2"), "*", "true", status=255)
    assert b"h[1-2]: refused: " in done.stderr
    assert done.stdout == b""


def test_a_node_is_tried_again_if_asked(at: At, hosts: Callable[..., str]) -> None:
    tried = at.here / "tried"
    config = hosts("h1", more=f' Match originalhost h1 exec "echo x >>{tried}"\n')
    at("-F", config, "h1", "true", status=255)
    once = tried.read_text().count("x")
    tried.unlink()
    at("-F", config, "--retry", "2", "h1", "true", status=255)
    assert tried.read_text().count("x") == 3 * once


def test_the_first_failure_ends_it_if_asked(at: At) -> None:
    done = at("-f", "1", "--fail-fast", "n[1-4]", "echo {name}; [ {name} = n1 ]", status=1)
    assert done.stdout == b"[n1] n1\n[n2] n2\n"
    assert b"n[3-4]: not begun" in done.stderr


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_ends_it_and_tells_who_was_not_done(
    at: At, number: signal.Signals, status: int
) -> None:
    process = at.start("n[1-3]", "echo $$; [ {name} = n1 ] || exec sleep 1000")
    assert process.stdout and process.stderr
    said = [process.stdout.readline() for _ in range(3)]
    assert all(line.endswith(b"\n") for line in said)
    until(lambda: len(children(process.pid)) == 3)  # its guard, and two ssh: n1 is done
    begun = {pid: started(pid) for pid in children(process.pid)}
    process.send_signal(number)
    assert process.wait(timeout=30) == status
    assert b"n[2-3]: interrupted" in process.stderr.read()
    assert not gone(begun, 10)
    process.communicate()


def test_nothing_outlives_it_when_it_is_killed(at: At) -> None:
    process = at.start("n[1-2]", "echo here; exec sleep 1000")
    assert process.stdout
    assert [process.stdout.readline() for _ in range(2)]
    begun = {pid: started(pid) for pid in children(process.pid)}
    assert len(begun) >= 2
    process.kill()
    process.communicate(timeout=30)
    assert not gone(begun, 10)
    until(lambda: not [name for name in os.listdir(at.here) if name.startswith("dust-")])


# --- nodes and calls


def test_the_spellings_of_pdsh(at: At) -> None:
    assert lines(at("-w", "n[1-3]", "-x", "n2", "echo", "a").stdout) == ["[n1] a", "[n3] a"]
    assert lines(at("-w", "n1", "-w", "n[2-4]", "-x", "n2", "-x", "n3", "echo").stdout) == [
        "[n1] ", "[n4] ",
    ]  # fmt: skip
    assert at("n1", "--", "echo", "-n").stdout == b""
    assert at("--", "n1", "echo", "a").stdout == b"[n1] a\n"


def test_what_is_only_shown(at: At) -> None:
    done = at("--dry-run", "-l", "me", "n[1-2]", "touch 'a b'; echo {name}")
    shown = done.stdout.decode().splitlines()
    assert [line.partition(" ")[0] for line in shown] == ["[n1]", "[n2]"]
    assert all(" ssh " in line and "User=me" in line for line in shown)
    (line,) = at("--dry-run", "-N", "n1", "echo a 'b c'").stdout.decode().splitlines()
    assert shlex.split(line)[0] == "ssh"
    assert shlex.split(line)[-1] == "echo a 'b c'"
    assert not (at.homes["n1"] / "a b").exists()


@pytest.mark.parametrize(
    ("option", "file", "target"),
    [("-F", "Host n1\n", "*"), ("-F", "Host n1\n", "n[1-2]"), ("-i", "[web]\nn1\n", "n*")],
)
def test_a_start_imports_what_it_needs_only(at: At, option: str, file: str, target: str) -> None:
    # each costs every call milliseconds; so would a terminal's askpass, which is left out here
    (at.here / "hosts").write_text(file)
    (at.home / "config.yaml").unlink()
    argv = [sys.executable, "-X", "importtime", str(DUST_AT), option, "hosts", target, "true"]
    done = subprocess.run(
        argv, cwd=at.here, env=at.env, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True, timeout=60, start_new_session=True,
    )  # fmt: skip
    names = [line.rpartition("|")[2].strip() for line in done.stderr.splitlines()]
    imported = set(names[names.index("_run") :])  # before it is Python's own start
    assert {"dust.oneshot", "dust.report"} <= imported, done.stderr
    heavy = {"boto3", "dataclasses", "difflib", "inspect", "json", "pexpect", "socket"}
    heavy |= {"string", "subprocess", "tempfile", "termios", "yaml", "dust.lines", "dust.screen"}
    assert imported & heavy == set()
    if target == "*":
        assert imported & {"dust.expr", "dust.targets", "dust.groups"} == set()


def test_a_terminal_if_asked(at: At) -> None:
    done = at("-t", "n[1-2]", "tty")
    assert all("/dev/pts/" in line for line in lines(done.stdout))
    assert all("not a tty" in line for line in lines(at("n1", "tty; true").stdout))


@pytest.mark.parametrize(
    "name",
    ["-oProxyCommand=touch${IFS}bad", "$(touch bad)", "a;touch bad", "a`touch bad`", "a'b"],
)
def test_a_name_is_never_an_option_nor_read_by_a_shell(at: At, name: str) -> None:
    hosts = at.here / "hosts"
    hosts.write_text(f"{name}\n")
    done = at("-i", "hosts", "*", "true", status=2)
    assert done.stderr
    assert os.listdir(at.here) == ["hosts"]


# --- connections that are kept


@pytest.fixture
def kept(at: At) -> Iterator[At]:
    """The same with connections that are kept; ends them."""
    (at.home / "config.yaml").write_text("persist: 30\n")
    yield at
    for path in (at.home / "cm").iterdir():
        subprocess.run(["ssh", "-S", path, "-O", "exit", "node"], capture_output=True)


def ports(done: Done) -> list[str]:
    """The client's port of each connection."""
    return [line.split()[2] for line in lines(done.stdout)]


def test_the_next_call_takes_the_same_connection(kept: At) -> None:
    first = kept("n[1-2]", "echo $SSH_CONNECTION")
    assert ports(first) == ports(kept("n[1-2]", "echo $SSH_CONNECTION"))


def test_no_connection_is_kept_if_so_set(at: At) -> None:
    first = at("n[1-2]", "echo $SSH_CONNECTION")
    assert ports(first) != ports(at("n[1-2]", "echo $SSH_CONNECTION"))


def test_a_connection_that_died_is_opened_anew(kept: At) -> None:
    first = kept("n1", "echo $SSH_CONNECTION; echo $PPID >parent; kill $PPID", status=255)
    assert b"n1: " in first.stderr
    assert ports(kept("n1", "echo $SSH_CONNECTION")) != ports(first)
