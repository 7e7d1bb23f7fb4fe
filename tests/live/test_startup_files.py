"""What users have in their start-up files, a node for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from localshell import program

from live.driver import Driver, driving, nodes

BANNER = 'i=0; while [ $i -lt 200 ]; do echo "line $i: continue? (yes/no)"; i=$((i + 1)); done\n'
#: By node: the file, and what is in it.
FILES = {
    "plain": (".profile", "\n"),
    "hooked": (".bashrc", "PROMPT_COMMAND='printf hook; PS1=hook'\nexport PS1='rc> '\n"),
    "partial": (".profile", 'printf "no newline here: "\n'),
    "reads": (".bash_profile", 'read line\necho "read: $line"\n'),
    "banner": (".profile", BANNER),
    "asks": (".profile", 'printf "Password:"\nsleep 0.3\n'),
    "strict": (".bashrc", "set -u\n"),
    "editing": (".profile", "set -o vi\nbind 'set show-mode-in-prompt on'\n"),
    "titled": (".bashrc", 'PS1="\\[\\e]0;\\w\\a\\e[32m\\]> \\[\\e[0m\\]"\ntrap : DEBUG\n'),
    "leaves": (".profile", "echo go away\nexit 7\n"),
    "away": (".profile", "cd /usr\n"),
    "nounset": (".zshrc", "setopt nounset\n"),
    "hooks": (".zshrc", "precmd() { print -Pn '\\e]0;%~\\a' }\nPROMPT='%~ %# '\nRPROMPT=right\n"),
    "another": (".profile", "exec python3 -q\n"),
}
FINE = tuple(name for name in FILES if name not in ("leaves", "another"))


def _prepare(name: str, home: Path) -> None:
    file, text = FILES[name]
    (home / file).write_text(text)
    if file == ".bashrc":
        (home / ".profile").write_text(". ~/.bashrc\n")


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Driver, list[str]]]:
    directory = tmp_path_factory.mktemp("startup")
    shells = dict.fromkeys(("hooks", "nounset"), program("zsh", directory))
    with nodes(directory / "nodes", FILES, shells, _prepare) as backend:
        with driving(backend.nodes(), directory / "driver") as driver:
            driver.coordinator.open(list(driver.nodes.values()))  # all at once: one waits
            driver.open(*FINE)
            yield driver, [name for name in FINE if driver.events.printed[name]]


@pytest.fixture
def driver(opened: tuple[Driver, list[str]]) -> Driver:
    return opened[0]


def test_nothing_of_a_banner_is_output(opened: tuple[Driver, list[str]]) -> None:
    driver, printed = opened
    assert printed == []
    assert driver.events.questions == []


def test_every_session_has_statuses_and_exact_output(driver: Driver) -> None:
    names = tuple(name for name in FINE if name != "hooked")  # whose prompt prints something
    run = driver.run("echo hi; (exit 9)", *names)
    assert driver.statuses(run) == dict.fromkeys(names, 9)
    assert driver.outputs(run) == dict.fromkeys(names, "hi\n")


def test_the_start_up_files_were_read(driver: Driver) -> None:
    assert driver.link("away").directory == b"/usr"
    assert driver.outputs(driver.run("echo $-", "strict"))["strict"].count("u") == 1


def test_sourcing_the_file_again_keeps_the_session(driver: Driver) -> None:
    names = ("hooked", "strict", "titled")
    for _ in range(2):
        run = driver.run(". ~/.bashrc", *names)
        assert driver.statuses(run) == dict.fromkeys(names, 0)
        run = driver.run("(exit 6)", *names)
        assert driver.statuses(run) == dict.fromkeys(names, 6)
    assert "7770" not in driver.outputs(driver.run("env", "hooked"))["hooked"]
    driver.run(". ~/.zshrc", "hooks")
    assert driver.statuses(driver.run("(exit 6)", "hooks")) == {"hooks": 6}


def test_a_login_that_ends_by_itself_says_its_last_words(driver: Driver) -> None:
    driver.state("down", "leaves")
    assert driver.link("leaves").reason == "go away"
    assert driver.run("echo hi", "plain").status == 0


def test_a_shell_that_cannot_be_marked_works_without_status(driver: Driver) -> None:
    """And says so once."""
    driver.state("ready", "another")
    (note,) = driver.events.notes["another"]
    assert "no exit status" in note
    run = driver.run("print(6 * 7)", "another")
    assert "42\n" in driver.outputs(run)["another"]
    assert driver.statuses(run) == {"another": None}
    assert run.status == 0
    assert driver.events.notes["another"] == [note]
