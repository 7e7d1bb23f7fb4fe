from __future__ import annotations

import re
from fnmatch import fnmatchcase

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dust.errors import TargetError
from dust.expr import Property, parse
from dust.glob import Glob, Part, bracket, parts, quoted
from dust.nodeset import expand


def matches(pattern: str, text: str) -> bool:
    expr = parse(f"name={pattern}")
    assert isinstance(expr, Property)
    return expr.glob.matcher()(text)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("w1", "w1", "w10 xw1 W1"),
        ("w*", "w w1 worker", "xw"),
        ("*a*b", "ab xaxbb", "ba abx"),
        ("w?", "w1 wx", "w w12"),
        ("w[ab]*", "wa wbx", "wc w"),
        ("w[!ab]", "wc", "wa wb"),
        ("w[^ab]", "wc", "wa wb"),
        ("w[a-c]", "wa wb wc", "wd w-"),
        ("w[c-a]", "", "wa wb wc"),
        ("w[!c-a]", "wa w-", "w"),
        ("w[a-]", "wa w-", "wb"),
        ("w[]a]", "w] wa", "wb"),
        ("w[x.^]", "w. w^ wx", "wa"),
        ("w[0-2]", "w0 w1 w2", "w3 w00 w01 w10"),
        ("w[3-15]", "w3 w9 w10 w15", "w1 w2 w16 w03"),
        ("n[01-20]", "n01 n09 n20", "n1 n21 n001"),
        ("n[0-10/2,15]", "n0 n8 n10 n15", "n1 n12"),
        ("r[1-2]n[1-4]", "r1n1 r2n4", "r3n1 r1n5 r1n"),
        ("*[1-3]", "a1 ab3 3", "a4 a"),
        ("n[1,10]0*", "n10 n100 n10x", "n1"),
        ("n[100,0]*00", "n000 n10000", "n1000 n100 n00"),
        ("*[100,0]*00", "1000", "100"),
        ("w[1-999999999]*", "w1 w12 w1x w60001", "w0 w"),
        ("w[000-999999999]", "w000 w007 w1000 w999999999", "w07 w0001 w1000000000"),
        ("a.c", "a.c", "abc"),
        ("a+$", "a+$", "aa"),
    ],
)
def test_what_matches(pattern: str, yes: str, no: str) -> None:
    assert [text for text in yes.split() if not matches(pattern, text)] == []
    assert [text for text in no.split() if matches(pattern, text)] == []


def test_newlines_and_other_characters_match_like_any() -> None:
    assert matches("a*b?", "a\n\r\x00b\n")
    assert matches("[!x]", "\n")


@settings(deadline=None)
@given(st.text("ab1*?", max_size=12), st.text("ab1", max_size=12))
def test_wildcards_mean_what_a_shell_means(pattern: str, text: str) -> None:
    glob = Glob(parts(Part(char) if char in "*?" else Part("text", char) for char in pattern))
    assert glob.matcher()(text) == fnmatchcase(text, pattern)


SLOW = {"*": ".*", "?": ".", "[0-10]": "(?:10|[0-9])", "[01-11]": "(?:0[1-9]|1[01])"}


def part(piece: str) -> Part:
    if piece in "*?":
        return Part(piece)
    return bracket(piece[1:-1]) if piece[0] == "[" else Part("text", piece)


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([*SLOW, "1", "0", "[ab]", "a"]), max_size=6),
    st.text("01a", max_size=8),
)
def test_ranges_agree_with_a_slow_matcher(pieces: list[str], text: str) -> None:
    regex = "".join(SLOW.get(piece, piece) for piece in pieces)
    glob = Glob(parts(map(part, pieces)))
    assert glob.matcher()(text) == bool(re.fullmatch(regex, text))


@settings(deadline=None)
@given(st.integers(0, 200), st.integers(0, 200), st.integers(1, 5), st.integers(1, 3))
def test_a_range_matches_what_it_expands_to(first: int, more: int, step: int, pad: int) -> None:
    pattern = f"n[{first:0{pad}}-{first + more}/{step}]"
    names = set(expand(pattern))
    candidates = {f"n{number:0{width}}" for number in range(420) for width in (1, 2, 3, 4)}
    assert {name for name in candidates | names if matches(pattern, name)} == names


@pytest.mark.parametrize(
    "pattern",
    [
        "*a" * 9 + "*b",
        "*a" * 2000 + "*b",
        "*?" * 19 + "*b",
        "*?" * 60 + "*b",
        "*[ab]" * 15 + "*c",
        "*[0-10]" * 9 + "*x",
        "[0-10]" * 10 + "x",
        "*[1-999999999]" * 5 + "*x",
        "[0-10]*" * 5 + "[1-100000]x",
    ],
)
@pytest.mark.parametrize("text", ["a" * 300, "10" * 150, "1" * 300, "aab10" * 60])
def test_nothing_is_tried_again_and_again(pattern: str, text: str) -> None:
    # A matcher that tried all ways would not end.
    assert not matches(pattern, text)


def test_too_long_a_list_of_huge_ranges() -> None:
    glob = Glob((Part("range", ",".join(["1-999999999"] * 101)),))
    with pytest.raises(TargetError, match="too many numbers"):
        glob.matcher()


@settings(deadline=None)
@given(st.text(), st.text())
def test_quoted_text_stands_for_itself_only(text: str, other: str) -> None:
    for written in (quoted(text), str(Glob(parts([Part("text", text)])))):
        expr = parse(f"name={written}")
        assert str(expr) == f"name={quoted(text)}"
    matcher = Glob(parts([Part("text", text)])).matcher()
    assert matcher(text)
    assert matcher(other) == (text == other)


def test_normal_form() -> None:
    text = [
        Part("text", "a"),
        Part("text", ""),
        Part("text", "b"),
        Part("*"),
        Part("*"),
        Part("?"),
        Part("?"),
    ]
    assert parts(text) == (Part("text", "ab"), Part("*"), Part("?"), Part("?"))
    assert Glob(parts([])).literal == ""
    assert Glob(parts(text)).literal is None
    assert Glob(parts([*text, Part("class", "xy")])).plain == "ab*??[xy]"
