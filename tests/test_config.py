import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dust import config
from dust.config import KEYS, Settings, changed, folder, home, load, shown, write_whole
from dust.errors import ConfigError, UsageError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("DUST_HOME", raising=False)
    assert home() == tmp_path / ".dustcluster"
    monkeypatch.setenv("DUST_HOME", "")
    assert home() == tmp_path / ".dustcluster"
    monkeypatch.setenv("DUST_HOME", "~/d")
    assert home() == tmp_path / "d"
    assert list(tmp_path.iterdir()) == []


def test_folders_are_private_and_made_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DUST_HOME", str(tmp_path / "home"))
    assert folder("cache", "ec2") == folder("cache", "ec2") == tmp_path / "home/cache/ec2"
    for path in (tmp_path / "home", tmp_path / "home/cache", tmp_path / "home/cache/ec2"):
        assert mode(path) == 0o700


def test_a_folder_that_cannot_be_made_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DUST_HOME", str(tmp_path / "file/home"))
    with pytest.raises(ConfigError, match="/file: cannot make the folder: File exists"):
        folder()


def test_write_whole(tmp_path: Path) -> None:
    path = tmp_path / "new/sub/file"
    write_whole(path, "né\n")
    assert path.read_bytes() == "né\n".encode()
    assert (mode(path), mode(path.parent), mode(path.parent.parent)) == (0o600, 0o700, 0o700)
    write_whole(path, b"\xff", 0o644)
    assert path.read_bytes() == b"\xff"
    assert mode(path) == 0o644
    assert list(path.parent.iterdir()) == [path]


def test_write_whole_keeps_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real/file")
    write_whole(tmp_path / "link", "x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real/file").read_text() == "x"


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, call: str
) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, full)
    with pytest.raises(ConfigError, match="file: cannot write the file: No space left") as raised:
        write_whole(path, "new")
    assert raised.value.path == path
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_no_file_means_the_defaults(tmp_path: Path) -> None:
    assert load(tmp_path / "config.yaml") == (Settings(), [])


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n"])
def test_an_empty_file_means_the_defaults(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    assert load(path) == (Settings(), [])


def test_load(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "backend: ssh\nfanout: 4\nconnect_timeout: 2.5\nerrexit: yes\n"
        "use: '*'\ninventory:\nssh_config: 'null'\nhistory_size: 0\n"
    )
    settings = Settings(
        backend="ssh",
        fanout=4,
        connect_timeout=2.5,
        errexit=True,
        use="*",
        inventory="",
        ssh_config="null",
        history_size=0,
    )
    assert load(path) == (settings, [])


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("fanout: 4\nfanuot: 5\n", 2, "no setting 'fanuot'; did you mean fanout?"),
        ("\nfanout: none\n", 2, "fanout: 'none' is not a whole number from 1"),
        ("fanout: 0\n", 1, "from 1"),
        ("output: folded\n", 1, "not one of stream, block, fold; did you mean fold?"),
        ("connect_timeout: nan\n", 1, "not a number of seconds"),
        ("errexit: maybe\n", 1, "neither on nor off"),
        ("fanout: 1\nfanout: 2\n", 2, "second time"),
        ("fanout: 1\nuse: [a, b]\n", 2, "one plain value"),
        ("- fanout\n", 1, "key: value"),
        ("fanout: 1\nuse: 'a\n", 2, "unexpected end"),
        ("a: b: c\n", 1, "not allowed"),
        ("fanout: 1\nb: \udcff\n", 2, "not UTF-8"),
        ("use: \x01\n", 1, "not YAML"),
        ("use: {a: b\n", 1, "expected"),
    ],
)
def test_a_damaged_file_is_named_with_its_line(
    tmp_path: Path, text: str, line: int | None, said: str
) -> None:
    path = tmp_path / "config.yaml"
    data = text.encode(errors="surrogateescape")
    path.write_bytes(data)
    _, (problem,) = load(path)
    assert (problem.path, problem.line) == (path, line)
    assert said in str(problem)
    assert path.read_bytes() == data


@pytest.mark.parametrize(
    "text",
    [
        "fanout: 4\nfanuot: 5\nuse: [a]\noutput: fold\npersist: soon\n",
        "fanout: 4\nuse: 'a\n  profile: p\noutput: fold\npersist: soon\n",
        "fanout: 4\n- use\nb: \udcff\noutput: fold\npersist: soon\n",
    ],
)
def test_each_bad_line_is_named_and_the_good_ones_hold(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    settings, problems = load(path)
    assert settings == Settings(fanout=4, output="fold")
    assert [problem.line for problem in problems] == [2, 3, 5]


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    settings, (problem,) = load(tmp_path)
    assert settings == Settings()
    assert "cannot read the file: Is a directory" in str(problem)


def test_changed() -> None:
    settings = changed(Settings(), "fanout", "3")
    assert settings == Settings(fanout=3)
    assert changed(settings, "connect-timeout", "0.25").connect_timeout == 0.25
    assert changed(settings, "errexit", "on").errexit is True
    assert settings == Settings(fanout=3)


@pytest.mark.parametrize(
    ("key", "text", "said"),
    [
        ("colr", "auto", "no setting 'colr'; did you mean colour?"),
        ("colour", "alway", "not one of auto, always, never; did you mean always?"),
        ("fanout", "-1", "whole number from 1"),
        ("fanout", "١", "whole number from 1"),
        ("connect_timeout", "0", "above 0"),
    ],
)
def test_changed_says_what_is_allowed(key: str, text: str, said: str) -> None:
    with pytest.raises(UsageError) as raised:
        changed(Settings(), key, text)
    assert said in str(raised.value)


@given(st.floats(min_value=1e-6, max_value=1e9), st.integers(1, 10**9 - 1), st.booleans())
def test_what_is_shown_reads_back(seconds: float, number: int, switch: bool) -> None:
    settings = Settings(connect_timeout=seconds, fanout=number, errexit=switch)
    copy = Settings()
    for key in KEYS:
        copy = changed(copy, key, shown(settings, key))
    assert copy == settings


def test_every_setting_is_described_and_its_choices_work() -> None:
    for key in KEYS:
        assert config.about(key)
        for choice in config.choices(key):
            assert shown(changed(Settings(), key, choice), key) == choice


def test_importing_it_does_not_import_yaml() -> None:
    code = "import sys, dust.config; sys.exit('yaml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
