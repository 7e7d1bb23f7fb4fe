"""dust without a prompt: lines, scripts, pipes, statuses, and what is wrong around it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
from conftest import ROOT
from screen import Screen

Done = subprocess.CompletedProcess[str]


def dust(home: Path, *arguments: str, stdin: str = "", **env: str) -> Done:
    """Run dust with its input and output on pipes."""
    return subprocess.run(
        [sys.executable, str(ROOT / "bin" / "dust"), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "DUST_HOME": str(home), **env},
    )


def by_shell(home: Path, program: str, line: str, cwd: Path | None = None) -> Done:
    """Have a shell run this line, in which `"$0" "$1"` is the program."""
    return subprocess.run(
        ["sh", "-c", line, sys.executable, str(ROOT / "bin" / program)],
        cwd=cwd,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "DUST_HOME": str(home)},
    )


def at(home: Path, *arguments: str) -> Done:
    """Run dust-at with its input and output on pipes."""
    return subprocess.run(
        [sys.executable, str(ROOT / "bin" / "dust-at"), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "DUST_HOME": str(home)},
    )


def lines(done: Done) -> list[str]:
    return sorted(done.stdout.splitlines())


def test_lines_one_after_the_other(home: Path) -> None:
    done = dust(home, "-c", "@worker* cd /tmp", "-c", "@worker* pwd")
    assert lines(done) == ["[worker1] /tmp", "[worker2] /tmp"]
    assert (done.returncode, done.stderr) == (0, "")


def test_the_worst_status_and_a_summary(home: Path) -> None:
    done = dust(home, "-c", "@worker1 (exit 3)", "-c", "@ test $HOSTNAME = none; (exit $?)")
    assert done.returncode == 3
    assert re.search(r"^worker1: exit 3, \d+\.\d s$", done.stderr, re.M)
    assert re.search(r"^master,worker\[1-2\]: exit 1, \d+\.\d s$", done.stderr, re.M)


def test_variables(home: Path) -> None:
    done = dust(home, "-c", "@worker* echo {name} {rank} {count} {{name} ${HOME:+x} {none}")
    assert lines(done) == [
        "[worker1] worker1 0 2 {name} x {none}",
        "[worker2] worker2 1 2 {name} x {none}",
    ]


def test_a_question_is_seen_where_the_output_goes_to_a_file(tmp_path: Path) -> None:
    dust = f"'{sys.executable}' '{ROOT}/bin/dust' --backend local -c 'cluster new c.yaml'"
    line = f"cd '{tmp_path}' && {dust} >out 2>&1"
    with Screen(["sh", "-c", line], {**os.environ, "DUST_HOME": str(tmp_path / "home")}) as screen:
        screen.wait_for("Name of the cluster [cluster1]:")
        screen.line("c1")
        screen.wait_for("Workers beside the master [2]:")
        screen.line("")
        assert screen.wait_for_end() == 0
    said = (tmp_path / "out").read_text()
    assert said == "c.yaml is written: `cluster create c.yaml` makes it\n"


@pytest.mark.parametrize("by", ["file", "pipe"])
def test_script(home: Path, tmp_path: Path, by: str) -> None:
    script = "# a comment\n\n@worker1 cat <<EOF\none\n  two\nEOF\n@worker1 for i in 1 2\ndo\n"
    script += "echo i$i\ndone\n@worker1 echo no newline at the end"
    if by == "file":
        path = tmp_path / "script"
        path.write_text(script)
        done = dust(home, str(path))
    else:
        done = dust(home, stdin=script)
    said = ["one", "  two", "i1", "i2", "no newline at the end"]
    assert done.stdout.splitlines() == [f"[worker1] {line}" for line in said]
    assert done.returncode == 0


def test_set_e_stops_at_the_first_failure(home: Path) -> None:
    done = dust(home, stdin="set -e\n@worker1 false\n@worker1 echo never\n")
    assert (done.returncode, done.stdout) == (1, "")
    done = dust(home, stdin="@worker1 false\n@worker1 echo still\n")
    assert (done.returncode, done.stdout) == (1, "[worker1] still\n")


def test_a_script_may_begin_with_a_mark_of_its_encoding(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "script"
    path.write_bytes(b"\xef\xbb\xbf@worker1 echo first\n")
    done = dust(home, str(path))
    assert (done.stdout, done.stderr) == ("[worker1] first\n", "")


def test_a_word_that_a_command_does_not_know_is_named(home: Path) -> None:
    done = dust(home, "-c", "output foo")
    assert "output: no foo; there is stream, block, fold\n" in done.stderr
    assert done.returncode == 2


def test_a_script_answers_what_asks(home: Path) -> None:
    done = dust(home, "-c", '@worker1 read -p "Sure? [Y/n] " x; echo got $x', "-c", "@worker1 Y")
    assert "got Y" in done.stdout
    assert done.returncode == 0


def test_nobody_answers_at_the_end_of_a_script(home: Path) -> None:
    done = dust(home, "-c", '@worker1 read -p "Sure? [Y/n] " x')
    assert done.returncode == 1
    assert "worker1: still waits for input: Sure? [Y/n]" in done.stderr


def test_a_line_that_only_the_node_finds_unfinished_goes_on_in_the_next_one(home: Path) -> None:
    done = dust(home, "-c", "@worker* echo $[1 +", "-c", "@worker* 41]")
    assert (done.stderr, done.returncode) == ("", 0)
    assert sorted(done.stdout.splitlines()) == ["[worker1] 42", "[worker2] 42"]
    done = dust(home, "-c", "@worker1 echo $[1 +")
    assert done.stderr == "dust: worker1: still waits for the rest of its line\n"
    assert done.returncode == 1


@pytest.mark.parametrize("program", ["dust", "dust-at"])
def test_the_command_line_can_choose_all_nodes_again(home: Path, program: str) -> None:
    file = home / "config.yaml"
    file.write_text("use: nothing\n")

    def call(*options: str) -> Done:
        if program == "dust":
            return dust(home, *options, "-c", "@worker1 echo here")
        return at(home, *options, "worker1", "echo here")

    try:
        assert "takes in all nodes" in call().stderr
        assert call("--cluster", "*").stdout == "[worker1] here\n"
    finally:
        file.unlink()


def test_show_vv_says_why_a_session_is_down(home: Path) -> None:
    done = dust(home, "-c", "@worker1 exit 3", "-c", "show -vv worker*")
    sessions = [line.split(None, 1)[1] for line in done.stdout.splitlines() if " session " in line]
    assert sessions == ["down: logged out (exit 3)"]
    done = dust(home, "-c", "@worker1 true", "-c", "show -vv worker1")
    assert done.stdout.splitlines()[-1].split() == ["session", "ready"]


def test_a_script_says_for_whom_it_waits(home: Path) -> None:
    program = (
        "import sys; from dust import cli, waiter; waiter.SILENCE = waiter.AGAIN = 0.4;"
        " sys.exit(cli.main(sys.argv[1:]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, "-c", "@worker* test {rank} = 1 || read -t 30; echo done"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "DUST_HOME": str(home), "PYTHONPATH": str(ROOT)},
    )
    assert process.stderr is not None and process.stdout is not None
    assert process.stdout.readline() == "[worker2] done\n"
    told = r"waiting for worker1, \d+ s: `test {rank} = 1 \|\| read -t 30; echo done`\n"
    found = (line for line in process.stderr if re.fullmatch(told, line))
    assert len(list(islice(found, 3))) == 3
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert "done" not in output and process.returncode == 130


def test_output_forms(home: Path) -> None:
    done = dust(home, "-c", "output fold", "-c", "@ echo same", "-c", "@worker* echo $DUST_NODE")
    assert done.stdout == (
        "master,worker[1-2] (3)\nsame\nworker1 (1)\nworker1\nworker2 (1)\nworker2\n"
    )
    done = dust(home, "-c", "output block", "-c", "@worker* seq 3")
    blocks = done.stdout.splitlines()
    assert len({line.partition("]")[0] for line in blocks[:3]}) == 1
    assert len(blocks) == 6


def test_results_of_the_last_run(home: Path) -> None:
    done = dust(home, "-c", "@ test $DUST_NODE != worker1", "-c", "@%failed echo here")
    assert done.stdout == "[worker1] here\n"


@pytest.mark.parametrize(
    ("line", "status", "said"),
    [
        ("shwo", 2, "did you mean show?"),
        ("@wroker1 pwd", 2, "did you mean worker1"),
        ("show --vv", 2, "show: no option --vv"),
        ("@worker1&(pwd", 2, "position"),
        ("@worker* echo 'open", 2, "unfinished"),
        ("set outptu fold", 2, "did you mean output?"),
        ("set fanout many", 2, "fanout"),
        ("@%faield pwd", 2, "did you mean %failed"),
        ("stop", 2, "stop"),
        ("@worker*", 2, "raw mode takes one node"),
        ("@worker1", 2, "raw mode needs a terminal"),
    ],
)
def test_what_is_wrong_is_named(home: Path, line: str, status: int, said: str) -> None:
    done = dust(home, "-c", line)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == status


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--bakend", "x"], "did you mean --backend?"),
        (["--backend", "loacl"], "did you mean local?"),
        (["no-such-script"], "no-such-script: No such file or directory"),
        (["-F", "/no/such/file"], "/no/such/file"),
        (["-i", "/no/such/file", "-c", "show"], "/no/such/file"),
        (["-c"], "Usage"),
        (["-Z"], "no option -Z"),
    ],
)
def test_wrong_arguments(home: Path, arguments: list[str], said: str) -> None:
    done = dust(home, *arguments, stdin="show\n")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode != 0


def test_local_lines(home: Path, tmp_path: Path) -> None:
    done = dust(home, "-c", f"cd '{tmp_path}'", "-c", "pwd", "-c", "!exit 4", "-c", "X=1; echo $X")
    assert done.stdout == f"{tmp_path}\n1\n"
    assert done.returncode == 4


def test_a_signal_that_ends_a_local_line_is_a_failure(home: Path) -> None:
    assert dust(home, "-c", "!kill -9 $$").returncode == 128 + signal.SIGKILL
    done = dust(home, stdin="set -e\n!kill -TERM $$\n!echo went on\n")
    assert (done.returncode, done.stdout) == (128 + signal.SIGTERM, "")
    done = dust(home, stdin="!kill -INT $$\n!echo went on\n")
    assert (done.returncode, done.stdout) == (130, "")


def test_nobody_reads_the_output(home: Path) -> None:
    argv = [sys.executable, str(ROOT / "bin" / "dust"), "-c", "@ seq 200000"]
    env = {**os.environ, "DUST_HOME": str(home)}
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline().endswith(b" 1\n")
    process.stdout.close()
    assert process.wait(20) == 128 + signal.SIGPIPE
    assert process.stderr.read() == b""
    process.stderr.close()


def test_a_node_that_is_spelled_out_and_does_not_run_is_told(home: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text\n")
    dust(home, "-c", "stop -y worker2")
    try:
        done = dust(home, "-c", "@worker[1-2] echo in", "-c", "last")
        assert "[worker1] in\n" in done.stdout
        assert "worker2: it is stopped\nworker2: unreachable · 1 ok" in done.stderr
        assert done.returncode == 255
        assert dust(home, "-c", "@worker* echo in").returncode == 0
        asks = "@worker1 printf 'Go? '; read x; echo \"<$x>\""
        done = dust(home, "-c", asks, "-c", "@worker[1-2] it's an answer")
        assert "<it's an answer>" in done.stdout
        done = dust(home, "-c", f"put '{tmp_path}/file' worker1,worker2")
        assert "worker2: it is stopped" in done.stderr
        assert "1 file to worker1" in done.stdout
        assert done.returncode != 0
        done = at(home, "--json", "worker[1-2]", "true")
        found = {each["node"]: each for each in map(json.loads, done.stdout.splitlines())}
        assert (found["worker1"]["status"], found["worker2"]["error"]) == (0, "it is stopped")
        assert done.returncode == 255
    finally:
        dust(home, "-c", "start -y worker2")


@pytest.mark.parametrize(
    ("program", "arguments", "status"),
    [
        ("dust", ["-c", "@worker1 seq 3"], 1),
        ("dust", ["--version"], 1),
        ("dust-at", ["worker1", "seq 3"], 2),
        ("dust-at", ["--version"], 2),
    ],
)
def test_full_disk_is_said(home: Path, program: str, arguments: list[str], status: int) -> None:
    argv = [sys.executable, str(ROOT / "bin" / program), *arguments]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            argv,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "DUST_HOME": str(home)},
        )
    assert done.stderr == f"{program}: cannot write the output: No space left on device\n"
    assert done.returncode == status


def test_closed_descriptors(home: Path) -> None:
    done = by_shell(home, "dust", '"$0" "$1" -c "@worker1 true" <&- >&- 2>&-')
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        ("dust", "-c show"),
        ("dust", "-c '@worker1 echo hi'"),
        ("dust", "--help"),
        ("dust", "--version"),
        ("dust-at", "worker1 echo hi"),
        ("dust-at", "-b worker1 echo hi"),
        ("dust-at", "--json worker1 echo hi"),
        ("dust-at", "--dry-run worker1 true"),
    ],
)
def test_output_that_is_closed_is_said(home: Path, program: str, arguments: str) -> None:
    done = by_shell(home, program, f'"$0" "$1" {arguments} >&-')
    assert done.stderr == f"{program}: cannot write the output: Bad file descriptor\n"
    assert done.returncode == (1 if program == "dust" else 2)


@pytest.mark.parametrize(
    ("program", "arguments", "status"),
    [("dust", "-F config -c '@ true'", 1), ("dust-at", "-F config n true", 2)],
)
def test_a_directory_that_is_gone_is_said(
    home: Path, tmp_path: Path, program: str, arguments: str, status: int
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    done = by_shell(home, program, f'rmdir ../here; "$0" "$1" {arguments}', here)
    assert done.stderr == f"{program}: the directory that {program} is in is gone\n"
    assert done.returncode == status


def test_a_machine_without_ssh_is_said_once_for_each_node(home: Path, tmp_path: Path) -> None:
    done = dust(home, "-c", "@worker1 true", PATH=str(tmp_path))
    assert done.stderr.startswith("worker1: there is no ssh on this machine's PATH\n")
    assert done.returncode == 255


def test_home_that_cannot_be_written(tmp_path: Path) -> None:
    done = dust(Path("/proc/none"), "-c", "show", "-c", "!echo on")
    assert "on\n" in done.stdout
    assert "Traceback" not in done.stderr


def test_broken_configuration_is_named_and_the_rest_works(home: Path) -> None:
    config = home / "config.yaml"
    config.write_text("fanout: 3\nouptut: fold\npersist: x\n")
    try:
        done = dust(home, "-c", "@worker1 pwd", "-c", "set fanout")
    finally:
        config.unlink()
    assert f"{config}:2: no setting 'ouptut'; did you mean output? (left out)" in done.stderr
    assert f"{config}:3: persist: 'x' is not a whole number" in done.stderr
    assert "fanout  3 " in done.stdout
    assert done.stdout.startswith("[worker1] /")


def test_broken_plugin_is_named_and_the_rest_works(home: Path) -> None:
    folder = home / "plugins"
    folder.mkdir(exist_ok=True)
    broken = folder / "broken.py"
    broken.write_text('"""broken"""\n\nraise RuntimeError("on purpose")\n')
    try:
        done = dust(home, "-c", "@worker1 echo fine")
    finally:
        broken.unlink()
    assert f"{broken}:3: " in done.stderr and "on purpose" in done.stderr
    assert done.stdout == "[worker1] fine\n"


def test_a_plugin_that_raises_is_reported_and_the_shell_lives(home: Path) -> None:
    folder = home / "plugins"
    folder.mkdir(exist_ok=True)
    plugin = folder / "oops.py"
    plugin.write_text(
        '"""oops"""\nfrom pathlib import Path\nfrom dust.command import Dust, command\n\n\n'
        "@command\ndef oops(dust: Dust) -> None:\n"
        '    """Fail.\n\n    Usage: oops\n    """\n    1 / 0\n'
        '\n\n@command\ndef astray(dust: Dust) -> None:\n    """Fail elsewhere.\n\n    Usage: astray'
        '\n    """\n    read("nowhere")\n\n\n'
        "def read(text: str) -> None:\n    Path(text).read_text()\n"
    )
    try:
        done = dust(home, "-c", "oops", "-c", "astray", "-c", "@worker1 echo fine")
    finally:
        plugin.unlink()
    assert f"ZeroDivisionError: division by zero ({plugin}:12)" in done.stderr
    assert f"No such file or directory: 'nowhere' ({plugin}:25)" in done.stderr
    assert done.stdout == "[worker1] fine\n"
    assert done.returncode == 1


def test_a_line_of_a_plugin_that_is_unfinished_is_refused(home: Path) -> None:
    plugin = home / "plugins" / "half.py"
    plugin.parent.mkdir(exist_ok=True)
    plugin.write_text(
        '"""half"""\nfrom dust.command import Dust, command\n\n\n@command\n'
        'def half(dust: Dust) -> None:\n    """Ask for half.\n\n    Usage: half\n    """\n'
        '    dust.run("worker1", "echo \\"")\n'
    )
    try:
        done = dust(home, "-c", "half", "-c", "@worker1 echo fine")
    finally:
        plugin.unlink()
    assert "dust: the line is unfinished: a shell would wait for more (dquote)\n" in done.stderr
    assert done.stdout == "[worker1] fine\n"


def test_start_up_imports_what_it_needs_only(home: Path) -> None:
    env = {**os.environ, "DUST_HOME": str(home), "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-X", "importtime", "-m", "dust", "-c", "show"]
    done = subprocess.run(argv, capture_output=True, text=True, env=env, check=True)
    assert "worker2" in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "dust.shell" in imported
    assert not imported & {"boto3", "botocore", "prompt_toolkit", "pexpect", "yaml", "asyncio"}


def test_interrupt(home: Path) -> None:
    argv = [
        sys.executable,
        str(ROOT / "bin" / "dust"),
        "-c",
        "@ sh -c 'echo begun; exec sleep 1000'",
    ]
    env = {**os.environ, "DUST_HOME": str(home)}
    process = subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    )
    assert process.stdout is not None
    for _ in range(3):
        assert process.stdout.readline().endswith("begun\n")
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "master,worker[1-2]: exit 130" in stderr


def test_sessions_are_logged(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    done = dust(
        home, "-c", f"log on {folder}", "-c", "@worker* echo hi; echo {name}", "-c", "log off",
        "-c", "@worker* echo later", "-c", "log off",
    )  # fmt: skip
    assert f"sessions are logged in {folder}" in done.stdout
    assert "\nsessions are no longer logged\n" in done.stdout
    assert done.stdout.splitlines()[-1] == "there is no log"
    assert sorted(path.name for path in folder.iterdir()) == ["worker1.log", "worker2.log"]
    text = (folder / "worker1.log").read_text()
    assert text[8:] == " $ echo hi; echo worker1\nhi\nworker1\n"


def test_dust_at(home: Path) -> None:
    def at(*arguments: str) -> Done:
        return subprocess.run(
            [sys.executable, str(ROOT / "bin" / "dust-at"), *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "DUST_HOME": str(home)},
        )

    assert lines(at("worker*", "echo", "-n", "hi")) == ["[worker1] hi", "[worker2] hi"]
    assert at("-b", "worker*", "echo", "hi").stdout == "worker[1-2] (2)\nhi\n"
    assert at("worker1", "(exit 9)").returncode == 9
    late = at("-u", "0.5", "worker1", "sleep", "100")
    assert late.returncode == 124
    assert "worker1: no end after 0.5 s" in late.stderr
    assert at("nobody", "true").returncode == 2
    assert at("worker1").returncode == 2
    assert at("--version").stdout.startswith("dust-at 0.")
