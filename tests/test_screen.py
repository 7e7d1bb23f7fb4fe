from __future__ import annotations

import re
from collections.abc import Iterable

import pyte
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dust.plain import legible, printable, strip_colours
from dust.screen import Screen

SGR = re.compile(r"\x1b\[[0-9:;]*m")
# What a session may hold of a line whose end has not come.
BOUND = 16 * 1024

FRAGMENTS = [
    *(bytes([c]) for c in range(32)),
    *(b"\x7f", b"a", b"Z", b"0", b";", b"m", b"?", b"\\", b"]", b"[", b" ", b"\r\n", b"\r\r\n"),
    *(b"\x1b", b"\x1b[", b"\x1b]", b"\x1bP", b"\x1bX", b"\x1b^", b"\x1b_", b"\x1bk", b"\x1b\\"),
    *(b"\x1b[m", b"\x1b[0m", b"\x1b[31m", b"\x1b[1;38:5:9m", b"\x1b[6n", b"\x1b[2J", b"\x1b[?25h"),
    *(b"\x1b(B", b"\x1b#8", b"\x1bc", b"\x1b[ q", b"\x1b[>c", b"\x1b]0;x\x07", b"\x1b]52;c;eA=="),
    *(chr(c).encode() for c in range(0x80, 0xA1)),
    *(c.encode() for c in "é日😀\u202e\u2066\u200e\u061c\u2028"),
    *(b"\x80", b"\x9b", b"\xc2", b"\xe2\x80", b"\xf0\x9f", b"\xff"),
]
hostile = st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=6), max_size=60).map(b"".join)


def shown(*chunks: bytes) -> bytes:
    screen = Screen()
    return b"".join([screen.feed(chunk) for chunk in chunks]) + screen.flush()


def split(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[a:b] for a, b in zip(places, places[1:], strict=False)]


def model(line: str) -> str:
    """What a line without newline should show, colours aside: a terminal, character by character.

    It differs from a real one as the filter does: a backspace erases, and so does a carriage
    return once something follows it.
    """
    cells: list[str] = []
    kept: list[str] = []
    state, final_ends = "ground", ""
    for char in line:
        code = ord(char)
        if state == "string":
            if char not in final_ends and not 0x80 <= code <= 0x9F:
                continue
            state = "ground"
        elif state == "csi":
            if " " <= char <= "?":
                continue
            state = "ground"
            if "@" <= char <= "~":
                continue
        elif state in ("escape", "intermediate"):
            if state == "escape" and char in "[]PX^_k":
                state = "csi" if char == "[" else "string"
                final_ends = "\x07\x18\x1a\x1b" if char == "]" else "\x18\x1a\x1b"
                continue
            if " " <= char <= "/":
                state = "intermediate"
                continue
            state = "ground"
            if "0" <= char <= "~":
                continue
        if char == "\x1b":
            state = "escape"
        elif char == "\x9b":
            state = "csi"
        elif char in "\x90\x98\x9d\x9e\x9f":
            state, final_ends = "string", "\x07\x18\x1a\x1b" if char == "\x9d" else "\x18\x1a\x1b"
        elif char == "\r":
            kept, cells = cells or kept, []
        elif char == "\b":
            del cells[-1:]
        elif char == "\t" or code >= 0xA0 or 0x20 <= code < 0x7F:
            marks = "\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067"
            named = char in marks + "\u2068\u2069"
            cells += f"<U+{code:04X}>" if named else char
    return "".join(cells or kept)


TABLE = {
    "text": (b"hello\n", b"hello\n"),
    "line ends of a pty": (b"a\r\nb\r\r\nc\r\n", b"a\nb\nc\n"),
    "tabs": (b"a\tb\r\n", b"a\tb\n"),
    "controls": (b"a\x00b\x07c\x0bd\x0ce\x0ef\x7fg\x1f\n", b"abcdefg\n"),
    "controls and line ends": (b"a\x00\r\nb\r\n", b"a\nb\n"),
    "colour": (b"\x1b[1;31mred\x1b[0m\r\n", b"\x1b[1;31mred\x1b[0m\n"),
    "short reset": (b"\x1b[31mred\x1b[m\n", b"\x1b[31mred\x1b[m\n"),
    "colour left on": (b"\x1b[31mred\nplain\n", b"\x1b[31mred\x1b[0m\nplain\n"),
    "colour on again": (b"\x1b[m\x1b[4:3mred \n", b"\x1b[m\x1b[4:3mred \x1b[0m\n"),
    "colour, empty line": (b"\x1b[31m\n\n", b"\x1b[31m\x1b[0m\n\n"),
    "not quite a colour": (b"\x1b[>4;1mA\x1b[?4mB\x1b[1 mC\n", b"ABC\n"),
    "eight-bit colour": ("\x9b31mA\n".encode(), b"A\n"),
    "colour of absurd length": (b"\x1b[" + b"1" * 5000 + b"mA\n", b"A\n"),
    "cursor, screen, modes": (b"\x1b[2J\x1b[10;5Ha\x1b[?1049hb\x1b[K\n", b"ab\n"),
    "questions": (b"a\x1b[6n\x1b[c\x1b[>c\x1b[0cb\x1b[5n\x1bZ\n", b"ab\n"),
    "title": (b"a\x1b]0;title\x07b\x1b]2;t\x1b\\c\n", b"abc\n"),
    "title of screen": (b"a\x1bktitle\x1b\\b\n", b"ab\n"),
    "clipboard": (b"a\x1b]52;c;ZXZpbA==\x07b\n", b"ab\n"),
    "eight-bit strings": (
        "a\x9d0;t\x07b\x90q\x9cc\x9f_\x9cd\x98x\x9ce\x9ey\x9cf\n".encode(),
        b"abcdef\n",
    ),
    "strings": (b"a\x1bPq\x1b\\b\x1bXq\x1b\\c\x1b^q\x1b\\d\x1b_q\x1b\\e\n", b"abcde\n"),
    "BEL ends only OSC": (b"a\x1bPq\x07q\x1b\\b\n", b"ab\n"),
    "cancelled strings": (
        b"\x1b]0;t\x18a\x1bPq\x1ab\x1b]0;\x1b[31mc\x1b[m\n",
        b"ab\x1b[31mc\x1b[m\n",
    ),
    "string without end": (b"a\x1b]0;title\r\nb\x1bPq\nc\n", b"a\nb\nc\n"),
    "sequence without end": (b"a\x1b\nb\x1b[3\nc\x1b(\nd\n", b"a\nb\nc\nd\n"),
    "sequence in a sequence": (b"\x1b[3\x1b[2J1mA\x1b\x1b[31mB\x1b[0m\n", b"1mA\x1b[31mB\x1b[0m\n"),
    "sequence cut by a character": ("\x1b[3é\x1bé\n".encode(), "éé\n".encode()),
    "character sets, resets": (b"\x1b(0a\x1b)B\x1b%Gb\x1bc\x1b7\x1b8\x1b=\x1b#8d\n", b"abd\n"),
    "overstrike": (b"N\bNA\bA _\bu_\b\xc3\xa9\n", "NA ué\n".encode()),
    "erased": (b"abc\b \b\b \bX\n", b"aX\n"),
    "erased at the start": (b"\b\ba\b\b\bb\n", b"b\n"),
    "erased past a colour": (b"ab\x1b[31m\b\bc\x1b[m\n", b"\x1b[31mc\x1b[m\n"),
    "colour is no character": (b"a\x1b[m\bm\n", b"\x1b[mm\n"),
    "backspace stays in its line": (b"a\n\bb\n", b"a\nb\n"),
    "backspace stays after CR": (b"a\r\bb\n", b"b\n"),
    "progress bar": (b"10%\r50%\r100%\r\n", b"100%\n"),
    "progress bar, shorter": (b"working\rdone\n", b"done\n"),
    "progress bar, blanked": (b"99%\r\x1b[K\n", b"99%\n"),
    "progress bar, colour to the end": (b"99%\r\x1b[0m\n", b"99%\x1b[0m\n"),
    "progress bar in colour": (
        b"\x1b[1m\x1b[m\x1b[32m1%\r2%\x1b[m\r\n",
        b"\x1b[32m2%\x1b[m\n",
    ),
    "progress bar, its colours over": (b"\x1b[31m1%\x1b[0m\r2%\r\n", b"2%\n"),
    "progress bars between lines": (b"a\nb\rc\nd\n\re\rf\r\ng\n", b"a\nc\nd\nf\ng\n"),
    "only CR": (b"\r\r\n\r\x1b[31m\r\x1b[0m\n", b"\n\n"),
    "UTF-8": ("größe 日本語 😀\n".encode(), "größe 日本語 😀\n".encode()),
    "C1 controls": ("a\x80\x85\x8d\x9cb\n".encode(), b"ab\n"),
    "raw C1 bytes": (b"a\x9b31mb\x9d0;t\x07\n", "a\ufffd31mb\ufffd0;t\n".encode()),
    "invalid UTF-8": (b"\xff\xc3(\xe2\x82\n", "\ufffd\ufffd(\ufffd\n".encode()),
    "nothing is joined": (b"\xc2\x1b[K\x9b6n \x1b\x1b[K[6n\n", "\ufffd\ufffd6n [6n\n".encode()),
    "bidi": ("a\u202eb\u2066c\u200fd\u061c\n".encode(), b"a<U+202E>b<U+2066>c<U+200F>d<U+061C>\n"),
    "line separators": ("a\u2028b\u2029c\n".encode(), b"a<U+2028>b<U+2029>c\n"),
}


@pytest.mark.parametrize(("data", "expected"), TABLE.values(), ids=TABLE)
def test_a_line_at_once_and_byte_by_byte(data: bytes, expected: bytes) -> None:
    assert Screen().feed(data) == expected
    screen = Screen()
    assert b"".join([screen.feed(data[i : i + 1]) for i in range(len(data))]) == expected
    assert not screen.pending


@pytest.mark.parametrize("final", [chr(c) for c in range(0x30, 0x7F)])
def test_no_escape_passes(final: str) -> None:
    assert Screen().feed(f"\x1b{final}\n\x1b {final}x\n".encode()) == b"\nx\n"
    assert Screen().feed(f"\x1b{final}\x1b\\x\n".encode()) == b"x\n"


@pytest.mark.parametrize("final", [chr(c) for c in range(0x40, 0x7F)])
def test_no_csi_but_sgr_passes(final: str) -> None:
    expected = b"\x1b[1mx\x1b[0m\n" if final == "m" else b"x\n"
    assert Screen().feed(f"\x1b[1{final}x\n".encode()) == expected
    assert Screen().feed(f"\x1b[?1{final}x\n".encode()) == b"x\n"


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (b"", b""),
        (b"Password: ", b"Password: "),
        (b"\x1b[31mred", b"\x1b[31mred\x1b[0m"),
        (b"a\x1b[3", b"a"),
        (b"a\x1b]0;ti", b"a"),
        (b"a\xe2\x82", "a\ufffd".encode()),
        (b"10%\r20%\r", b"20%"),
    ],
)
def test_flush(held: bytes, expected: bytes) -> None:
    screen = Screen()
    assert screen.feed(b"line\n" + held) == b"line\n"
    assert screen.flush() == expected
    assert screen.flush() == b""
    assert screen.feed(b"next\n") == b"next\n"


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (b"", False),
        (b"a", True),
        (b"\x1b[31ma", True),
        (b"a\x1b[K", True),
        (b"a\b", False),
        (b"\x1b[31m", False),
        (b"\x1b]0;title", False),
        (b"   \r", False),
        ("é".encode(), True),
        (b"a\r", True),
    ],
)
def test_pending(held: bytes, expected: bool) -> None:
    screen = Screen()
    screen.feed(b"line\n" + held)
    assert screen.pending is expected
    screen.feed(b"\n")
    assert not screen.pending


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (b"Do you want to continue? [Y/n] ", True),
        (b"Password: ", True),
        (b"\x1b[1mPassword:\x1b[0m \x1b[K", True),
        (b">>> ", True),
        (b"(yes/no)", True),
        (b"Really?", True),
        (b"root# ", True),
        (b"user$ ", True),
        (b"zsh% ", True),
        (b"", False),
        (b"Reading package lists... ", False),
        (b"Password: abc", False),
        (b"Password: \x1b]0;x", True),
        (b"Password:\rlogged in", False),
    ],
)
def test_looks_like_prompt(held: bytes, expected: bool) -> None:
    screen = Screen()
    screen.feed(b"line?\n" + held)
    assert screen.looks_like_prompt() is expected
    screen.flush()
    assert not screen.looks_like_prompt()


def test_overwriting() -> None:
    screen = Screen()
    for data, expected in ((b"a\r\n10%", False), (b"\r20%", True), (b"\r\n", False), (b"x", False)):
        screen.feed(data)
        assert screen.overwriting is expected
    screen.feed(b"\ry")
    screen.flush()
    assert not screen.overwriting


@given(hostile, st.lists(st.integers(0, 400), max_size=8))
@example(b"a\x1b[31m\rb\r\nc\x1b]", [1, 3, 6, 7, 9])
def test_chunks_make_no_difference(data: bytes, cuts: list[int]) -> None:
    assert shown(*split(data, cuts)) == shown(data)


@given(hostile)
def test_only_text_and_colours_come_out(data: bytes) -> None:
    text = shown(data).decode()
    left = SGR.sub("", text)
    assert not [c for c in left if (c < " " and c not in "\n\t") or "\x7f" <= c <= "\x9f"]
    assert not set(left) & set("\u202a\u202e\u2066\u2069\u200e\u200f\u061c\u2028\u2029")


@given(hostile)
def test_text_is_what_a_terminal_shows(data: bytes) -> None:
    *lines, last = data.split(b"\n")
    expected = [model(line.decode("utf-8", "replace")) for line in (*lines, last)]
    assert strip_colours(shown(data)).decode() == "\n".join(expected)


@given(hostile)
def test_no_colour_leaks(data: bytes) -> None:
    for line in shown(data).decode().split("\n"):
        colours = SGR.findall(line)
        assert not colours or re.fullmatch(r"\x1b\[[0:;]*m", colours[-1])


@given(hostile)
def test_filtering_twice_changes_nothing(data: bytes) -> None:
    once = shown(data)
    assert shown(once) == once


class Terminal(pyte.Screen):
    """A terminal that records what it would type into the user's prompt."""

    typed = ""

    def write_process_input(self, data: str) -> None:
        self.typed += data


def on_terminal(data: bytes) -> Terminal:
    terminal = Terminal(80, 200)
    modes = set(terminal.mode)
    stream = pyte.ByteStream(terminal)
    stream.feed(data.replace(b"\n", b"\r\n"))
    stream.feed(b"\r\nend")  # would vanish in a control string left open
    assert terminal.display[terminal.cursor.y].rstrip() == "end"
    assert set(terminal.mode) == modes
    return terminal


def test_the_terminal_of_these_tests_can_be_driven() -> None:
    terminal = on_terminal(b"\x1b[6n\x1b]2;title\x07")
    assert (terminal.typed, terminal.title) == ("\x1b[1;1R", "title")


@given(hostile)
@example(b"\x1b[6n\x1b[c\x1b]2;title\x07\x1b]1;icon\x1b\\\x1b[?1049h\x1b[5;9H\x1b[?6h\x1b]2;open")
def test_the_terminal_is_not_driven(data: bytes) -> None:
    terminal = on_terminal(shown(data))
    assert (terminal.typed, terminal.title, terminal.icon_name) == ("", "", "")
    assert terminal.cursor.attrs == terminal.default_char


def test_a_long_line_streams() -> None:
    line = "".join(f"{i} größe 日本 " for i in range(20_000)).encode()
    screen = Screen()
    pieces = [screen.feed(line[i : i + 4095]) for i in range(0, len(line), 4095)]
    assert sum(map(bool, pieces)) > 30
    for piece in pieces:
        piece.decode()
    assert b"".join(pieces) + screen.feed(b"\r\nnext\n") == line + b"\nnext\n"


def test_a_line_of_8_kib_is_held() -> None:
    screen = Screen()
    assert screen.feed(b"x" * 8192) == b""
    assert screen.feed(b"y") == b"x" * 8192 + b"y"
    assert screen.feed(b"\n") == b"\n"


def test_a_long_line_after_others_in_one_chunk() -> None:
    screen = Screen()
    assert screen.feed(b"a\r\n" + b"x" * 9000) == b"a\n" + b"x" * 9000


def test_a_long_line_keeps_its_colour() -> None:
    screen = Screen()
    first = screen.feed(b"\x1b[31m" + b"x" * 9000)
    assert first == b"\x1b[31m" + b"x" * 9000 + b"\x1b[0m"
    assert not screen.pending
    assert screen.feed(b"y\x1b[0mz\n") == b"\x1b[31my\x1b[0mz\n"


@pytest.mark.parametrize(
    "sequence",
    [b"\x1b[31m", b"\x1b[2;3H", b"\x1b]0;title\x07", b"\x1b(B", b"\x1bPx\x1b\\", "日".encode()],
)
def test_a_piece_is_not_cut_in_a_sequence(sequence: bytes) -> None:
    data = b"x" * 9000 + sequence + b"y\x1b[0m" + b"z" * 9000 + b"\n"
    expected = strip_colours(Screen().feed(data))
    for cut in range(9000, 9000 + len(sequence) + 1):
        screen = Screen()
        pieces = screen.feed(data[:cut]), screen.feed(data[cut:])
        assert pieces[0].startswith(b"x" * 9000)
        assert strip_colours(b"".join(pieces)) == expected


@given(st.lists(st.sampled_from(FRAGMENTS).map(lambda f: f.replace(b"\n", b"")), max_size=40))
def test_pieces_are_safe(fragments: list[bytes]) -> None:
    screen = Screen()
    line = b"x" * 700 + b"".join(fragments)
    for _ in range(30):
        piece = screen.feed(line).decode()
        assert not re.search(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]", SGR.sub("", piece))
        colours = SGR.findall(piece)
        assert not colours or re.fullmatch(r"\x1b\[[0:;]*m", colours[-1])
        assert screen.held <= BOUND


@pytest.mark.parametrize(
    "unit",
    [b"x", b"\x00", b"\r50%", b"\r", b"\b", b"a\b", b"\x1b", b"\x1b[", b"\x1b[31m", b"\x1b[31m\r"]
    + [b"\x1b[1", b"\x1b]", b"\xe6\x97\xa5", b"\xff", b"\xc2\x9d", b"\xe2\x80\xae", b"\x1b ("],
)
def test_memory_is_bounded(unit: bytes) -> None:
    chunk = (unit * 65536)[: 65536 + len(unit)]
    screen = Screen()
    for _ in range(8):
        screen.feed(chunk)
        assert screen.held <= BOUND


@pytest.mark.parametrize(
    ("opening", "filler", "ending"),
    [
        (b"\x1b]52;c;", b"A", b"\x07"),
        (b"\x1bP", b"A", b"\x1b\\"),
        ("\x9d".encode(), b"A", "\x9c".encode()),
        (b"\x1b[", b"1", b"m"),
        ("\x9b".encode(), b"1", b"m"),
        (b"\x1b", b"(", b"B"),
    ],
)
def test_a_sequence_without_end_is_not_kept(opening: bytes, filler: bytes, ending: bytes) -> None:
    screen = Screen()
    assert screen.feed(b"before" + opening) == b""
    for _ in range(40):
        assert screen.feed(filler * 4095) == b""
        assert screen.held <= BOUND
    assert screen.pending
    assert screen.feed(ending + b"after\n") == b"beforeafter\n"


def test_an_endless_progress_bar_shows_its_last_state() -> None:
    screen = Screen()
    for i in range(20_000):
        assert screen.feed(b"\r%d of 20000" % i) == b""
        assert screen.overwriting
        assert screen.held <= BOUND
    assert screen.feed(b"\r\n") == b"19999 of 20000\n"


@pytest.mark.parametrize("count", range(1, 30))
def test_a_long_progress_bar_that_leaves_the_cursor_at_the_start(count: int) -> None:
    screen = Screen()
    for _ in range(count):
        assert screen.feed(b"\x1b[32m" + b"x" * 1000 + b"\r") == b""
    assert screen.overwriting
    assert re.fullmatch(rb"(\x1b\[32m)+done\x1b\[0m\n", screen.feed(b"done\n"))


def test_a_colour_is_whole_wherever_a_piece_ends() -> None:
    colour = b"\x1b[0;1;4;38;2;255;255;255;48;2;100;100;100m"
    for cut in range(len(colour)):
        screen = Screen()
        assert screen.feed(b"x" * 9000 + colour[:cut]) == b"x" * 9000
        assert screen.feed(colour[cut:] + b"y\x1b[m\n") == colour + b"y\x1b[m\n"


@pytest.mark.parametrize("end", ["newline", "flush"])
def test_each_line_is_held_up_to_the_same_length(end: str) -> None:
    screen = Screen()
    screen.feed(b"x" * 3000 + b"\x1b]0;" + b"y" * 6000 + b"\x07")
    assert (screen.feed(b"\n") if end == "newline" else screen.flush()).strip() == b"x" * 3000
    assert screen.feed(b"x" * 8193) == b"x" * 8193


def test_text_that_overwrites_a_piece_goes_on_after_it() -> None:
    screen = Screen()
    assert screen.feed(b"x" * 9000 + b"\r") == b"x" * 9000
    assert screen.feed(b"a\rb\n\n") == b"b\n\n"


@given(hostile)
def test_strip_colours(data: bytes) -> None:
    text = shown(data)
    assert strip_colours(text) == SGR.sub("", text.decode()).encode()
    assert b"\x1b" not in strip_colours(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("worker1", "worker1"),
        ("größe 日本", "größe 日本"),
        ("a\nb\tc\rd", r"a\nb\tc\rd"),
        ("\x1b[31mred\x00\x7f\x9b", r"\x1b[31mred\x00\x7f\x9b"),
        ("gpj\u202eexe\u2028", "gpj<U+202E>exe<U+2028>"),
        (b"file\xff\x1b".decode("utf-8", "surrogateescape"), r"file\xff\x1b"),
        ("\ud800", "<U+D800>"),
    ],
)
def test_printable(text: str, expected: str) -> None:
    assert printable(text) == expected


@given(st.text())
def test_printable_is_one_safe_line(text: str) -> None:
    line = printable(text)
    line.encode()
    assert len(line.splitlines()) <= 1
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e]", line)
    assert printable(line) == line


@pytest.mark.parametrize(
    ("text", "shown", "coloured"),
    [
        ("a\tb\nc", "a\tb\nc", "a\tb\nc"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m"),
        (
            "a\rb\x1b]0;t\x07\x9b2J\udcff",
            r"a\rb\x1b]0;t\x07\x9b2J\xff",
            r"a\rb\x1b]0;t\x07\x9b2J\xff",
        ),
    ],
)
def test_what_is_said_stays_lines_and_drives_nothing(text: str, shown: str, coloured: str) -> None:
    assert legible(text) == shown
    assert legible(text, colours=True) == coloured
