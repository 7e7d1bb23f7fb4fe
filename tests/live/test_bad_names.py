"""Names of any characters, through every command that takes one: nothing becomes an option, is
read by a shell, or reaches the terminal as it is."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from dust import at, cli
from dust.backends.local import LocalBackend
from dust.config import Settings
from dust.context import Context
from dust.shell import Shell
from live.badnames import BAD, CANARY
from live.ownssh import begun

#: Lines of the shell, `{}` for the name; what is left by one is taken back by the next.
LINES = [
    *(f"{verb} {{}}" for verb in (
        "show", "show -vv", "use", "reconnect", "close", "interrupt", "eof", "suspend", "last",
        "fold", "diff", "diff n1", "cost", "secgroup show", "refresh", "reload", "help", "set",
        "set output", "set use", "sshconfig", "cluster status", "cluster create", "cluster new",
        "cluster delete -y", "assign --remove", "logs", "cd", "secret", "output", "log",
    )),
    *(f"{verb} {{}} -y" for verb in ("start", "stop", "reboot", "terminate")),
    "@{} true", "@{}", "@n1&{} true", "@name={} true", "@tags={} true", "@{}=n1 true",
    "tag {} a=b", "tag n1 {}=x", "tag n1 k={}", "untag n1 {}", "untag {} k",
    "assign {} c1 --user u --key '' --names n", "assign n1 {} --user u --key '' --names n",
    "assign n1 c2 --user {} --key '' --names n1", "assign n1 c2 --user u --key {} --names n1",
    "assign n1 c2 --user '' --key '' --names {}", "assign --remove c2",
    "@n1 true", "put file {}", "put file n1 {}", "put {} n1",
    "get {} file", "get n1 {}", "get n1 file {}", "log on {}", "log off",
]  # fmt: skip
ESCAPED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\ud800-\udfff]")


class Ground:
    """A directory to stand in, a home, and what was started of ssh."""

    def __init__(self, root: Path, here: Path, backend: LocalBackend) -> None:
        self.root, self.here, self.backend = root, here, backend
        (self.node,) = backend.nodes()
        self.home = Path(self.node.details["home"])
        self.calls = root / "calls"

    def aliases(self) -> set[str]:
        """What every ssh was told to connect to since the last time; its command is one word."""
        found = set()
        for call in self.calls.read_text(errors="surrogateescape").split("\0\n\0")[:-1]:
            words = call.split("\0")
            at = words.index("--")
            assert len(words) == at + 3, words
            found.add(words[at + 1])
        self.calls.write_text("")
        return found

    def check(self, what: str, said: str) -> None:
        """Nothing has been run by a name, nothing was a bug, and nothing drives a terminal."""
        for place in (self.here, self.here.parent, self.home, self.home.parent, Path.home()):
            assert not (place / CANARY).exists(), what
        errors = self.root / "logs" / "errors"
        assert not errors.exists(), f"{what}: {errors.read_text()}"
        assert not ESCAPED.search(said), f"{what}: {said!r}"


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBackend]:
    with begun(tmp_path_factory.mktemp("bad") / "local", "n1") as backend:
        yield backend


@pytest.fixture
def ground(
    backend: LocalBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Ground]:
    short = TemporaryDirectory(prefix="d")  # a socket finds room in it
    root, here, programs = Path(short.name), tmp_path / "a" / "here", tmp_path / "bin"
    for folder in (here, programs):
        folder.mkdir(parents=True)
    (root / "local").symlink_to(backend._store.root)
    (root / "config.yaml").write_text("persist: 0\n")
    (here / "file").write_text("text\n")
    ground = Ground(root, here, backend)
    ground.calls.touch()
    recorder = programs / "ssh"
    real = shlex.quote(shutil.which("ssh") or "")
    recorder.write_text(
        # one write, so that calls made at the same time stay apart
        f"#!/bin/sh\nprintf '%s\\0' \"$@\" '\n' >>{ground.calls}\nexec {real} \"$@\"\n"
    )
    recorder.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("DUST_HOME", str(root))
    monkeypatch.chdir(here)
    handlers = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP)}
    with short, open(os.devnull) as null:
        monkeypatch.setattr("sys.stdin", null)
        yield ground
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_no_command_of_the_shell_makes_something_of_a_name(
    ground: Ground, capfd: pytest.CaptureFixture[str]
) -> None:
    context = Context(Settings(), ground.backend)
    context.assume_yes = True
    shell = Shell(context)
    try:
        for name in BAD:
            for line in LINES:
                if name == "--" and line.endswith(" -y"):
                    continue  # no name at all, and so all nodes
                typed = line.replace("{}", shlex.quote(name))
                shell.execute(typed)
                shell.execute("use *")
                said = "".join(capfd.readouterr())
                ground.check(f"{typed!r}", said)
                os.chdir(ground.here)
            assert [node.name for node in context.running("*")] == ["n1"], name
        assert shell.execute("@n1 echo still $((40 + 2))") == 0
        assert "[n1] still 42" in capfd.readouterr().out
    finally:
        context.close()
    assert ground.aliases() == {"n1"}


Main = Callable[[list[str]], int]


def told(capfd: pytest.CaptureFixture[str], main: Main, words: list[str]) -> tuple[int, str]:
    """The status of a call, and all that it said; it ends, however it does."""
    try:
        status = main(words)
    except SystemExit as end:
        status = int(end.code or 0)
    return status, "".join(capfd.readouterr())


@pytest.mark.parametrize("name", [name for name in [*BAD, ""] if "\0" not in name], ids=ascii)
def test_no_argument_makes_something_of_a_name(
    ground: Ground, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    calls: list[tuple[Main, list[str]]] = [
        (at.main, [name, "true"]),
        (at.main, ["-w", name, "true"]),
        (at.main, ["-x", name, "n1", "true"]),
        (at.main, ["-l", name, "n1", "true"]),
        (at.main, ["-F", name, "n1", "true"]),
        (at.main, ["-i", name, "n1", "true"]),
        (at.main, ["--cluster", name, "n1", "true"]),
        (cli.main, [name]),
        (cli.main, ["-F", name, "-c", "show"]),
        (cli.main, ["-i", name, "-c", "show"]),
        (cli.main, ["--cluster", name, "-c", "show"]),
    ]
    for main, words in calls:
        _, said = told(capfd, main, words)
        ground.check(f"{main.__module__} {words!r}", said)
    assert ground.aliases() <= {"n1"}


def test_an_empty_target_of_dust_at_is_not_all(
    ground: Ground, capfd: pytest.CaptureFixture[str]
) -> None:
    for words in (["", "true"], ["-w", " ", "true"]):
        status, said = told(capfd, at.main, words)
        assert status == 2
        assert "the target is empty" in said


def test_output_goes_into_folders_of_any_name(
    ground: Ground, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in (
        "-rf",
        "it's",
        f"$(touch {CANARY})",
        f"two\ntouch {CANARY}\n",
        "\x1b[2J",
        "{name}",
    ):
        status, said = told(capfd, at.main, ["-o", name, "-e", f"{name}/e", "n1", "echo in"])
        assert status == 0, (name, said)
        assert (ground.here / name / "n1").read_text() == "in\n"
    ground.check("dust-at -o", "")


# --- names that stand in files


def yaml_hosts(name: str) -> str:
    return f"all:\n  hosts:\n    ? {json.dumps(name)}\n    : {{ansible_host: 127.9.9.9}}\n"


FILES: dict[str, Callable[[str], str]] = {
    "hosts": lambda name: f"good\n{name}\n",
    "hosts.ini": lambda name: f"[web]\ngood\n{name} ansible_host=127.9.9.9\n",
    "hosts.yaml": yaml_hosts,
    "user.yaml": lambda name: f"all: {{hosts: {{w: {{ansible_user: {json.dumps(name)}}}}}}}\n",
    "host.yaml": lambda name: f"all: {{hosts: {{w: {{ansible_host: {json.dumps(name)}}}}}}}\n",
    "port.yaml": lambda name: f"all: {{hosts: {{w: {{ansible_port: {json.dumps(name)}}}}}}}\n",
    "key.yaml": lambda name: (
        f"all: {{hosts: {{w: {{ansible_private_key_file: {json.dumps(name)}}}}}}}\n"
    ),
    "ssh_config": lambda name: f"Host {name}\n  HostName 127.9.9.9\n",
}


@pytest.mark.parametrize("file", FILES)
def test_no_name_in_a_file_makes_ssh_do_something_else(
    ground: Ground, capfd: pytest.CaptureFixture[str], file: str
) -> None:
    """What ssh cannot take is refused before anything runs; the rest is the name of a host."""
    ssh = Path(os.environ["PATH"].partition(":")[0]) / "ssh"
    ssh.write_text(ssh.read_text().replace("exec ", "exit 255 # "))
    for name in BAD:
        Path(file).write_text(FILES[file](name), errors="surrogateescape")
        option = "-F" if file == "ssh_config" else "-i"
        for words in (["*", "true"], ["--dry-run", "*", "true"]):
            status, said = told(capfd, at.main, [option, file, *words])
            ground.check(f"{file} with {name!r}", said)
        for alias in ground.aliases():
            assert re.fullmatch(r"(?!-)[A-Za-z0-9_.:%@\[\]-]+", alias), (name, alias)
