"""The commands set, history, help, reload and exit, typed as a person types them."""

from pathlib import Path

import pytest
from recording import NODES, Recorder

from dust.command import HelpRequested
from dust.config import KEYS
from dust.errors import UsageError


@pytest.fixture
def dust(tmp_path: Path) -> Recorder:
    return Recorder(NODES, tmp_path)


# settings


def test_set_lists_every_setting(dust: Recorder) -> None:
    dust.type("set", "fanout", "5")
    dust.type("set")
    rows = dust.tables[0][0]
    assert [row[0] for row in rows] == list(KEYS)
    assert rows[1][:2] == ["fanout", "5"]
    assert all(row[2] for row in rows)
    dust.type("set", "connect-timeout")
    assert [row[:2] for row in dust.tables[1][0]] == [["connect_timeout", "15"]]


def test_set_e(dust: Recorder) -> None:
    dust.type("set", "-e")
    assert dust.settings.errexit
    dust.type("set", "+e")
    assert not dust.settings.errexit


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fanuot"], "did you mean 'fanout'|did you mean fanout"),
        (["fanout", "many"], "set fanout: 'many' is not a whole number"),
        (["backend", "ssh"], "set backend: this holds from the start"),
        (["use", "slurm1"], "`use NAME`"),
        (["-x"], "no option -x"),
        (["+e", "1"], "takes no value"),
    ],
)
def test_set_refuses(dust: Recorder, words: list[str], message: str) -> None:
    before = dust.settings
    with pytest.raises(UsageError, match=message):
        dust.type("set", *words)
    assert dust.settings == before


def test_history(dust: Recorder) -> None:
    dust.typed = ["show", "@ a\nb", "stop\x07"]
    assert dust.type("history") == "    1  show\n    2  @ a\n       b\n    3  stop\\x07"
    assert dust.type("history", "1") == "    3  stop\\x07"
    assert dust.type("history", "0") == ""
    assert dust.type("history", "9").startswith("    1  show")
    with pytest.raises(UsageError, match="history x"):
        dust.type("history", "x")


# help, reload, exit


def test_every_command_of_the_specification_is_there(dust: Recorder) -> None:
    wanted = """show start stop terminate use refresh reconnect close interrupt eof suspend output
                last fold diff set help history exit reload secret cd put get reboot
                tag untag assign"""
    assert set(wanted.split()) <= set(dust.registry.commands)
    assert dust.registry.problems == []


def test_help_lists_commands_by_plugin(dust: Recorder) -> None:
    lines = dust.type("help").splitlines()
    at = lines.index("nodes - the nodes that there are.")
    assert lines[at + 1].startswith("  show  ")
    assert lines[at + 2].startswith("  refresh  ")
    assert any(line.startswith("  exit, quit  ") for line in lines)
    assert max(map(len, lines)) <= 79


def test_help_shows_a_command(dust: Recorder) -> None:
    text = dust.type("help", "stop")
    assert "Usage: stop [-y] [--dry-run] [--no-wait] [<target>]" in text
    assert "From" not in text
    with pytest.raises(UsageError, match="did you mean stop"):
        dust.type("help", "stpo")
    with pytest.raises(HelpRequested, match="Usage: stop"):
        dust.type("stop", "--help")


def test_help_targets_fits_a_screen(dust: Recorder) -> None:
    lines = dust.type("?", "targets").splitlines()
    assert len(lines) < 24
    assert max(map(len, lines)) < 80


PLUGIN = '''\
"""mine - of my own."""
from dust.command import Dust, command

@command
def {name}(dust: Dust) -> None:
    """Do it.

    Usage: {name}
    """
'''


def test_help_and_reload_of_a_users_plugin(dust: Recorder, tmp_path: Path) -> None:
    assert dust.type("reload") == "no plugin has changed"
    path = tmp_path / "mine.py"
    path.write_text(PLUGIN.format(name="mine"))
    assert dust.type("reload") == "read: mine"
    assert f"mine - of my own. ({path})" in dust.type("help")
    assert dust.type("help", "mine").endswith(f"\nFrom {path}:4")
    path.write_text(PLUGIN.format(name="show"))
    dust.type("reload", "mine")
    assert dust.type("help", "show").endswith(" (in place of Dust's own)")
    assert "  show          Do it. (in place of Dust's own)\n" in dust.type("help")
    path.write_text("1 +")
    dust.type("reload", "mine")
    assert [f"{path}:1" in error for error in dust.errors] == [True]
    assert f"Not all is there: {path}:1" in dust.type("help")


def test_exit(dust: Recorder) -> None:
    dust.type("exit")
    assert dust.left == 0
    dust.type("quit", "3")
    assert dust.left == 3
    for wrong in ("256", "-1", "x"):
        with pytest.raises(UsageError, match=f"exit {wrong}"):
            dust.type("exit", wrong)


def test_cd_changes_the_local_directory(
    dust: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a b").mkdir()
    dust.type("cd", "'a b'")
    assert Path.cwd() == tmp_path / "a b"
    with pytest.raises(UsageError, match="cd: none: No such file"):
        dust.type("cd", "none")
