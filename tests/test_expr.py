from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dust.errors import TargetError
from dust.expr import (
    RUN_WORDS,
    SESSION_WORDS,
    All,
    Expr,
    Group,
    Name,
    Numbers,
    Pair,
    Property,
    Word,
    format,
    parse,
    split_target,
)
from dust.glob import Glob, Part, bracket, parts
from dust.node import ALIASES

SPECIAL = " \t,&!()'\"*?[]\\=%@~:-/0129abw"


def text(value: str) -> Glob:
    return Glob(parts([Part("text", value)]))


def starting(value: str) -> Glob:
    return Glob((Part("text", value), Part("*")))


@pytest.mark.parametrize(
    ("target", "expr"),
    [
        ("", All()),
        ("  ", All()),
        ("*", All()),
        ("**", All()),
        ("worker1", Name(text("worker1"))),
        (" worker1 ", Name(text("worker1"))),
        ("w*", Name(starting("w"))),
        (r"worker\*", Name(starting("worker"))),
        (r"w\[1-2]", Name(Glob((Part("text", "w"), Part("range", "1-2"))))),
        (r"a\b", Name(text(r"a\b"))),
        ("'w*'", Name(text("w*"))),
        ("w'*'\"'\"", Name(text("w*'"))),
        ("''", Name(text(""))),
        ("w[ab]?", Name(Glob((Part("text", "w"), Part("class", "ab"), Part("?"))))),
        ("3", Numbers(3, 3)),
        ("2-5", Numbers(2, 5)),
        ("'3'", Name(text("3"))),
        ("1234567890", Name(text("1234567890"))),
        ("state=stop*", Property("state", starting("stop"))),
        ("State=x", Property("state", text("x"))),
        ("ext_ip=1", Property("ip", text("1"))),
        ("cluster=", Property("cluster", text(""))),
        ("tags=env=dev", Property("tags", text("env=dev"))),
        ("tags='Name:my node'", Property("tags", text("Name:my node"))),
        ("'a'=b", Name(text("a=b"))),
        ("1=b", Name(text("1=b"))),
        ("%ready", Word("ready")),
        ("@rack1", Group("rack1")),
        ("@slurm:compute", Group("slurm:compute")),
        ("!%ok", Pair("!", All(), Word("ok"))),
        ("1!2&3,4", Pair(",", Pair("&", Pair("!", Numbers(1, 1), Numbers(2, 2)), Numbers(3, 3)),
                         Numbers(4, 4))),
        ("1&(2,3)", Pair("&", Numbers(1, 1), Pair(",", Numbers(2, 2), Numbers(3, 3)))),
        ("1&!2", Pair("!", Numbers(1, 1), Numbers(2, 2))),
        ("1,(!2)", Pair(",", Numbers(1, 1), Pair("!", All(), Numbers(2, 2)))),
        ("1,*!2", Pair(",", Numbers(1, 1), Pair("!", All(), Numbers(2, 2)))),
    ],
)  # fmt: skip
def test_parse(target: str, expr: Expr) -> None:
    assert parse(target) == expr


@pytest.mark.parametrize(
    ("target", "at", "message"),
    [
        ("w1,", 3, "missing"),
        (",w1", 0, "missing"),
        ("a,,b", 2, "missing"),
        ("a&", 2, "missing"),
        ("()", 1, "missing"),
        ("(a", 0, "parenthesis has no partner"),
        (" (a,(b)", 1, "parenthesis has no partner"),
        ("a)", 1, "closing parenthesis"),
        ("a(b)", 1, "one of , & ! is missing"),
        ("(a)b", 3, "one of , & ! is missing"),
        ("(a(b))", 2, "one of , & ! is missing"),
        ("a b", 1, "space"),
        ("w['a]", 2, "cannot stand in brackets"),
        ("w[a b]", 3, "cannot stand in brackets"),
        ("a,'b", 2, "quote"),
        ("w[1-3", 1, "bracket has no partner"),
        ("w[]", 1, "bracket has no partner"),
        ("a,w[3-1]", 3, "backwards"),
        ("a,5-2", 2, "backwards"),
        ("a,%redy", 2, "did you mean %ready"),
        ("%zz", 0, "there are %ready"),
        ("a,@", 2, "node group"),
        ("@a*", 0, "node group"),
        ("(" * 10_000, 50, "too many parentheses"),
        ("a," * 10_000 + "a", 20_000, "too many parts"),
        ("a,b" + "[1-9]" * 11, 2, "too many ranges"),
        ("w*,!w3", 2, "takes nothing away; write w*!w3"),
        ("a,w*,!w3,b", 4, "takes nothing away; write (a,w*)!w3"),
        ("c&(w*,!w3)", 5, "takes nothing away; write w*!w3"),
        ("!a,!b", 2, "write !a!b"),
        ("!a,b&c,d", 0, "write !(a,b&c,d) to leave out all of these"),
    ],
)
def test_what_is_malformed_is_said_with_its_position(target: str, at: int, message: str) -> None:
    with pytest.raises(TargetError, match=re.escape(message)) as caught:
        parse(target)
    assert caught.value.position == at
    assert f"position {at + 1}" in str(caught.value)


@pytest.mark.parametrize(
    ("line", "target", "rest"),
    [
        ("", "", ""),
        (" pwd", "", "pwd"),
        ("w* ls  -l", "w*", "ls  -l"),
        ("worker2", "worker2", ""),
        ("tags='Name:my node' ls", "tags='Name:my node'", "ls"),
        ('"a b"c d', '"a b"c', "d"),
        ("a\tb", "a", "b"),
        (r"worker\* uptime", r"worker\*", "uptime"),
        ("work* Y", "work*", "Y"),
    ],
)
def test_split_target(line: str, target: str, rest: str) -> None:
    assert split_target(line) == (target, rest)


def test_split_target_names_the_quote_without_partner() -> None:
    with pytest.raises(TargetError) as caught:
        split_target("tags='my node ls")
    assert caught.value.position == 5


# Expressions as parse makes them.
brackets = st.sampled_from(["1-3", "01-20", "0-10/2,15", "ab", "!a-c", "^]x", "]a", "a,&("]).map(
    bracket
)
pieces = (
    st.builds(Part, st.just("text"), st.text() | st.text(SPECIAL))
    | st.sampled_from([Part("*"), Part("?")])
    | brackets
)
globs = st.lists(pieces, max_size=6).map(parts).map(Glob)
keys = st.from_regex(re.compile(r"[a-z_][a-z0-9_.-]*", re.A), fullmatch=True).map(
    lambda key: ALIASES.get(key, key)
)
atoms: st.SearchStrategy[Expr] = st.one_of(
    globs.filter(lambda glob: glob.parts != (Part("*"),)).map(Name),
    st.builds(lambda first, more: Numbers(first, first + more), *[st.integers(0, 10**8)] * 2),
    st.builds(Property, keys, globs),
    st.sampled_from(SESSION_WORDS + RUN_WORDS).map(Word),
    st.sampled_from(["rack1", "slurm:compute", "a.b_c-d"]).map(Group),
    st.just(All()),
)
exprs = st.recursive(
    atoms, lambda below: st.builds(Pair, st.sampled_from(",&!"), below, below), max_leaves=20
)


@settings(deadline=None)
@given(exprs)
def test_what_is_formatted_is_parsed_as_the_same(expr: Expr) -> None:
    assert parse(format(expr)) == expr


@settings(deadline=None)
@given(exprs, st.text())
def test_what_is_formatted_is_one_target_of_a_line(expr: Expr, rest: str) -> None:
    assert split_target(f"{format(expr)} {rest}") == (format(expr), rest)


@settings(deadline=None)
@given(st.text() | st.text(SPECIAL, max_size=30))
def test_any_text_is_understood_or_refused_with_its_place(target: str) -> None:
    try:
        expr = parse(target)
    except TargetError as error:
        assert error.position is not None and 0 <= error.position <= len(target)
    else:
        assert parse(format(expr)) == expr


@settings(deadline=None)
@given(st.text() | st.text(SPECIAL, max_size=30))
def test_any_line_is_split_or_refused(line: str) -> None:
    try:
        target, rest = split_target(line)
    except TargetError as error:
        assert error.position is not None and line[error.position] in "'\""
    else:
        assert line.startswith(target) and line.endswith(rest)
        assert len(line) - len(target) - len(rest) == (1 if len(target) < len(line) else 0)


LONG = "' '' 'a' a = \\ \\* * ? [ ] [a] [1] ( ) ! & , a, !a a& % @ 1"


@pytest.mark.parametrize("piece", LONG.split())
def test_very_long_targets(piece: str) -> None:
    target = piece * 20_000
    try:
        expr = parse(target)
    except TargetError:
        return
    assert format(parse(format(expr))) == format(expr)
