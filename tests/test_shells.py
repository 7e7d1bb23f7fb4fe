from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from localshell import PROGRAMS, program, shell, text

from dust import shells
from dust.framing import Greeting, Prompt

SHELLS = sorted(PROGRAMS)
#: fish hands over to bash, which stands for both below.
OWN = sorted(set(PROGRAMS) - {"fish"})
POSIX = sorted(set(OWN) - {"tcsh"})
NAMES = {
    "plain": b"plain",
    "space": b"with  space",
    "newline": b"new\nline",
    "quotes": b'it\'s "$HOME" `id` $(id) !x',
    "backslash": b"back\\033slash",
    "octets": b"\xff\xe9%d%%",
    "option": b"-x",
}
#: What these shells cannot tell in a prompt, or take as one word.
UNABLE = {("ash", "backslash"), ("tcsh", "newline"), ("tcsh", "octets")}


@pytest.mark.parametrize("parser", SHELLS)
def test_every_login_shell_parses_the_bootstrap(tmp_path: Path, parser: str) -> None:
    with shell("bash", tmp_path, program(parser, tmp_path)) as local:
        events = local.until(lambda event: isinstance(event, Greeting))
        bash = program("bash", tmp_path)
        assert events == [Greeting(bash, bash, "Linux" if sys.platform == "linux" else "")]
        local.initialise("bash")
        assert local.run(b"shopt login_shell")[0] == b"login_shell    \ton\r\n"


def test_the_bootstrap_is_one_line_without_what_shells_read_differently() -> None:
    line = shells.bootstrap("0" * 16)
    assert "\n" not in line
    assert "!" not in line
    assert line.count("'") == 2
    assert len(line) < 1000


@pytest.mark.parametrize("name", SHELLS)
def test_the_user_gets_their_own_login_shell(tmp_path: Path, name: str) -> None:
    with shell(name, tmp_path) as local:
        greeting = next(event for event in local.begin() if isinstance(event, Greeting))
        assert greeting.login == program(name, tmp_path)
        assert (greeting.shell == greeting.login) == (name != "fish")
        assert shells.kind(greeting.shell) == ("bash" if name == "fish" else name)


@pytest.mark.parametrize("name", OWN)
def test_nothing_that_a_shell_prints_of_the_first_line_is_a_mark(tmp_path: Path, name: str) -> None:
    with shell(name, tmp_path) as local:
        prompts = [event for event in local.begin() if isinstance(event, Prompt)]
        assert [prompt.status for prompt in prompts] == [0]


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("kind", NAMES)
def test_a_session_begins_in_any_directory(tmp_path: Path, name: str, kind: str) -> None:
    path = os.path.join(os.fsencode(tmp_path), NAMES[kind])
    os.mkdir(path)
    with shell(name, tmp_path) as local:
        prompt = local.begin(path)[-1]
        assert isinstance(prompt, Prompt)
        if (name, kind) in UNABLE:
            assert prompt.directory != path
            assert local.run(b"echo hi")[0] == b"hi\r\n"
        else:
            assert prompt == Prompt(0, path, True)
            assert local.run(b"/bin/pwd")[0] == path.replace(b"\n", b"\r\n") + b"\r\n"


@pytest.mark.parametrize("name", OWN)
def test_a_directory_that_is_gone_leaves_the_session_at_home(tmp_path: Path, name: str) -> None:
    with shell(name, tmp_path) as local:
        prompt = local.begin(b"/no/such/directory")[-1]
        assert isinstance(prompt, Prompt)
        assert prompt.directory == os.fsencode(tmp_path / "home")
        assert prompt.status != 0


@pytest.mark.parametrize("name", OWN)
def test_no_listing_of_a_shell_is_a_mark(tmp_path: Path, name: str) -> None:
    with shell(name, tmp_path) as local:
        local.begin()
        for line in (b"set", b"env", b'echo "$PS1 $PS2"', b"alias", b"typeset -f", b"set -o"):
            local.run(line)
        assert local.run(b"echo still here")[0] == b"still here\r\n"


@pytest.mark.parametrize("name", OWN)
def test_the_switch_gives_the_user_their_shell_and_takes_it_back(tmp_path: Path, name: str) -> None:
    with shell(name, tmp_path) as local:
        local.begin()
        local.run(b"true")
        for _ in range(2):
            local.submit(shells.TO_RAW)
            local.prompted()
            local.submit(shells.TO_LINES)
            echo = text(local.prompted())
            assert shells.TO_LINES.strip() in echo  # the user's shell shows what is typed
            assert local.run(b"echo hi") == (b"hi\r\n", Prompt(0, local.framing.directory, True, 1))
        local.submit(shells.ANEW)
        assert text(local.prompted()) == b""
        assert local.run(b"echo hi")[0] == b"hi\r\n"


@pytest.mark.parametrize("name", ["bash", "zsh"])
def test_the_mark_comes_back_where_a_command_changes_the_prompt(tmp_path: Path, name: str) -> None:
    with shell(name, tmp_path) as local:
        local.begin()
        for line in (b"PS1='mine> '", b"PS1='(venv) '$PS1", b"export PS1=x; false"):
            local.run(line)
        assert local.run(b"(exit 5)") == (b"", Prompt(5, local.framing.directory, True, 1))
        assert b"7770" not in local.run(b"env")[0]


def test_bash_keeps_the_mark_where_a_file_sets_prompt_command(tmp_path: Path) -> None:
    with shell("bash", tmp_path) as local:
        (tmp_path / "home" / "rc").write_text("PROMPT_COMMAND='PS1=theirs; false'\nPS1='rc> '\n")
        local.begin()
        local.run(b". ./rc")
        assert local.run(b"(exit 5)") == (b"", Prompt(5, local.framing.directory, True, 1))


@pytest.mark.parametrize("name", ["bash", "zsh"])
def test_a_silent_command_typed_ahead_is_known_to_run(tmp_path: Path, name: str) -> None:
    with shell(name, tmp_path) as local:
        local.begin()
        local.submit(b"true\nread x")
        local.until(lambda event: isinstance(event, Prompt))
        # The shell says that it begins the second line, which prints nothing.
        while local.framing.unsettled:
            local.pump()
        assert local.framing.settle() is None
        local.submit(b"typed")
        local.settled()
        assert local.run(b"echo $x")[0] == b"typed\r\n"


def test_bash_keeps_what_is_typed_for_it_out_of_the_history(tmp_path: Path) -> None:
    with shell("bash", tmp_path) as local:
        local.begin()
        for line in (b"echo one", shells.TO_RAW, shells.TO_LINES, shells.ANEW, b"echo two"):
            local.run(line)
        history = local.run(b"history")[0].decode().split("\r\n")
        assert [row.split(None, 1)[1] for row in history if row] == [
            "echo one",
            "echo two",
            "history",
        ]


@pytest.mark.parametrize("name", OWN)
def test_programs_find_no_pager_that_would_wait(tmp_path: Path, name: str) -> None:
    if name == "tcsh":
        return  # has no way to tell whether one is set that would fit into an alias
    with shell(name, tmp_path) as local:
        local.begin()
        assert local.run(b"echo $PAGER")[0] == b"cat\r\n"
        local.run(b"PAGER=less")
        local.run(shells.TO_RAW)
        local.run(shells.TO_LINES)
        assert local.run(b"echo end")[0] == b"end\r\n"


@pytest.mark.parametrize("name", POSIX)
def test_strict_modes_of_the_users_do_not_break_the_switch(tmp_path: Path, name: str) -> None:
    with shell(name, tmp_path) as local:
        local.begin()
        local.run(b"set -eu")
        local.submit(shells.ANEW)
        local.prompted()
        assert local.run(b"echo hi")[0] == b"hi\r\n"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/bin/bash", "bash"),
        ("zsh", "zsh"),
        ("/usr/local/bin/ksh93", "ksh93"),
        ("/bin/sh", "sh"),
        ("/bin/csh", "csh"),
        ("/usr/bin/fish", ""),
        ("/usr/bin/python3", ""),
        ("/opt/xonsh", ""),
        ("", ""),
    ],
)
def test_the_kind_of_a_shell_is_its_name(path: str, kind: str) -> None:
    assert shells.kind(path) == kind


@pytest.mark.parametrize(
    "name", ["bash", "zsh", "tcsh", "csh", "sh", "dash", "ash", "busybox", "mksh", "lksh", "ksh"]
)
def test_the_first_line_is_one_line_that_a_terminal_takes(name: str) -> None:
    line = shells.init(name, "0" * 16)
    assert b"\n" not in line
    assert b"NONCE" not in line
    assert b"\x1b" not in line
    assert line.startswith(b" ")  # which many shells keep out of their history
    assert len(line) <= shells.longest("FreeBSD")
    long = shells.init(name, "0" * 16, b"/" + b"d" * 600)
    assert len(long) <= shells.longest("Linux")


def test_only_linux_is_known_to_take_long_lines() -> None:
    assert shells.longest("Linux") == 4094
    assert shells.longest("Darwin") == shells.longest("") == 1000


def test_the_terminal_of_this_system_takes_that_much(tmp_path: Path) -> None:
    limit = shells.longest("Linux" if sys.platform == "linux" else "")
    with shell("dash", tmp_path) as local:
        local.begin()
        local.submit(b"head -n 1 | wc -c")
        local.submit(b"x" * limit)
        assert text(local.settled()).strip() == str(limit + 1).encode()


def test_another_system_gets_another_greeting(tmp_path: Path) -> None:
    """A login shell that is none is started all the same."""
    fake = tmp_path / "notashell"
    fake.write_text("#!/bin/sh\necho I am no shell\n")
    fake.chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", "-c", shells.bootstrap("0" * 16)],
        env={"SHELL": str(fake), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert f";H;{fake};{fake};" in done.stdout
    assert done.stdout.endswith("I am no shell\n")
