from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dust.framing import (
    BUSY,
    READY,
    STARTING,
    Continuation,
    Event,
    Framing,
    Greeting,
    Prompt,
    Text,
    WentOn,
)

NONCE = "0123456789abcdef"
DIRECTORY = Path(__file__).with_name("transcripts")
#: What each recorded shell said when it began, and its status of a command that does not exist.
SHELLS = {
    "bash": ("bash", "bash", 127),
    "dash": ("dash", "dash", 127),
    "ash": ("ash", "ash", 127),
    "zsh": ("zsh", "zsh", 127),
    "mksh": ("mksh", "mksh", 127),
    "fish": ("fish", "bash", 127),
    "tcsh": ("tcsh", "tcsh", 1),
}


def mark(kind: str = "P", status: str = "0", directory: str = "/", nonce: str = NONCE) -> bytes:
    where = f";{directory}" if kind == "P" else ""
    return f"\x1b]7770;{nonce};{kind};{status}{where}\x07".encode()


def ready() -> Framing:
    framing = Framing(NONCE)
    assert list(framing.feed(mark())) == [Prompt(0, b"/", True)]
    return framing


def merged(events: Iterable[Event]) -> list[Event]:
    """Events with adjacent text as one."""
    result: list[Event] = []
    for event in events:
        if isinstance(event, Text) and result and isinstance(result[-1], Text):
            before = result.pop()
            assert isinstance(before, Text)
            event = Text(before.data + event.data)
        result.append(event)
    return result


def transcript(shell: str) -> list[tuple[str, bytes]]:
    rows = json.loads((DIRECTORY / f"{shell}.json").read_text())
    return [(kind, data.encode("latin-1")) for kind, data in rows]


def replay(steps: list[tuple[str, bytes]], cut: int | None = None, size: int = 0) -> list[Event]:
    """The events of a transcript: its output as it is, cut in two at `cut`, or in pieces."""
    framing = Framing(NONCE)
    events: list[Event] = []
    passed = 0
    for kind, data in steps:
        if kind == "typed":
            assert framing.submit(data) == data + b"\n"
        elif kind == "interrupted":
            framing.typed()
        elif kind == "settled":
            settled = framing.settle()
            assert settled
            events.append(settled)
        else:
            pieces = [data]
            if cut is not None and 0 <= cut - passed <= len(data):
                pieces = [data[: cut - passed], data[cut - passed :]]
            elif size:
                pieces = [data[at : at + size] for at in range(0, len(data), size)]
            for piece in pieces:
                events += framing.feed(piece)
            passed += len(data)
    if held := framing.flush():
        events.append(Text(held))
    return merged(events)


# --- what real shells print


@pytest.mark.parametrize("shell", SHELLS)
def test_recorded_shells_end_every_line_with_its_status(shell: str) -> None:
    events = replay(transcript(shell))
    greeting = next(event for event in events if isinstance(event, Greeting))
    login, began, missing = SHELLS[shell]
    assert (greeting.login.split("/")[-1], greeting.shell.split("/")[-1]) == (login, began)
    assert greeting.system == "Linux"
    ends = [event for event in events if isinstance(event, Prompt) and event.final]
    interrupted = 1 if shell == "tcsh" else 130
    statuses = [0, 0, 1, 0, missing, 0, 0, 0, interrupted]
    statuses += [0, 0, 0, 0, 0] if shell != "tcsh" else [0, 0, 0, 3]  # it prompts once more
    assert [end.status for end in ends] == statuses
    assert ends[0].directory.endswith(b"/home")
    assert {end.directory for end in ends[3:]} == {b"/usr/lib"}


@pytest.mark.parametrize("shell", SHELLS)
def test_recorded_shells_print_what_their_commands_print(shell: str) -> None:
    events = replay(transcript(shell))
    start = next(i for i, event in enumerate(events) if isinstance(event, Prompt)) + 1
    said = b"".join(event.data for event in events[start:] if isinstance(event, Text))
    said = said.replace(b"\r", b"")
    assert said.startswith(b"hi\n")
    assert b"foo\x1b[31mred\x1b[m\x1b]0;title\x07\nsure? Y\nready\n\n" in said
    assert b"\x1b]7770" not in said
    if shell != "tcsh":
        assert b"one\n\ntwo\nopen\nshut\n" in said


@pytest.mark.parametrize("shell", sorted(set(SHELLS) - {"tcsh"}))
def test_recorded_shells_say_that_a_line_is_unfinished(shell: str) -> None:
    events = [event for event in replay(transcript(shell)) if not isinstance(event, Text)]
    continuations = [event.final for event in events if isinstance(event, Continuation)]
    # four lines of a heredoc were on their way, nothing was after the open quote
    assert continuations == [False, False, False, False, True]


@pytest.mark.parametrize("shell", SHELLS)
def test_recorded_shells_mean_the_same_at_every_split(shell: str) -> None:
    steps = transcript(shell)
    whole = replay(steps)
    size = sum(len(data) for kind, data in steps if kind == "printed")
    for cut in range(size + 1):
        assert replay(steps, cut) == whole
    for piece in (1, 2, 7):
        assert replay(steps, size=piece) == whole


# --- properties

FRAGMENTS = [
    mark(), mark("C", "130"), mark(status="$?"), mark("C", "-"), mark(nonce="f" * 16),
    mark(directory="/a;b\xff"),
    b"\x1b]7770;" + NONCE.encode() + b";H;/bin/sh;/bin/sh;Linux\x07",
    b"\x1b]7770;" + NONCE.encode() + b";S\x07",
    b"\x1b", b"\x1b]", b"\x1b]777", b"\x1b]7770;", b"\x1b]7770;" + NONCE.encode() + b";P;",
    b"\x07", b"\n", b"text", b"\x00\xff", b"\x1b[31m", b"7770",
]  # fmt: skip
streams = st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=8), max_size=40).map(b"".join)


def fed(data: bytes, cuts: Iterable[int]) -> tuple[list[Event], Framing]:
    framing = Framing(NONCE)
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    events: list[Event] = []
    for start, end in zip(places, places[1:], strict=False):
        events += framing.feed(data[start:end])
    if held := framing.flush():
        events.append(Text(held))
    return merged(events), framing


@given(streams, st.lists(st.integers(0, 400), max_size=12))
def test_any_bytes_mean_the_same_however_they_are_cut(data: bytes, cuts: list[int]) -> None:
    whole, one = fed(data, [])
    pieces, other = fed(data, cuts)
    assert pieces == whole
    assert (other.state, other.directory, other.unsettled) == (
        one.state,
        one.directory,
        one.unsettled,
    )


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=12))
def test_what_is_no_mark_is_text_to_the_byte(data: bytes, cuts: list[int]) -> None:
    data = data.replace(NONCE.encode(), b"")
    events, framing = fed(data, cuts)
    assert b"".join(event.data for event in events if isinstance(event, Text)) == data
    assert all(isinstance(event, Text) for event in events)
    assert framing.state == STARTING


@given(st.lists(st.sampled_from(["submit", "typed", "settle", "P", "C", "text"]), max_size=40))
def test_after_any_history_a_prompt_and_quiet_make_it_ready(history: list[str]) -> None:
    framing = ready()
    submitted = 0
    events: list[Event | None] = []
    for step in history:
        if step == "submit":
            framing.submit(b"line")
            submitted += 1
        elif step == "typed":
            framing.typed()
        elif step == "settle":
            events.append(framing.settle())
        else:
            events += framing.feed(b"text" if step == "text" else mark(step))
        assert framing.state == BUSY or framing.unsettled is None
    events += framing.feed(mark(status="5"))
    last = events[-1]
    assert isinstance(last, Prompt)
    settled = framing.settle()
    assert last.final == (settled is None)
    assert framing.state == READY
    prompts = [e.prompt if isinstance(e, WentOn) else e for e in (*events, settled)]
    assert sum(e.ended for e in prompts if isinstance(e, Prompt)) == submitted
    framing.submit(b"line")
    assert list(framing.feed(mark(status="6"))) == [Prompt(6, b"/", True, 1)]


# --- rules


def test_nothing_of_what_comes_before_the_prompt_makes_it_ready() -> None:
    framing = Framing(NONCE)
    greeting = b"\x1b]7770;" + NONCE.encode() + b";H;/usr/bin/fish;/bin/bash;Darwin\x07"
    events = list(framing.feed(b"motd\r\n" + greeting + b"$ "))
    assert events == [
        Text(b"motd\r\n"),
        Greeting("/usr/bin/fish", "/bin/bash", "Darwin"),
        Text(b"$ "),
    ]
    assert framing.state == STARTING


def test_a_line_is_a_command_when_ready_and_input_when_busy() -> None:
    framing = ready()
    assert framing.submit(b"apt install x") == b"apt install x\n"
    assert framing.state == BUSY
    assert list(framing.feed(b"Continue? [Y/n] ")) == [Text(b"Continue? [Y/n] ")]
    assert framing.submit(b"Y") == b"Y\n"
    # Two lines were typed and one prompt came: the second may still be at the shell's.
    assert list(framing.feed(b"done\r\n" + mark(status="7"))) == [
        Text(b"done\r\n"),
        Prompt(7, b"/", False),
    ]
    assert framing.state == BUSY
    assert framing.settle() == Prompt(7, b"/", True, 2)
    assert framing.state == READY
    assert framing.settle() is None


def test_a_line_typed_ahead_is_run_by_the_shell() -> None:
    framing = ready()
    framing.submit(b"sleep 1")
    framing.submit(b"hostname")
    assert list(framing.feed(mark())) == [Prompt(0, b"/", False)]
    assert framing.unsettled
    # An empty line is what a terminal may print by itself, and a line editor asks where its
    # cursor is; only text means that it went on.
    assert list(framing.feed(b"\r\n\x1b[6n")) == [Text(b"\r\n\x1b[6n")]
    assert framing.unsettled
    assert list(framing.feed(b"node1\r\n")) == [
        WentOn(Prompt(0, b"/", False, 1)),
        Text(b"node1\r\n"),
    ]
    assert framing.unsettled is None
    assert framing.settle() is None
    assert list(framing.feed(mark(status="3"))) == [Prompt(3, b"/", True, 1)]
    assert framing.state == READY


def test_lines_sent_as_one_end_with_the_last_prompt() -> None:
    framing = ready()
    assert framing.submit(b"true\nfalse\n(exit 9)") == b"true\nfalse\n(exit 9)\n"
    events = list(framing.feed(mark() + mark(status="1") + mark(status="9")))
    assert events == [Prompt(0, b"/", False), Prompt(1, b"/", False), Prompt(9, b"/", True, 1)]


def test_a_continuation_counts_as_a_prompt_for_its_line() -> None:
    framing = ready()
    framing.submit(b"cat <<EOF\none\nEOF")
    assert list(framing.feed(mark("C") + mark("C"))) == [Continuation(False), Continuation(False)]
    assert list(framing.feed(b"one\r\n" + mark())) == [Text(b"one\r\n"), Prompt(0, b"/", True, 1)]


def test_an_open_quote_waits_for_the_rest() -> None:
    framing = ready()
    framing.submit(b"echo 'a")
    assert list(framing.feed(mark("C"))) == [Continuation(True)]
    assert framing.state == BUSY
    framing.submit(b"b'")
    assert list(framing.feed(b"a\r\nb\r\n" + mark()))[-1] == Prompt(0, b"/", True, 2)


def test_an_interrupt_throws_away_what_was_typed_ahead() -> None:
    framing = ready()
    framing.submit(b"sleep 60")
    framing.submit(b"one\ntwo")
    framing.typed()
    assert list(framing.feed(b"^C" + mark(status="130"))) == [
        Text(b"^C"),
        Prompt(130, b"/", True, 2),
    ]


def test_lines_typed_ahead_end_each_with_the_prompt_that_follows() -> None:
    framing = ready()
    for line in (b"sleep 1", b"false\ntrue", b"(exit 9)"):
        framing.submit(line)
    assert list(framing.feed(mark(status="3"))) == [Prompt(3, b"/", False)]
    assert list(framing.feed(mark(status="1"))) == [
        WentOn(Prompt(3, b"/", False, 1)),
        Prompt(1, b"/", False),  # of two lines that were sent as one
    ]
    assert list(framing.feed(mark())) == [Prompt(0, b"/", False)]
    framing.submit(b"(exit 8)")  # within the silence that would settle it
    assert framing.settle() is None
    assert list(framing.feed(mark(status="9"))) == [
        WentOn(Prompt(0, b"/", False, 1)),
        Prompt(9, b"/", False),
    ]
    assert list(framing.feed(mark(status="8")))[-1] == Prompt(8, b"/", True, 1)


def test_what_was_thrown_away_ends_with_the_interrupt_and_the_next_line_does_not() -> None:
    framing = ready()
    framing.submit(b"yes")
    framing.submit(b"thrown away")
    framing.typed()
    framing.submit(b"pwd")  # before the prompt after the interrupt has come
    assert list(framing.feed(mark(status="130"))) == [Prompt(130, b"/", False)]
    assert list(framing.feed(b"/\r\n" + mark())) == [
        WentOn(Prompt(130, b"/", False, 2)),
        Text(b"/\r\n"),
        Prompt(0, b"/", True, 1),
    ]


def test_a_prompt_that_nobody_asked_for_changes_nothing() -> None:
    framing = ready()
    framing.typed()
    assert list(framing.feed(mark(status="130"))) == [Prompt(130, b"/", True)]
    framing.submit(b"true")
    assert list(framing.feed(mark()))[-1] == Prompt(0, b"/", True, 1)


def test_the_marks_of_another_session_are_text() -> None:
    framing = ready()
    framing.submit(b"cat log")
    other = mark(nonce="fedcba9876543210") + mark("C", nonce="fedcba9876543210")
    assert merged(framing.feed(other)) == [Text(other)]
    assert framing.state == BUSY


@pytest.mark.parametrize(
    "data",
    [
        mark(status=""),
        mark(status="x"),
        mark(status="123456"),
        mark(status="-1"),
        mark("Q"),
        mark(status="$?"),
        mark("C", "$?"),
        mark()[:-1] + b"\x1b\\",
        b"\x1b]7770;" + NONCE.encode() + b";P\x07",
        b"\x1b]7770;" + NONCE.encode() + b";H;only;two\x07",
        b"\x1b]7771;" + NONCE.encode() + b";P;0;/\x07",
        mark()[1:],
    ],
)
def test_what_only_resembles_a_mark_is_text(data: bytes) -> None:
    framing = ready()
    framing.submit(b"x")
    assert merged([*framing.feed(data), Text(framing.flush())]) == [Text(data)]
    assert framing.state == BUSY


def test_a_shell_that_does_not_expand_its_prompt_has_no_status() -> None:
    framing = Framing(NONCE)
    raw = mark(status="$?", directory="$PWD")
    assert list(framing.feed(raw)) == [Prompt(None, b"", True)]
    framing.submit(b"false")
    assert list(framing.feed(raw)) == [Prompt(None, b"", True, 1)]
    framing.submit(b"cat <<E")
    assert list(framing.feed(mark("C", "$?"))) == [Continuation(True)]


def test_the_text_of_the_prompt_is_no_prompt() -> None:
    """`set` of dash and busybox prints PS1 and PS2 as they are."""
    framing = ready()
    framing.submit(b"set")
    said = b"PS1='" + mark(status="$?", directory="$PWD") + b"'\nPS2='" + mark("C", "$?") + b"'\n"
    assert merged(framing.feed(said)) == [Text(said)]
    assert list(framing.feed(mark())) == [Prompt(0, b"/", True, 1)]


def test_a_korn_shell_says_that_a_line_is_unfinished_without_a_status() -> None:
    framing = ready()
    framing.submit(b"cat <<E")
    assert list(framing.feed(mark("C", "-"))) == [Continuation(True)]


def test_a_command_that_begins_silently_is_no_reading_program() -> None:
    framing = ready()
    framing.submit(b"sleep 1\nsleep 60")
    begins = b"\x1b]7770;" + NONCE.encode() + b";S\x07"
    assert list(framing.feed(begins)) == []
    assert list(framing.feed(mark())) == [Prompt(0, b"/", False)]
    assert framing.unsettled
    assert list(framing.feed(begins)) == []
    assert framing.unsettled is None
    assert framing.settle() is None
    assert framing.state == BUSY
    assert list(framing.feed(mark(status="1"))) == [Prompt(1, b"/", True, 1)]


@pytest.mark.parametrize(
    ("size", "prompts"), [(1, 0), (1022, 0), (1023, 1), (2045, 1), (2046, 2), (4000, 3)]
)
def test_a_shell_that_reads_in_pieces_prompts_within_the_line(size: int, prompts: int) -> None:
    framing = ready()
    framing.piece = 1023
    framing.submit(b"x" * size)
    assert list(framing.feed(mark() * prompts)) == []
    assert framing.state == BUSY
    assert list(framing.feed(mark(status="7"))) == [Prompt(7, b"/", True, 1)]


NOISE = b'\r\nUse "exit" to leave shell.\r\n'


def test_a_prompt_that_the_shell_brings_about_itself_ends_nothing() -> None:
    framing = ready()
    framing.noise = NOISE
    assert list(framing.feed(b"late\r\n" + NOISE + mark())) == [Text(b"late\r\n")]
    assert framing.state == READY
    framing.submit(b"(exit 4)")
    assert list(framing.feed(NOISE)) == []
    assert list(framing.feed(mark())) == []
    assert framing.state == BUSY
    assert list(framing.feed(mark(status="4"))) == [Prompt(4, b"/", True, 1)]


def test_what_the_shell_says_of_a_job_before_such_a_prompt_is_output() -> None:
    framing = ready()
    framing.noise = NOISE
    framing.submit(b"(exit 4)")
    said = b"late\r\n" + NOISE + b"[1]+  Done  sleep\r\n" + mark()
    assert list(framing.feed(said)) == [Text(b"late\r\n[1]+  Done  sleep\r\n")]
    assert list(framing.feed(mark(status="4"))) == [Prompt(4, b"/", True, 1)]


def test_in_other_shells_the_same_words_are_output() -> None:
    framing = ready()
    framing.submit(b"cat file")
    assert merged(framing.feed(NOISE + mark())) == [Text(NOISE), Prompt(0, b"/", True, 1)]


def test_pieces_of_a_long_line_that_a_program_reads_are_not_waited_for_long() -> None:
    framing = ready()
    framing.piece = 1023
    framing.submit(b"head -n 1")
    framing.submit(b"x" * 4000)
    assert list(framing.feed(b"x" * 4000 + b"\r\n" + mark()))[-1] == Prompt(0, b"/", False)
    assert framing.settle() == Prompt(0, b"/", True, 2)


@pytest.mark.parametrize(
    "name", [b"/a;b", b"/new\nline", b"/\xff\xfe\x80", b"/ sp  ace'\"$(x)`", b"/\x1b[31m", b"/%d"]
)
def test_a_directory_may_have_any_name(name: bytes) -> None:
    framing = ready()
    data = mark()[:-2] + name + b"\x07"
    for cut in range(len(data)):
        framing.submit(b"cd")
        events = [*framing.feed(data[:cut]), *framing.feed(data[cut:])]
        assert events == [Prompt(0, name, True, 1)]
    assert framing.directory == name


def test_a_prompt_without_directory_keeps_the_last() -> None:
    framing = Framing(NONCE)
    list(framing.feed(mark(directory="/tmp")))
    assert list(framing.feed(mark(directory=""))) == [Prompt(0, b"/tmp", True)]


def test_the_longest_directory_of_linux_fits() -> None:
    name = "/" + "d" * 4094
    framing = Framing(NONCE)
    data = mark(directory=name)
    events = [*framing.feed(data[:3000]), *framing.feed(data[3000:-1]), *framing.feed(data[-1:])]
    assert events == [Prompt(0, name.encode(), True)]


def test_the_beginning_of_a_mark_is_not_held_for_ever() -> None:
    """A file full of what could become a mark arrives, and memory stays bounded."""
    framing = ready()
    framing.submit(b"cat file")
    data = mark()[:-1] + b"x" * 10_000
    seen = b""
    most = 0
    for at in range(0, len(data), 100):
        for event in framing.feed(data[at : at + 100]):
            assert isinstance(event, Text)
            seen += event.data
        most = max(most, at + 100 - len(seen))
    assert seen + framing.flush() == data
    assert most < 5000


def test_what_cannot_become_a_mark_is_not_held_at_all() -> None:
    framing = ready()
    framing.submit(b"x")
    for data in (b"Password: ", b"\x1b[31mred", b"a\x1b[", b"\x1b]0;title", b"bell\x07"):
        assert list(framing.feed(data)) == [Text(data)]
    assert list(framing.feed(b"a\x1b]77")) == [Text(b"a")]
    assert list(framing.feed(b"b")) == [Text(b"\x1b]77b")]
