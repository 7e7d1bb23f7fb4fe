"""The commands in bin/ and .ci/, on copies of the checkout under a path with spaces."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHELL_SCRIPTS = ["bin/demo", "bin/test", ".ci/run"]
PYTHON_SCRIPTS = ["bin/dust", "bin/dust-at", "bin/setup"]
# What git ignores, and what no script reads.
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv*", "build", "dist", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis"
)
GATES = [
    "-m ruff check",
    "-m ruff format --check",
    "-m mypy",
    "lint-imports --no-logo",
    "-m pytest --cov -n 2 --dist loadfile",
]


def copy_checkout(to: Path) -> Path:
    checkout = to / "a checkout"
    shutil.copytree(ROOT, checkout, symlinks=True, ignore=LEFT_OUT)
    return checkout


def run(
    *command: str | Path, cwd: Path | str = "/", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command as a user does who stands elsewhere."""
    return subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def write_script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.mark.parametrize("name", SHELL_SCRIPTS)
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_shell_scripts_parse(shell: str, name: str) -> None:
    done = run(shell, "-n", ROOT / name)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", SHELL_SCRIPTS + PYTHON_SCRIPTS)
def test_scripts_are_executable(name: str) -> None:
    assert os.access(ROOT / name, os.X_OK)
    first = (ROOT / name).read_text().splitlines()[0]
    assert first == ("#!/bin/sh" if name in SHELL_SCRIPTS else "#!/usr/bin/env python3")


def test_ci_calls_bin_test_and_nothing_else(tmp_path: Path) -> None:
    ci = tmp_path / "a checkout" / ".ci" / "run"
    ci.parent.mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "run", ci)
    write_script(ci.parents[1] / "bin" / "test", 'echo "tests $#"; exit 7')
    for command in (["bash", ci], [ci]):
        done = run(*command)
        assert (done.stdout, done.stderr, done.returncode) == ("tests 0\n", "", 7)


@pytest.mark.parametrize("failing", [*range(len(GATES)), None])
def test_gates_run_in_turn_until_one_fails(tmp_path: Path, failing: int | None) -> None:
    checkout = tmp_path / "a checkout"
    log = tmp_path / "log"
    script = checkout / "bin" / "test"
    script.parent.mkdir(parents=True)
    shutil.copy(ROOT / "bin" / "test", script)
    record = f"echo \"$@\" >>'{log}'; pwd >>'{log}.cwd'"
    fail = "true" if failing is None else f"test \"$({'wc -l'} <'{log}')\" -ne {failing + 1}"
    write_script(checkout / "bin" / "setup", f"test \"$*\" = test && : >'{log}'")
    write_script(checkout / ".venv" / "bin" / "python", f"{record}; {fail}")
    write_script(
        checkout / ".venv" / "bin" / "lint-imports", f'set -- lint-imports "$@"\n{record}; {fail}'
    )

    done = run(script, "-k", "one two")

    calls = log.read_text().splitlines()
    expected = [*GATES[:-1], f"{GATES[-1]} -k one two"]
    assert calls == (expected if failing is None else expected[: failing + 1])
    assert done.returncode == (0 if failing is None else 1)
    assert set(Path(f"{log}.cwd").read_text().splitlines()) == {str(checkout)}


def test_gates_do_not_run_without_setup(tmp_path: Path) -> None:
    script = tmp_path / "bin" / "test"
    script.parent.mkdir()
    shutil.copy(ROOT / "bin" / "test", script)
    write_script(tmp_path / "bin" / "setup", "exit 3")
    done = run(script)
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "")


# bin/setup


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """bin/setup as a module, for a checkout that has a finished .venv with Dust's own needs."""
    loader = SourceFileLoader("setup_script", str(ROOT / "bin" / "setup"))
    spec = importlib.util.spec_from_loader("setup_script", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader.exec_module(module)
    for name in ("setup.cfg", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    write_script(tmp_path / ".venv" / "bin" / "python", "exit 0")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(module, "PYTHON", tmp_path / ".venv" / "bin" / "python")
    monkeypatch.setattr(module, "STAMP", tmp_path / ".venv" / "dust.stamp")
    module.STAMP.write_text(f"{module.state()} .")
    return module


@pytest.fixture
def commands(setup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that the set-up would run."""
    recorded: list[list[str]] = []
    monkeypatch.setattr(setup, "run", lambda command, **environment: recorded.append(command))
    return recorded


def test_a_finished_environment_is_left_alone(setup: ModuleType, commands: list[list[str]]) -> None:
    setup.PROGRAMS["demo"] = {}
    assert setup.main([]) == setup.main(["demo"]) == 0
    assert commands == []


def test_the_tools_of_the_tests_are_added(setup: ModuleType, commands: list[list[str]]) -> None:
    setup.PROGRAMS["test"] = {}
    assert setup.main(["test"]) == 0
    assert [command[1:3] + command[-2:] for command in commands] == [["-m", "pip", "-e", ".[test]"]]
    assert setup.main(["test"]) == setup.main([]) == 0
    assert len(commands) == 1


def changed_requirements(setup: ModuleType) -> None:
    (setup.ROOT / "setup.cfg").write_text("[metadata]\nname = other\n")


def lost_python(setup: ModuleType) -> None:
    setup.PYTHON.unlink()
    setup.PYTHON.symlink_to("/nonexistent/python3")


def unfinished(setup: ModuleType) -> None:
    setup.STAMP.write_text("")


@pytest.mark.parametrize("change", [changed_requirements, lost_python, unfinished])
def test_an_outdated_environment_is_made_anew(
    setup: ModuleType, commands: list[list[str]], change: Callable[[ModuleType], None]
) -> None:
    (setup.VENV / "old").touch()
    change(setup)
    assert setup.main([]) == 0
    assert [command[1:3] for command in commands] == [["-m", "venv"], ["-m", "pip"]]
    assert not (setup.VENV / "old").exists()


def test_someone_elses_environment_is_refused(
    setup: ModuleType, commands: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    setup.STAMP.unlink()
    assert setup.main([]) == 1
    assert "move it away" in capsys.readouterr().err
    assert setup.PYTHON.exists()
    assert commands == []


def without_sshd(setup: ModuleType, monkeypatch: pytest.MonkeyPatch, user: int, apt: bool) -> None:
    setup.PROGRAMS["demo"] = {"no-such-sshd": "openssh-server", "sh": "dash"}
    monkeypatch.setattr(os, "geteuid", lambda: user)
    which = shutil.which
    answers = {"apt-get": "/usr/bin/apt-get" if apt else None}
    monkeypatch.setattr(
        shutil, "which", lambda name, path=None: answers.get(name) or which(name, path=path)
    )
    if not apt:
        monkeypatch.setenv("PATH", "/nonexistent")


def test_root_on_debian_gets_what_is_missing(
    setup: ModuleType, commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    without_sshd(setup, monkeypatch, user=0, apt=True)
    assert setup.main(["demo"]) == 0
    update, install = commands
    assert update[-1] == "update"
    assert install[0] == "/usr/bin/apt-get"
    assert install[-4:] == ["install", "--yes", "--no-install-recommends", "openssh-server"]


@pytest.mark.parametrize(
    ("user", "apt", "advice"),
    [
        (1000, True, "  sudo apt-get install --yes --no-install-recommends openssh-server\n"),
        (1000, False, "Install them, then try again."),
        (0, False, "Install them, then try again."),
    ],
)
def test_others_are_told_what_to_type(
    setup: ModuleType,
    commands: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    user: int,
    apt: bool,
    advice: str,
) -> None:
    without_sshd(setup, monkeypatch, user, apt)
    if not apt:
        setup.PROGRAMS["demo"] = {"no-such-sshd": "openssh-server"}
    assert setup.main(["demo"]) == 1
    message = capsys.readouterr().err
    assert "not on this machine: no-such-sshd" in message
    assert advice in message
    assert commands == []


def test_a_failed_command_shows_its_output(setup: ModuleType) -> None:
    with pytest.raises(setup.SetupError, match="(?s)this failed.*out.*err"):
        setup.run(["sh", "-c", "echo out; echo err >&2; exit 1"])


@pytest.mark.parametrize(
    ("arguments", "status"), [(["--help"], 0), (["all"], 2), (["demo", "x"], 2)]
)
def test_setup_shows_its_usage(
    setup: ModuleType, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int
) -> None:
    assert setup.main(arguments) == status
    assert "usage: bin/setup [demo|cloud|test]" in capsys.readouterr().err


# bin/demo, bin/dust and bin/dust-at, for real


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, set up as the demo does it."""
    copy = copy_checkout(tmp_path_factory.mktemp("scripts"))
    done = run(copy / "bin" / "setup", "demo")
    assert done.returncode == 0, done.stderr
    assert "Setting up .venv (once) ..." in done.stderr
    return copy


@pytest.fixture
def place() -> Iterator[Path]:
    """A place for the files of demos: a short path, since sockets will be in it."""
    path = Path(tempfile.mkdtemp(prefix="dd", dir="/tmp"))
    yield path
    for pid in processes(path):
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(path)


def processes(place: Path) -> list[int]:
    """The processes that have to do with this place, be it only by a mount of their own."""
    if not sys.platform.startswith("linux"):
        listing = run("ps", "axeww", "-o", "pid=,command=").stdout
        return [int(line.split()[0]) for line in listing.splitlines() if str(place) in line]
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            traces = [(process / name).read_bytes() for name in ("cmdline", "environ", "mountinfo")]
        except OSError:
            continue  # ended, or not ours
        if any(bytes(place) in trace for trace in traces):
            found.append(int(process.name))
    return found


def homes(place: Path) -> list[Path]:
    return sorted(place.glob("dust-demo-*/run-*"))


def until(condition: Callable[[], bool], what: str, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"in vain: {what}"
        time.sleep(0.05)


def test_a_second_setup_does_nothing(checkout: Path) -> None:
    stamp = checkout / ".venv" / "dust.stamp"
    before = stamp.stat()
    done = run(checkout / "bin" / "setup", "demo")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (stamp.stat().st_ino, stamp.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_the_demo_does_without_the_tools_of_the_tests(checkout: Path) -> None:
    python = checkout / ".venv" / "bin" / "python"
    assert run(python, "-c", "import pexpect, dust.backends.local").returncode == 0
    assert "No module named 'pytest'" in run(python, "-c", "import pytest").stderr


@pytest.mark.parametrize("name", ["dust", "dust-at"])
def test_commands_run_from_the_checkout(checkout: Path, tmp_path: Path, name: str) -> None:
    # A Python without packages, so that the command has to find the checkout's own.
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    path = f"{bare / 'bin'}:{os.environ['PATH']}"
    done = run(checkout / "bin" / name, "--version", PATH=path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split()[0] == name

    (tmp_path / "bin").mkdir()
    for file in (name, "_run.py"):
        shutil.copy(checkout / "bin" / file, tmp_path / "bin")
    done = run(tmp_path / "bin" / name, "--version", PATH=path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{name}: what Dust needs is not installed")
    assert done.stderr.endswith(f"{tmp_path}/bin/setup\n")


@pytest.mark.parametrize("name", ["dust", "dust-at"])
def test_ctrl_c_while_a_command_starts(tmp_path: Path, name: str) -> None:
    """What takes long is the import, here of a module that is not through with it."""
    (tmp_path / "bin").mkdir()
    for file in ("_run.py", name):
        shutil.copy(ROOT / "bin" / file, tmp_path / "bin" / file)
    slow = tmp_path / "dust" / f"{'cli' if name == 'dust' else 'at'}.py"
    slow.parent.mkdir()
    (slow.parent / "__init__.py").touch()
    slow.write_text("import time\nprint('importing', flush=True)\ntime.sleep(60)\n")
    command = [sys.executable, str(tmp_path / "bin" / name)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline() == b"importing\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, b"")


def test_the_demo_runs_lines_and_leaves_nothing(checkout: Path, place: Path) -> None:
    done = run(
        checkout / "bin" / "demo", "-c", "@ hostname", "-c", "@worker* pwd", TMPDIR=str(place)
    )
    assert done.returncode == 0, done.stderr
    labels = [line.split()[0] for line in done.stdout.splitlines() if line.startswith("[")]
    assert sorted(labels[:3]) == ["[master]", "[worker1]", "[worker2]"]
    assert sorted(labels[3:]) == ["[worker1]", "[worker2]"]
    assert "Setting up" not in done.stderr
    assert processes(place) == []
    assert homes(place) == []


def test_the_demo_exits_with_the_worst_status(checkout: Path, place: Path) -> None:
    lines = ["-c", "@master sh -c 'exit 3'", "-c", "@worker1 true"]
    done = run(checkout / "bin" / "demo", "2", *lines, TMPDIR=str(place))
    assert done.returncode == 3, done.stderr
    assert processes(place) == []


def test_an_option_that_the_demo_has_not_is_named(checkout: Path, place: Path) -> None:
    done = run(checkout / "bin" / "demo", "--kepe", TMPDIR=str(place))
    assert done.stderr.startswith("bin/demo: no option --kepe; did you mean --keep?\nUsage:")
    assert done.returncode == 2


@pytest.mark.parametrize("number", ["0", "-1", "many", "3.5"])
def test_a_wrong_number_of_nodes_is_refused(checkout: Path, place: Path, number: str) -> None:
    done = run(checkout / "bin" / "demo", number, TMPDIR=str(place))
    assert done.returncode == 2
    assert number in done.stderr
    assert homes(place) == []


def test_nodes_are_kept_until_they_are_stopped(checkout: Path, place: Path) -> None:
    demo = checkout / "bin" / "demo"
    done = run(demo, "1", "--keep", "-c", "@ true", TMPDIR=str(place))
    assert done.returncode == 0, done.stderr
    (kept,) = homes(place)
    assert f"DUST_HOME={kept}" in done.stderr
    assert processes(kept)
    again = run(demo, "1", "-c", "@ true", TMPDIR=str(place))
    assert again.returncode == 0, again.stderr
    assert homes(place) == [kept]
    assert processes(kept)
    assert run(demo, "--stop", TMPDIR=str(place)).stdout == "Ended 1 node.\n"
    assert processes(place) == []
    assert homes(place) == []
    stopped = run(demo, "--stop", TMPDIR=str(place))
    assert (stopped.returncode, stopped.stdout) == (0, "Ended no nodes.\n")


@pytest.fixture
def long_demo(checkout: Path, place: Path) -> Iterator[subprocess.Popen[str]]:
    """A demo in the middle of a line."""
    with subprocess.Popen(
        [checkout / "bin" / "demo", "1", "-c", f"@ touch {place}/begun; sleep 600"],
        env={**os.environ, "TMPDIR": str(place)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as demo:
        until(lambda: (place / "begun").exists() or demo.poll() is not None, "the line begins")
        yield demo
        demo.terminate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_demo_ends_its_nodes(
    long_demo: subprocess.Popen[str], place: Path, number: signal.Signals
) -> None:
    long_demo.send_signal(number)
    assert long_demo.wait(30) == 128 + number
    until(lambda: not processes(place), "all processes end")
    assert homes(place) == []


def test_a_live_demo_is_not_disturbed(
    checkout: Path, place: Path, long_demo: subprocess.Popen[str]
) -> None:
    (home,) = homes(place)
    other = run(checkout / "bin" / "demo", "1", "-c", "@ true", TMPDIR=str(place))
    assert other.returncode == 0, other.stderr
    stopped = run(checkout / "bin" / "demo", "--stop", TMPDIR=str(place))
    assert stopped.stdout == "Ended no nodes.\n"
    assert homes(place) == [home]
    assert long_demo.poll() is None


def test_what_a_killed_demo_left_is_ended_by_the_next(
    checkout: Path, place: Path, long_demo: subprocess.Popen[str]
) -> None:
    long_demo.kill()
    long_demo.wait()
    assert processes(place)
    done = run(checkout / "bin" / "demo", "1", "-c", "@ true", TMPDIR=str(place))
    assert done.returncode == 0, done.stderr
    until(lambda: not processes(place), "all processes end")
    assert homes(place) == []
