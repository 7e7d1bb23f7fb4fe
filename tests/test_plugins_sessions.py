"""The commands for sessions and for results, typed as a person types them."""

from pathlib import Path

import pytest
from recording import LONE, MASTER, NODES, WORKER1, WORKER2, Recorder, node, ran

from dust.errors import TargetError, UsageError
from dust.node import Node


@pytest.fixture
def dust(tmp_path: Path) -> Recorder:
    return Recorder(NODES, tmp_path)


# sessions


@pytest.fixture
def busy(dust: Recorder) -> Recorder:
    dust.sessions.add(MASTER, "ready")
    dust.sessions.add(WORKER1, "busy")
    dust.sessions.add(LONE, "waiting")
    dust.sessions.add(node("gone"), "busy")
    return dust


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        (["interrupt"], {"worker1": b"\x03", "lone": b"\x03", "gone": b"\x03"}),
        (["interrupt", "w*"], {"worker1": b"\x03"}),
        (["suspend", "slurm1"], {"worker1": b"\x1a"}),
        (["eof", "*"], {"worker1": b"\x04", "lone": b"\x04"}),
        (["eof", "-f", "slurm1"], {"master": b"\x04", "worker1": b"\x04"}),
        (["interrupt", "worker2"], {}),
        (["enter"], {"lone": b"\n"}),
        (["enter", "w*"], {"worker1": b"\n"}),
        (["enter", "master"], {}),
    ],
)
def test_keys_are_typed_where_something_runs(
    busy: Recorder, words: list[str], keys: dict[str, bytes]
) -> None:
    said = busy.type(*words)
    assert busy.sessions.typed == keys
    assert ("nothing runs" in said) == (not keys)


def test_keys_keep_to_the_working_set(busy: Recorder) -> None:
    busy.type("use", "slurm1")
    assert busy.type("interrupt") == "worker1: Ctrl-C"


def test_eof_leaves_an_idle_shell_and_says_so(busy: Recorder) -> None:
    said = busy.type("eof", "master")
    assert "master: left alone" in said
    assert "nothing runs on master" in said
    assert busy.sessions.typed == {}


def test_a_secret_goes_to_those_who_wait_only(busy: Recorder) -> None:
    busy.secret = "s3cret"
    assert "s3cret" not in busy.type("secret")
    assert busy.sessions.typed == {"lone": b"s3cret\n"}
    assert busy.asked == ["for lone: "]


def test_a_secret_needs_somebody_who_waits_and_a_terminal(busy: Recorder) -> None:
    with pytest.raises(UsageError, match="no session waits for input on worker1"):
        busy.type("secret", "worker1")
    with pytest.raises(UsageError, match="at a terminal"):
        busy.type("secret")
    assert busy.sessions.typed == {}


def test_close(busy: Recorder) -> None:
    assert busy.type("close", "slurm1") == "master,worker1: closed"
    assert busy.type("close") == "lone,gone: closed"
    assert busy.type("close") == "no session is open"
    assert busy.type("close", "lone") == "no session is open there"


def test_reconnect_opens_what_is_down(busy: Recorder) -> None:
    assert busy.type("reconnect") == "no session is down on master,worker1,lone,gone"
    busy.type("close", "slurm1")
    assert busy.type("reconnect", "w*") == "worker1: opening again"
    assert busy.type("reconnect") == "master: opening again"


def test_reconnect_does_not_try_a_stopped_node(dust: Recorder) -> None:
    dust.sessions.add(WORKER2, "down")
    assert "worker2: the node is stopped" in dust.type("reconnect")
    assert dust.errors == []
    dust.type("reconnect", "worker2")
    assert dust.errors == ["worker2: the node is stopped; `start` starts it"]
    assert dust.sessions.links["i-worker2"].state == "down"


def test_without_sessions_no_backend_is_asked(dust: Recorder) -> None:
    assert dust.type("reconnect") == "no session is down"
    assert dust.type("interrupt") == "nothing runs"
    assert dust.backend.calls == []


# results


def outputs(dust: Recorder, **texts: str | None) -> None:
    by_name: dict[str, Node] = {each.name: each for each in [*NODES, node("gone")]}
    dust.last = ran(*((by_name[name], text) for name, text in texts.items()))


def test_output_is_chosen_and_said(dust: Recorder) -> None:
    assert dust.type("output") == "stream"
    dust.type("output", "fold")
    assert dust.type("output") == "fold"
    with pytest.raises(UsageError, match="did you mean block"):
        dust.type("output", "blok")


@pytest.mark.parametrize("words", [["last"], ["fold"], ["diff"]])
def test_results_need_a_run(dust: Recorder, words: list[str]) -> None:
    with pytest.raises(UsageError, match="no line was sent"):
        dust.type(*words)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["last"], (["master", "worker1", "gone"], "block")),
        (["last", "--block", "slurm1"], (["master", "worker1"], "block")),
        (["last", "--fold"], (["master", "worker1", "gone"], "fold")),
        (["fold"], (["master", "worker1", "gone"], "fold")),
        (["fold", "w*"], (["worker1"], "fold")),
    ],
)
def test_the_last_run_again(dust: Recorder, words: list[str], shown: tuple[list[str], str]) -> None:
    outputs(dust, master="a\n", worker1="b\n", gone="c\n")
    said = dust.type(*words)
    assert dust.shown == [shown]
    assert said.startswith(f"{len(shown[0])} ok, ")


def test_the_last_run_on_a_target_says_how_it_ended_there(dust: Recorder) -> None:
    outputs(dust, master="", worker1="")
    assert dust.last
    dust.last.results[NODES[0].id].end(3, 0.1)
    assert dust.type("last", "master").startswith("master: exit 3, ")
    assert dust.type("last", "worker1").startswith("1 ok, ")


def test_the_last_run_names_who_is_late(dust: Recorder) -> None:
    outputs(dust, master="a\n", worker1=None, lone=None)
    assert dust.type("last") == "worker1,lone: still running"
    assert dust.type("fold", "slurm1") == "worker1: still running"


def test_a_target_that_had_no_part_is_told(dust: Recorder) -> None:
    outputs(dust, master="a\n", worker1="b\n")
    for verb in ("last", "fold", "diff"):
        with pytest.raises(TargetError, match="lone had no part in the last line: master,worker1"):
            dust.type(verb, "lone")


def test_diff_compares_with_the_largest_group(dust: Recorder) -> None:
    outputs(dust, master="a\nb\n", worker1="\x1b[31ma\x1b[0m\nc\n", worker2="a\nc\n", lone="a\nc\n")
    assert (
        dust.type("diff")
        == """\
--- worker[1-2],lone (3)
+++ master (1)
@@ -1,2 +1,2 @@
 a
-c
+b"""
    )
    assert dust.type("diff", "w*") == "worker[1-2] (2): no difference"


def test_diff_of_two_compares_the_second_with_the_first(dust: Recorder) -> None:
    outputs(dust, master="a\n", worker1="b\n", lone="b\n")
    assert dust.type("diff", "master", "worker1").splitlines()[:2] == [
        "--- master (1)",
        "+++ worker1 (1)",
    ]
    assert dust.type("diff", "lone", "worker1") == "lone,worker1 (2): no difference"
