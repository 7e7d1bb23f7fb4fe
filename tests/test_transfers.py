"""What put and get are asked for: words, wildcards, names."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recording import MASTER, NODES, WORKER1, WORKER2, Recorder, node

from dust import messages, transfers, wildcards
from dust.completion import complete
from dust.copies import Copied, Copies, amount, problems
from dust.errors import UsageError


@pytest.fixture
def dust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    for name in ("a.txt", "b.txt", "it's", "*", "home/h", "master", "-x"):
        (tmp_path / name).write_text(name)
    (tmp_path / "into").mkdir()
    return Recorder(NODES, tmp_path)


@pytest.mark.parametrize(
    ("line", "files", "target", "directory"),
    [
        ("a.txt worker1", ["a.txt"], "worker1", ""),
        ("worker1 a.txt", ["a.txt"], "worker1", ""),
        ("a.txt b.txt worker1", ["a.txt", "b.txt"], "worker1", ""),
        ("a.txt b.txt worker1 /opt", ["a.txt", "b.txt"], "worker1", "/opt"),
        ("worker1 a.txt into", ["a.txt"], "worker1", "into"),
        ("a.txt lone into", ["a.txt"], "lone", "into"),
        ("*.txt lone", ["a.txt", "b.txt"], "lone", ""),
        ("[ab].t?t lone '~/x'", ["a.txt", "b.txt"], "lone", "~/x"),
        ('"it\'s" lone', ["it's"], "lone", ""),
        ("it\\'s lone", ["it's"], "lone", ""),
        ("'*' lone", ["*"], "lone", ""),
        ("a.txt state=running", ["a.txt"], "state=running", ""),
        ("a.txt '*' master /tmp", ["a.txt", "*"], "master", "/tmp"),
        ("-- -x lone", ["-x"], "lone", ""),
    ],
)
def test_put_finds_the_target(
    dust: Recorder, line: str, files: list[str], target: str, directory: str
) -> None:
    from dust.lines import words

    dust.type("put", *words(line))
    assert dust.copied == [("put", files, target, directory)]


def test_a_home_in_a_word(dust: Recorder, tmp_path: Path) -> None:
    dust.type("put", "~/h", "lone")
    assert dust.copied == [("put", [str(tmp_path / "home" / "h")], "lone", "")]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["a.txt", "master", "lone"], "this may mean a.txt master to lone or a.txt to master:lone"),
        (["nosuch", "lone"], "no file nosuch here"),
        (["a.txt", "wurker1"], "worker1"),
        (["'a.txt", "lone"], "no closing '"),
        (["lone", "lone"], "no word is a file here"),
    ],
)
def test_words_that_put_cannot_understand(dust: Recorder, words: list[str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        dust.type("put", *words)
    assert not dust.copied


@pytest.mark.parametrize(
    ("words", "patterns", "directory"),
    [
        (["/etc/hosts"], ["/etc/hosts"], "."),
        (["/etc/*.conf", "'*'", "into"], ["/etc/*.conf", "[*]"], "into"),
        (["f", "new/"], ["f"], "new/"),
        (["f", "new"], ["f", "new"], "."),
        (["into"], ["into"], "."),
        (["'~'"], ["./~"], "."),
        (["~/f"], ["~/f"], "."),
    ],
)
def test_get_finds_the_directory(
    dust: Recorder, words: list[str], patterns: list[str], directory: str
) -> None:
    dust.type("get", "lone", *words)
    assert dust.copied == [("get", patterns, "lone", directory)]


@given(st.text(max_size=20))
def test_what_is_escaped_is_literal(text: str) -> None:
    assert wildcards.literal(wildcards.escaped(text)) == text


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*", ["a", "b c", "[x]"]),
        (".*", [".h"]),
        ("[ab]", ["a"]),
        ("[[]x]", ["[x]"]),
        ("b?c", ["b c"]),
    ],
)
def test_matching(pattern: str, names: list[str]) -> None:
    every = ["a", "b c", "[x]", ".h"]
    assert [name for name in every if wildcards.matches(pattern, name)] == names


@pytest.mark.parametrize("name", ["..", ".", "a/b", "a\0b"])
def test_a_node_cannot_lead_out_of_the_directory(name: str) -> None:
    (folder,) = transfers.folders([node("n")], "out", lambda node: name).values()
    assert os.path.dirname(os.path.normpath(folder)) == "out"
    assert "\0" not in folder


@pytest.mark.parametrize("path", ["~root", "~root/x", "a\0b"])
def test_a_path_there_that_is_not_understood(path: str) -> None:
    with pytest.raises(UsageError):
        transfers.remote_directory(path)
    with pytest.raises(UsageError):
        transfers.remote_patterns([path])


@pytest.mark.parametrize("take", [transfers.local_names, transfers.remote_patterns])
def test_one_name_is_not_taken_for_the_names_of_its_letters(
    take: Callable[[str], list[str]],
) -> None:
    with pytest.raises(TypeError, match="as a list"):
        take("/etc")


def test_paths_there_begin_at_the_login_directory() -> None:
    assert transfers.remote_directory("~") == transfers.remote_directory("") == ""
    assert transfers.remote_directory("~//x") == "x"
    assert transfers.remote_patterns(["~"]) == ["."]
    assert transfers.remote_directory("\udcff") == "\xff"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("put a", ["a.txt"]),
        ("put l", ["lone"]),
        ("put m", ["master"]),
        ("put a.txt work", ["worker1", "worker2"]),
        ("put a.txt in", ["into/"]),
        ("get wo", ["worker1", "worker2"]),
        ("get a", []),
        ("get lone in", ["into/"]),
    ],
)
def test_completion(dust: Recorder, text: str, words: list[str]) -> None:
    dust.cluster.nodes()
    start, found = complete(text, dust.registry, dust.cluster)
    assert (start, found) == (text.rfind(" ") + 1, words)


def test_too_many_names_for_one_message() -> None:
    class Idle:
        def hire(self, pipes: list[Any]) -> None:
            raise AssertionError("no worker is needed")

    order = messages.Copy([], [], True, ["x" * 200] * 100_000, "", "", 1.0, [])
    copies = Copies(Idle(), [MASTER], lambda node: order, 4, None)  # type: ignore[arg-type]
    assert copies.done
    (result,) = copies.results.values()
    assert (result.state, result.error) == (
        "failed",
        "too many names at once: name their directory",
    )


def test_what_failed_is_told_by_reason() -> None:
    results = [Copied(MASTER, "failed", "", 1), Copied(WORKER1, "failed", "refused: no", 0)]
    results[0].failures = [("permission denied", 1, "a"), ("it is gone", 1200, "b")]
    results.append(Copied(WORKER2, "failed", "refused: no"))
    assert problems(results, lambda node: node.name) == [
        "master: a: permission denied",
        "master: 1,200 files (b first): it is gone",
        "worker[1-2]: refused: no",
    ]


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (999_600, "1.0 MB"), (2**31, "2.1 GB")],
)
def test_amounts(size: int, text: str) -> None:
    assert amount(size) == text
