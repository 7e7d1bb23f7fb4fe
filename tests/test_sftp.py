"""The file transfer protocol: requests as a server reads them, replies cut anywhere."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dust import sftp
from dust.sftp import Attributes, Extended, Handle, Names, Piece, Reply, Status, Version
from dust.sftp_decoder import Decoder

OCTETS = st.binary(max_size=40)
INTS = st.integers(0, 2**32 - 1)
LONGS = st.integers(0, 2**64 - 1)


def text(octets: bytes) -> bytes:
    return struct.pack("!I", len(octets)) + octets


def packed(attributes: Attributes) -> bytes:
    size, mode, accessed, modified = attributes
    flags = (size is not None) | (mode is not None) << 2 | (accessed is not None) << 3
    body = struct.pack("!I", flags | 0x80000002)
    body += b"" if size is None else struct.pack("!Q", size)
    body += struct.pack("!II", 0, 0)
    body += b"" if mode is None else struct.pack("!I", mode)
    body += b"" if accessed is None else struct.pack("!II", accessed, modified)
    return body + struct.pack("!I", 1) + text(b"acl@example.org") + text(b"\0")


def octets(number: int, reply: Reply) -> bytes:
    """A reply as a server sends it."""
    if isinstance(reply, Version):
        extensions = b"".join(text(key) + text(value) for key, value in reply.extensions.items())
        kind, body, number = 2, extensions, reply.number
    elif isinstance(reply, Status):
        kind, body = 101, struct.pack("!I", reply.code) + text(reply.said.encode()) + text(b"en")
    elif isinstance(reply, Handle):
        kind, body = 102, text(reply.handle)
    elif isinstance(reply, Piece):
        kind, body = 103, text(bytes(reply.data))
    elif isinstance(reply, Names):
        rows = b"".join(text(name) + text(b"-rw") + packed(each) for name, each in reply.entries)
        kind, body = 104, struct.pack("!I", len(reply.entries)) + rows
    elif isinstance(reply, Attributes):
        kind, body = 105, packed(reply)
    else:
        kind, body = 201, reply.body
    return struct.pack("!IBI", len(body) + 5, kind, number) + body


TIMES = st.one_of(st.just((None, None)), st.tuples(INTS, INTS))
ATTRIBUTES = st.builds(
    lambda size, mode, times: Attributes(size, mode, *times),
    st.none() | LONGS,
    st.none() | INTS,
    TIMES,
)
REPLIES = st.one_of(
    st.builds(Version, st.integers(3, 6), st.dictionaries(OCTETS, OCTETS, max_size=3)),
    st.builds(Status, st.integers(0, 31), st.text(max_size=10)),
    st.builds(Handle, OCTETS),
    st.builds(lambda data: Piece(data, 0), st.binary(max_size=200)),
    st.builds(Names, st.lists(st.tuples(OCTETS, ATTRIBUTES), max_size=3)),
    ATTRIBUTES,
    st.builds(Extended, OCTETS),
)


def joined(replies: list[tuple[int, Reply]]) -> list[tuple[int, Reply]]:
    """Replies with the pieces of one made whole again."""
    found: list[tuple[int, Reply]] = []
    held = b""
    for number, reply in replies:
        if isinstance(reply, Piece):
            held += bytes(reply.data)
            if reply.left:
                continue
            reply, held = Piece(held, 0), b""
        found.append((number, reply))
    return found


@given(st.lists(st.tuples(INTS, REPLIES), max_size=5), st.lists(st.integers(0, 400), max_size=8))
def test_replies_come_whole_however_the_stream_is_cut(
    replies: list[tuple[int, Reply]], cuts: list[int]
) -> None:
    stream = b"".join(octets(number, reply) for number, reply in replies)
    wanted = [
        (reply.number if isinstance(reply, Version) else number, reply) for number, reply in replies
    ]
    decoder = Decoder()
    came: list[tuple[int, Reply]] = []
    at = 0
    for cut in [*sorted(cuts), len(stream)]:
        part = memoryview(stream)[at:cut]
        for number, reply in decoder.feed(part):
            if isinstance(reply, Piece):  # a view, of what is soon read over
                reply = Piece(bytes(reply.data), reply.left)
            came.append((number, reply))
        at = max(at, cut)
    assert joined(came) == wanted


def test_every_single_cut() -> None:
    replies: list[tuple[int, Reply]] = [
        (3, Version(3, {})),
        (1, Handle(b"h")),
        (2, Piece(b"contents", 0)),
        (3, Piece(b"", 0)),
        (4, Names([(b"a\n", Attributes(1, 0o100644, 2, 3))])),
        (5, Status(sftp.EOF, "")),
    ]
    stream = b"".join(octets(number, reply) for number, reply in replies)
    for cut in range(len(stream)):
        decoder = Decoder()
        came = [*decoder.feed(stream[:cut]), *decoder.feed(stream[cut:])]
        assert joined(came) == replies, cut


@given(st.binary(max_size=300))
def test_what_is_no_reply_is_a_value_error(stream: bytes) -> None:
    decoder = Decoder()
    try:
        for _ in decoder.feed(stream):
            pass
    except ValueError:
        return


@pytest.mark.parametrize(
    "stream",
    [
        b"Welcome to this machine\n",
        struct.pack("!IBI", 4, 101, 1),
        struct.pack("!IBI", 9, 101, 1)[:4] + b"\x63" + bytes(8),
        struct.pack("!IBII", 20, 103, 1, 400) + bytes(11),
        octets(1, Handle(b"abc")).replace(b"\0\0\0\3", b"\0\0\0\4"),
        struct.pack("!IBII", 9, 104, 1, 5),
    ],
)
def test_such_as(stream: bytes) -> None:
    with pytest.raises(ValueError):
        list(Decoder().feed(stream + bytes(20)))


def test_a_name_is_only_a_name() -> None:
    name = b"-rf $(x)\n\xff'\""
    packet = sftp.open_file(name, sftp.WRITE, 0o600).packet(7)
    assert packet == struct.pack("!IBI", len(packet) - 4, 3, 7) + text(name) + struct.pack(
        "!III", sftp.WRITE, 4, 0o600
    )


def test_contents_follow_a_write() -> None:
    head = sftp.write_of(b"h", 2**40, 10).packet(1)
    assert head + b"0123456789" == sftp.write(b"h", 2**40, b"0123456789").packet(1)


def test_times_that_do_not_fit_are_cut() -> None:
    request = sftp.set_path(b"f", 0o644, -5, 2**40)
    assert request.body.endswith(struct.pack("!II", 0, 0xFFFFFFFF))


@pytest.mark.parametrize(
    ("available", "files", "free_files", "full"),
    [(0, 9, 5, True), (9, 9, 5, False), (9, 9, 0, True), (9, 0, 0, False)],
)
def test_a_full_disk(available: int, files: int, free_files: int, full: bool) -> None:
    fields = (4096, 4096, 100, 5, available, files, free_files, free_files, 0, 0, 255)
    assert sftp.is_full(Extended(struct.pack("!11Q", *fields))) is full


def test_limits_are_bounded_by_ours() -> None:
    answer = Extended(struct.pack("!4Q", 1 << 18, 1 << 30, 261120, 1000))
    assert sftp.largest(answer) == (sftp.LARGEST, 261120)
    assert sftp.largest(Extended(bytes(32))) == (sftp.BLOCK, sftp.BLOCK)
    with pytest.raises(ValueError):
        sftp.largest(Extended(b""))
