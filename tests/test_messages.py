from __future__ import annotations

import struct
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dust import messages
from dust.messages import (
    LONGEST,
    TAKEN,
    Answer,
    Attach,
    Close,
    Copy,
    CopyEnded,
    Decoder,
    Detached,
    Ended,
    Keys,
    Leaving,
    Line,
    Lost,
    Message,
    Moved,
    Note,
    Notice,
    Open,
    Opened,
    Output,
    Question,
    Refused,
    Resize,
    State,
    Taken,
    Unanswered,
    encode,
)

words = st.text(max_size=40)  # without lone surrogates, as decoded output is
octets = st.binary(max_size=60)
small = st.integers(0, 1000)
rows = st.lists(st.tuples(words, small, words).map(list), max_size=3)
KINDS: dict[type, st.SearchStrategy[Any]] = {
    Open: st.builds(Open, st.lists(words), words, words, small, small, st.floats(0, 1e6)),
    Line: st.builds(Line, octets),
    Keys: st.builds(Keys, octets),
    Answer: st.builds(Answer, octets),
    Attach: st.builds(Attach, small, small),
    Resize: st.builds(Resize, small, small),
    Close: st.builds(Close),
    Opened: st.builds(Opened, octets),
    Refused: st.builds(Refused, words),
    Output: st.builds(Output, octets),
    Taken: st.just(TAKEN),
    Ended: st.builds(Ended, small, st.integers(-1, 255), st.floats(0, 1e6), octets),
    State: st.builds(State, words),
    Question: st.builds(Question, words, st.booleans(), small),
    Notice: st.builds(Notice, words),
    Unanswered: st.builds(Unanswered),
    Note: st.builds(Note, words),
    Detached: st.builds(Detached),
    Copy: st.builds(
        Copy,
        st.lists(words),
        st.lists(words),
        st.booleans(),
        st.lists(words),
        words,
        words,
        small,
        st.lists(words),
    ),
    Moved: st.builds(Moved, small, small, small, small),
    CopyEnded: st.builds(CopyEnded, words, words, small, small, rows, rows),
    Leaving: st.builds(Leaving, octets),
    Lost: st.builds(Lost, words, words, st.integers(-1, 255)),
}


def test_every_message_is_tried_here() -> None:
    assert set(KINDS) == set(get_args(Message))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.__name__))
def test_a_message_comes_back_as_it_was(kind: type) -> None:
    @given(KINDS[kind])
    def comes_back(message: Message) -> None:
        (back,) = Decoder().feed(encode(message))
        assert back == message
        assert type(back) is kind
        assert all(type(a) is type(b) for a, b in zip(back, message, strict=True))

    comes_back()


@given(st.lists(st.one_of(*KINDS.values()), max_size=8), st.lists(st.integers(0, 600), max_size=9))
def test_messages_come_whole_out_of_any_pieces(sent: list[Message], cuts: list[int]) -> None:
    data = b"".join(map(encode, sent))
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    decoder = Decoder()
    came: list[Message] = []
    for start, end in zip(places, places[1:], strict=False):
        came += decoder.feed(data[start:end])
    assert came == sent
    assert decoder.feed(b"") == []


def test_a_message_waits_for_its_last_byte() -> None:
    data = encode(Line(b"hostname")) + encode(Keys(b"\x03"))
    decoder = Decoder()
    came = [decoder.feed(data[at : at + 1]) for at in range(len(data))]
    assert [messages for messages in came if messages] == [[Line(b"hostname")], [Keys(b"\x03")]]
    assert came[-1] == [Keys(b"\x03")]


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xff\xff\xff\x01",
        struct.pack("!IB", LONGEST + 1, 1),
        struct.pack("!IB", 0, len(KINDS)),
        struct.pack("!IB", 0, 255),
        b"ssh: connect to host",
        struct.pack("!IB", 3, 0) + b"{}[",
        struct.pack("!IB", 1, 0) + b"7",
        struct.pack("!IB", 2, 0) + b"[]",
        struct.pack("!IB", 2, 7 + 4) + b"{}",
        struct.pack("!I", 4) + encode(Ended(1, 0, 0.0, b""))[4:9],  # an end that is too short
        struct.pack("!IB", 2, 0) + b"\xff\xfe",
    ],
)
def test_what_is_no_frame_raises_one_kind_of_error(data: bytes) -> None:
    with pytest.raises(ValueError):
        Decoder().feed(data)


@given(st.binary(max_size=80))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    decoder = Decoder()
    try:
        decoder.feed(data)
    except ValueError:
        return


def test_the_longest_body_is_taken_and_bounds_what_is_held() -> None:
    body = b"x" * LONGEST
    assert Decoder().feed(encode(Output(body))) == [Output(body)]
    assert messages.LONGEST == 1 << 24


def test_output_travels_as_it_is() -> None:
    data = bytes(range(256))
    assert encode(Output(data)).endswith(data)
    assert len(encode(Output(data))) == len(data) + 5
