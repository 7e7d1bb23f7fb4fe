import shlex
import shutil
import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dust.errors import UsageError
from dust.lines import (
    Action,
    Local,
    Nothing,
    Raw,
    Remote,
    System,
    expand,
    parse,
    unfinished,
    unquote,
    words,
)

ACTIONS: list[tuple[str, Action]] = [
    ("", Nothing()),
    (" \t\n", Nothing()),
    ("# a comment", Nothing()),
    ("#!/usr/bin/dust\n  # more\n", Nothing()),
    ("# first\nshow", Local("show", "show")),
    ("@worker* uptime", Remote("worker*", "uptime")),
    ("@ uptime", Remote("", "uptime")),
    ("  @w* Y", Remote("w*", "Y")),
    ("@tags='Name:my node' ls | wc", Remote("tags='Name:my node'", "ls | wc")),
    ("@w* cat <<EOF\n  a\nEOF", Remote("w*", "cat <<EOF\n  a\nEOF")),
    ("@w* echo a \\", Remote("w*", "echo a \\")),
    ("@@rack1 date", Remote("@rack1", "date")),
    ("@worker2", Raw("worker2")),
    ("@worker2  ", Raw("worker2")),
    ("@", Raw("")),
    ("!ls -l", System("ls -l")),
    ("! ls", System("ls")),
    ("!", System("")),
    ("?", Local("help", "help")),
    ("? stop", Local("help", "help  stop")),
    ("?stop", Local("help", "help stop")),
    ("  show -v  ", Local("show", "show -v")),
    ("for i in 1 2\ndo echo $i; done", Local("for", "for i in 1 2\ndo echo $i; done")),
]


@pytest.mark.parametrize(("text", "action"), ACTIONS)
def test_parse(text: str, action: Action) -> None:
    assert parse(text) == action


def test_the_words_of_a_command_are_raw() -> None:
    action = parse("tag 'my node' a=\"b c\" d\\ e  # why")
    assert isinstance(action, Local)
    assert action.words == ("'my node'", 'a="b c"', "d\\ e")
    help_ = parse("?")
    assert isinstance(help_, Local)
    assert help_.words == ()


def test_an_open_quote_is_an_error_only_where_words_are_asked_for() -> None:
    action = parse("echo $'it\\'s'")
    assert isinstance(action, Local)
    assert action.text == "echo $'it\\'s'"
    with pytest.raises(UsageError, match="no closing '"):
        _ = action.words


WORDS = [
    ("", []),
    (" a  b\tc\nd ", ["a", "b", "c", "d"]),
    ("a'b c'\"d e\"f", ["a'b c'\"d e\"f"]),
    ("'' \"\"", ["''", '""']),
    ('"a \\" b" \'\\\'', ['"a \\" b"', "'\\'"]),
    ("stop   # no target means all", ["stop"]),
    ("a#b '#' \\# #c", ["a#b", "'#'", "\\#"]),
    ("a # b\nc", ["a", "c"]),
    ("a \\\n b", ["a", "b"]),
]


@pytest.mark.parametrize(("text", "expected"), WORDS)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize("text", ["a 'b", 'a "b', 'a"\\"', "a b\\", "'a'\"b"])
def test_words_and_unquote_refuse_what_is_open(text: str) -> None:
    with pytest.raises(UsageError, match="no closing|nothing follows"):
        words(text)
    with pytest.raises(UsageError, match="no closing|nothing follows"):
        unquote(text)


@pytest.mark.parametrize(
    ("word", "plain"),
    [
        ("a", "a"),
        ("''", ""),
        ("'a b'c", "a bc"),
        ('"a \\" \\\\ \\$x \\n"', 'a " \\ $x \\n'),
        ("a\\ b\\'", "a b'"),
        ("a\\\nb\"c\\\nd\"'e\\\nf'", "abcde\\\nf"),
    ],
)
def test_unquote(word: str, plain: str) -> None:
    assert unquote(word) == plain


@given(st.text(alphabet="ab '\"\\=*", max_size=20))
def test_words_split_as_a_shell_does(text: str) -> None:
    try:
        expected = shlex.split(text)
    except ValueError:
        with pytest.raises(UsageError):
            words(text)
    else:
        assert [unquote(word) for word in words(text)] == expected


@given(st.lists(st.text(max_size=8)))
def test_what_is_quoted_comes_back(values: list[str]) -> None:
    line = " ".join(map(shlex.quote, values))
    assert [unquote(word) for word in words(line)] == values


COMPLETE = [
    "",
    "echo hi",
    "# it's fine",
    "echo a # b 'c",
    "echo $# 'a'",
    r"echo \'",
    "echo 'a'\\''b'",
    'echo "it\'s"',
    "echo '\"'",
    r"echo $'it\'s'",
    "cat <<EOF\nit's \"\nEOF",
    "cat <<'EOF'\n$(\nEOF",
    "cat <<-EOF\n\thi\n\tEOF",
    'cat <<E"O"F\nx\nEOF',
    "cat <<A <<B\na\nA\nb\nB",
    "cat <<EOF |\nx\nEOF\nwc",
    "while a; do cat <<E; done\nx\nE",
    "if cat <<E\nx\nE\nthen b; fi",
    "cat <<< word",
    "((1<<2))",
    "echo $((1<<2)) $(((1)+2))",
    "case x in a) ls;; (b|c) ls;; esac",
    "case x in esac",
    'echo "$(case x in a) b;; esac)"',
    "echo if then do {",
    "echo {a,b} }",
    "[[ a && b ]] && ls",
    "[[ $x =~ ^(a|b)$ ]]",
    "[[ a &&\nb || c ]]",
    "if a; then b; elif c; then d; else e; fi | wc",
    "if (a) then { b; } fi 2>&1",
    "for i in 1 2; do echo; done",
    "for i\nin 1 2\ndo echo; done",
    "for i do echo; done",
    "for ((i=0;i<3;i++)); do echo; done",
    "select x in a; do b; done",
    "until a; do b; done &",
    "f() { ls; }",
    "f()\n( ls )",
    "function f { ls; }",
    "a=(1 2 # it's\n3)",
    "diff <(a) <(b)",
    "! ls",
    "time ls",
    "a &",
    "a \\\nb",
    "echo `a \\`b\\` c`",
    'echo "${x:-$(ls "a")}"',
    "ls &> f; ls |& wc",
]

OPEN = [
    ("echo 'it", "quote"),
    ("echo $'it\\'", "quote"),
    ('echo "a', "dquote"),
    ('echo "a\\"', "dquote"),
    ("echo `a", "backquote"),
    ("echo $(a", "cmdsubst"),
    ('echo "$(a "b"', "cmdsubst"),
    ("echo ${a", "param"),
    ("echo $((1 + (2)", "arith"),
    ("((1", "arith"),
    ("diff <(a", "procsub"),
    ("cat <<EOF", "heredoc EOF"),
    ("cat <<EOF\nhi\n EOF", "heredoc EOF"),
    ("cat <<'E F'\nhi", "heredoc E F"),
    ("cat <<-EOF\n  EOF", "heredoc EOF"),
    ("cat <<A <<B\na\nA\nb", "heredoc B"),
    ("cat <<EOF |", "heredoc EOF"),
    ("cat <<EOF\nfoo\\\nEOF", "heredoc EOF"),
    ("cat <<EOF |\nx\nEOF", "pipe"),
    ("while a; do cat <<E\nx\nE", "while"),
    ("a |", "pipe"),
    ("a |&", "pipe"),
    ("a && # why", "and"),
    ("a ||\n", "or"),
    ("[[ a &&", "and"),
    ("if [[ -n a ||\n # why", "or"),
    ("a \\", "backslash"),
    ("(a; b", "subshell"),
    ("{ a;", "brace"),
    ("if a", "if"),
    ("if a; then b", "if"),
    ("if a; then b; else", "if"),
    ("if a; then while b", "while"),
    ("for i in 1 2", "for"),
    ("for i in 1 2; do", "for"),
    ("until a; do b", "until"),
    ("select x in a; do", "select"),
    ("case x", "case"),
    ("case x in a) b;;", "case"),
    ("f()", "function"),
    ("f() {", "brace"),
    ("function f", "function"),
    ("a=(1 2", "array"),
]

# Open for bash alone, or for a shell that reads a file: here nothing is claimed.
UNSURE = ["fi", "a | | b", "if; then", "((a); b", 'echo "${x:-it\'s}"', "x <<", "begin; ls", ")"]
OTHER_SHELLS = ["if true; ls; end", "for x in a b; ls; end", "while (1)\nls\nend", "() { ls"]


@pytest.mark.parametrize("text", COMPLETE + UNSURE + OTHER_SHELLS)
def test_nothing_is_waited_for(text: str) -> None:
    assert unfinished(text) is None


@pytest.mark.parametrize(("text", "name"), OPEN)
def test_what_is_waited_for(text: str, name: str) -> None:
    assert unfinished(text) == name


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is what it is compared with")
@pytest.mark.parametrize("text", [*COMPLETE, *(text for text, _ in OPEN)])
def test_bash_agrees(text: str) -> None:
    if text.endswith("\\"):
        text += "\n"  # at the end of its input bash takes a backslash for itself
    found = subprocess.run(
        ["bash", "--norc", "-n"],
        input=f"{text}\n".encode(),
        stderr=subprocess.PIPE,
        env={"PATH": "/nonexistent", "LC_ALL": "C"},
        executable=shutil.which("bash"),
    )
    waiting = [b"unexpected EOF", b"unexpected end of file", b"delimited by end-of-file"]
    waiting.append(b"unexpected token `EOF' in conditional command")
    assert any(each in found.stderr for each in waiting) == (unfinished(text) is not None)


PIECES = (
    ["if", "then", "fi", "for", "in", "do", "done", "while", "case", "esac", "{", "}", "(", ")"]
    + ["((", "))", "[[", "]]", ";", ";;", "&", "&&", "|", "||", "\n", " ", "<<E", "\nE\n", "<<-'E'"]
    + ["'", '"', "$(", "${", "$((", "`", "#", "!", "\\", "a", "x=(", "f()", "$'", "<", ">", "<("]
)


@given(st.lists(st.sampled_from(PIECES)).map(" ".join) | st.text())
@example("\x0b\x00\xa0'")
def test_unfinished_never_raises(text: str) -> None:
    assert unfinished(text) != ""


@pytest.mark.parametrize("piece", ["$(", "((", "{ ", "if ", "<(", '"${', "a=(", "! ", "f() "])
def test_unfinished_bears_deep_nesting(piece: str) -> None:
    assert unfinished(piece * 20000) in (None, "arith")


@pytest.mark.parametrize("piece", ["'a' ", '"', "a; ", "<<E ", "\\\n", "{a} ", "$((1)) ", "a|\n"])
def test_unfinished_bears_long_text(piece: str) -> None:
    unfinished(piece * 20000)


NODE = {"name": "web1", "index": "3", "rank": "0", "count": "4", "ip": "10.0.0.1", "cluster": "a b"}


@pytest.mark.parametrize(
    ("line", "filled"),
    [
        ("echo {name} {ip}:{rank}/{count}", "echo web1 10.0.0.1:0/4"),
        ("echo {id}", "echo {id}"),
        ("awk '{print $1}' {a,b} {}", "awk '{print $1}' {a,b} {}"),
        ("echo ${name} ${count}", "echo ${name} ${count}"),
        ("echo {{name}", "echo {name}"),
        ("echo {{{name}}}", "echo {web1}}"),
        ("echo '{name}'", "echo 'web1'"),
        ("mkdir {cluster}", "mkdir 'a b'"),
        ('echo "$(ls {cluster})"', "echo \"$(ls 'a b')\""),
        ("if true; then ls /{cluster}", "if true; then ls /'a b'"),
    ],
)
def test_expand(line: str, filled: str) -> None:
    assert expand(line, NODE) == filled


def test_an_empty_value_stays_one_word() -> None:
    assert expand('test {cluster} = "{cluster}"', {"cluster": ""}) == "test '' = \"\""


@pytest.mark.parametrize(
    "line",
    ["echo '{cluster}'", 'echo "{cluster}"', "cat <<E\n{cluster}\nE", "echo `a {cluster}`"]
    + ["echo ${x:-{cluster}}", "a | | '{cluster}'", "echo \\{cluster}"],
)
def test_a_value_that_needs_quotes_is_refused_inside_of_quotes(line: str) -> None:
    with pytest.raises(UsageError, match="outside of quotes"):
        expand(line, NODE)


@pytest.mark.parametrize("value", ["-rf", "a\nb", "a\x1bb"])
def test_values_that_no_quoting_makes_safe(value: str) -> None:
    with pytest.raises(UsageError, match="not safe"):
        expand("ls # {name}", {"name": value})


@settings(max_examples=30, deadline=None)
@given(st.text(alphabet="ab '\"\\$`;&|<>(){}~*#!=é", min_size=1))
def test_a_filled_value_is_one_word_to_a_shell(value: str) -> None:
    line = expand("printf %s {name}", {"name": value})
    assert subprocess.check_output(["/bin/sh", "-c", line]).decode() == value
