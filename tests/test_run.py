from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dust.node import Node
from dust.run import (
    FAILED,
    KEPT_EACH,
    NOT_SENT,
    RUNNING,
    TIMEOUT,
    UNREACHABLE,
    Run,
    Transcript,
)


def nodes(count: int) -> list[Node]:
    return [Node(f"worker{i + 1}", f"i-{i + 1}", "test") for i in range(count)]


def end(run: Run, at: int, status: int | None = 0, output: bytes = b"") -> None:
    result = run.results[f"i-{at}"]
    result.transcript.append(output)
    result.end(status, 0.5)
    run.ended(result)


def fail(run: Run, at: int, state: str, error: str) -> None:
    result = run.results[f"i-{at}"]
    result.fail(state, error)
    run.ended(result)


def summary(run: Run) -> str:
    return re.sub(r", \d+\.\d s$", "", run.summary())


# --- transcripts


@given(st.lists(st.binary(min_size=1, max_size=30), max_size=30), st.integers(1, 80))
def test_a_bounded_transcript_keeps_the_end(chunks: list[bytes], limit: int) -> None:
    transcript = Transcript(limit, whole=False)
    for chunk in chunks:
        transcript.append(chunk)
    whole = b"".join(chunks)
    kept = transcript.data()
    assert whole.endswith(kept)
    assert transcript.dropped == len(whole) - len(kept)
    assert len(kept) <= max([limit, *map(len, chunks[-1:])])
    if len(whole) <= limit:
        assert kept == whole


@given(st.lists(st.binary(max_size=30), max_size=30), st.integers(1, 80))
def test_a_whole_transcript_keeps_all(chunks: list[bytes], limit: int) -> None:
    transcript = Transcript(limit, whole=True)
    for at, chunk in enumerate(chunks):
        transcript.append(chunk)
        assert transcript.data() == b"".join(chunks[: at + 1])  # also when read in between
    assert transcript.dropped == 0


def test_the_bound_of_a_run_is_shared_by_its_nodes() -> None:
    few, many = Run.on(nodes(2), "x"), Run.on(nodes(2000), "x")
    for run, kept in ((few, 10), (many, 1)):
        transcript = run.results["i-1"].transcript
        for _ in range(10):
            transcript.append(bytes(KEPT_EACH))
        assert len(transcript.data()) == kept * KEPT_EACH
    everything = Run.on(nodes(2000), "x", whole=True).results["i-1"].transcript
    for _ in range(10):
        everything.append(bytes(KEPT_EACH))
    assert len(everything.data()) == 10 * KEPT_EACH


# --- results


def test_what_a_node_printed_is_text_and_lines() -> None:
    run = Run.on(nodes(1), "x")
    end(run, 1, 0, "één\nzwei\n\x1b[31mrot\x1b[0m\ncut".encode() + b"\xc3")
    result = run.results["i-1"]
    assert result.output == "één\nzwei\n\x1b[31mrot\x1b[0m\ncut\ufffd"
    assert result.lines == ["één", "zwei", "\x1b[31mrot\x1b[0m", "cut\ufffd"]


@pytest.mark.parametrize(
    ("status", "ok", "word"),
    [(0, True, "exit 0"), (1, False, "exit 1"), (255, False, "exit 255"), (None, True, "done")],
)
def test_an_end_is_good_without_a_status_to_the_contrary(
    status: int | None, ok: bool, word: str
) -> None:
    run = Run.on(nodes(1), "x")
    assert run.results["i-1"].word == "still running"
    end(run, 1, status)
    assert run.results["i-1"].ok is ok
    assert run.results["i-1"].word == word
    assert run.results["i-1"].seconds == 0.5


# --- runs


def test_a_run_is_done_when_every_node_is() -> None:
    run = Run.on(nodes(3), "hostname")
    assert not run.done
    assert [node.name for node in run.unfinished()] == ["worker1", "worker2", "worker3"]
    end(run, 2)
    fail(run, 1, UNREACHABLE, "refused")
    assert not run.done
    assert [node.name for node in run.unfinished()] == ["worker3"]
    assert run.seconds is None
    end(run, 3, 1)
    assert run.done
    assert run.seconds is not None
    assert run.unfinished() == []


def test_a_run_on_nothing_is_done() -> None:
    assert Run.on([], "x").done
    assert Run.on([], "x").status == 0


@pytest.mark.parametrize(
    ("ends", "status"),
    [
        ([0, 0], 0),
        ([None, 0], 0),
        ([1, 127, 2], 127),
        ([130, 0], 130),
        ([3, UNREACHABLE], 255),
        ([254, TIMEOUT], 255),
        ([0, FAILED], 1),
        ([7, FAILED], 7),
        ([0, RUNNING], 0),
    ],
)
def test_the_status_is_the_worst(ends: list[int | str | None], status: int) -> None:
    run = Run.on(nodes(len(ends)), "x")
    for at, how in enumerate(ends, 1):
        if isinstance(how, str):
            if how != RUNNING:
                fail(run, at, how, "why")
        else:
            end(run, at, how)
    assert run.status == status


def test_the_summary_groups_nodes_by_how_they_ended() -> None:
    run = Run.on(nodes(8), "x")
    for at in (1, 2):
        end(run, at)
    for at in (3, 4, 5):
        end(run, at, 1)
    end(run, 6, 127)
    fail(run, 7, UNREACHABLE, "refused: ssh said so")
    assert summary(run) == (
        "worker[3-5]: exit 1 · worker6: exit 127 · worker7: unreachable"
        " · worker8: still running · 2 ok"
    )
    assert re.search(r", \d+\.\d s$", run.summary())


def test_the_summary_says_why_a_line_was_not_sent_and_what_was_lost() -> None:
    run = Run.on(nodes(3), "x")
    fail(run, 1, FAILED, NOT_SENT + "too long")
    fail(run, 2, FAILED, "the connection was lost")
    fail(run, 3, TIMEOUT, "timed out: Timeout, server not responding")
    assert summary(run) == "worker1: not sent: too long · worker2: lost · worker3: timeout"


def test_the_summary_of_a_good_run_counts() -> None:
    run = Run.on(nodes(2), "x")
    end(run, 1)
    end(run, 2)
    assert summary(run) == "2 ok"


def test_equal_output_is_folded_largest_group_first_in_the_order_of_the_nodes() -> None:
    run = Run.on(nodes(5), "x")
    for at, out in enumerate([b"a", b"b", b"b", b"c", b"b"], 1):
        end(run, at, 0, out)
    folded = [([node.name for node in group], out) for group, out in run.folded()]
    assert folded == [
        (["worker2", "worker3", "worker5"], b"b"),
        (["worker1"], b"a"),
        (["worker4"], b"c"),
    ]
