from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dust.errors import TargetError
from dust.nodeset import MOST, count, expand, fold, grouped, numbers, spelled


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("w", "w"),
        ("w[1-3]", "w1 w2 w3"),
        ("worker[0-2]", "worker0 worker1 worker2"),
        ("n[01-03]", "n01 n02 n03"),
        ("n[8-010]", "n008 n009 n010"),
        ("n[099-101]", "n099 n100 n101"),
        ("n[0-10/2,15]", "n0 n2 n4 n6 n8 n10 n15"),
        ("r[1-2]n[1-2]", "r1n1 r1n2 r2n1 r2n2"),
        ("a[1,1,2],a2,b", "a1 a2 b"),
        (" a , b ,,", "a b"),
        ("[1-2]", "1 2"),
        ("a[1-2].x", "a1.x a2.x"),
        ("'a,b',c", "a,b c"),
        ("'n[1-2]'[3-4]\"'\"", "n[1-2]3' n[1-2]4'"),
        ("", ""),
    ],
)
def test_expand(pattern: str, names: str) -> None:
    assert expand(pattern) == names.split()


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ("w1 w2 w3", "w[1-3]"),
        ("w3 w1 w2 master w7", "w[1-3,7],master"),
        ("n01 n02 n10", "n[01-02,10]"),
        ("n1 n01", "n[1,01]"),
        ("n8 n9 n10", "n[8-10]"),
        ("n08 n09 n10", "n[08-10]"),
        ("r1n1 r1n2 r1n3 r2n1", "r1n[1-3],r2n1"),
        ("a b", "a,b"),
        ("w1 w1", "w1"),
        ("10.0.0.1 10.0.0.2", "10.0.0.[1-2]"),
        ("n٣ n٤", "n٣,n٤"),
        ("a,b c", "'a,b',c"),
        ("[::1] [::2]", "'[::1]','[::2]'"),
        ("a'b '", "'a'\"'\"'b',''\"'\"''"),
        ("", ""),
    ],
)
def test_fold(names: str, text: str) -> None:
    assert fold(names.split()) == text


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("w[", "no partner"),
        ("w'a", "no partner"),
        ("a,'b,c", "no partner"),
        ("w]", "no partner"),
        ("w[1-3", "no partner"),
        ("w[]", "no number"),
        ("w[a-b]", "no number"),
        ("w[1-]", "no number"),
        ("w[1,,2]", "no number"),
        ("w[3-1]", "backwards"),
        ("w[1-3/0]", "step"),
        ("w[1-9999999999999]", "digits"),
        ("w[1-2/" + "1" * 5000 + "]", "digits"),
        ("w[٣-٤]", "no number"),
        ("w[0-999999999]", "more than 100,000 names"),
        ("[1-9]" * 1000, "more than"),
        ("[1-100000]," * 1000, "more than"),
        ("a" * 100_000 + "[1-100000]", "too long"),
        ("[" * 10_000, "no partner"),
    ],
)
def test_what_cannot_be_expanded(pattern: str, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        expand(pattern)


def test_as_many_as_allowed() -> None:
    assert len(expand(f"n[1-{MOST}]")) == MOST


@settings(deadline=None)
@given(st.text() | st.text("w019[],-/ '\"", max_size=40))
def test_any_text_is_expanded_or_refused(text: str) -> None:
    for function in (expand, numbers):
        try:
            function(text)
        except TargetError as error:
            assert str(error)


@settings(deadline=None)
@given(
    first=st.integers(0, 2000),
    more=st.integers(0, 300),
    step=st.integers(1, 7),
    pad=st.integers(1, 6),
)
def test_padding_is_exact(first: int, more: int, step: int, pad: int) -> None:
    start = f"{first:0{pad}}"
    spans = numbers(f"{start}-{first + more}/{step}")
    width = pad if start != str(first) else 0
    written = [f"{number:0{width}}" for number in range(first, first + more + 1, step)]
    assert list(spelled(spans)) == written
    assert count(spans) == len(written)


loose = st.text() | st.text("n01[],'\" \n", max_size=8)
tight = st.from_regex(re.compile(r"(n|r1n|r2n|)0{0,2}[0-9]{1,3}(-a|\.b|)", re.A), fullmatch=True)


@settings(deadline=None)
@given(st.lists(loose | tight, max_size=30))
def test_expand_undoes_fold(names: list[str]) -> None:
    folded = fold(names)
    assert sorted(expand(folded)) == sorted(set(names))
    assert fold(expand(folded)) == fold(expand(fold(expand(folded))))


spans = st.builds(
    lambda a, b, pad: f"{a:0{pad}}-{a + b}", *[st.integers(0, 30)] * 2, st.integers(1, 3)
)
ranges = st.lists(spans, min_size=1, max_size=3).map(lambda items: f"[{','.join(items)}]")
patterns = st.lists(
    st.lists(st.sampled_from(["n", "r", "-"]) | ranges, min_size=1, max_size=3).map("".join),
    min_size=1,
    max_size=3,
).map(",".join)


@settings(deadline=None)
@given(patterns)
def test_fold_of_what_was_expanded_stands_for_the_same(pattern: str) -> None:
    try:
        names = expand(pattern)
    except TargetError:
        return  # three ranges in one name can be too many
    if len(names) <= 2000:
        assert sorted(expand(fold(names))) == sorted(names)


def test_folding_is_short_for_many() -> None:
    assert fold(f"n{number:04}" for number in range(10_000)) == "n[0000-9999]"


def test_what_is_said_of_many_is_said_once() -> None:
    said = [("n1", "lost"), ("a", "refused"), ("n2", "lost"), ("a", "lost"), ("n2", "lost")]
    assert grouped(said) == ["n[1-2],a: lost", "a: refused"]
    assert grouped([]) == []
