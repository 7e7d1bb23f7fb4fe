"""The coordinator against workers made for it: real pipes, literal messages, no process."""

from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Iterator

import pytest

from dust import coordinator as module
from dust.coordinator import Coordinator
from dust.errors import SessionError
from dust.link import Link
from dust.messages import (
    TAKEN,
    Answer,
    Close,
    Decoder,
    Ended,
    Keys,
    Line,
    Lost,
    Message,
    Note,
    Open,
    Opened,
    Output,
    Question,
    Refused,
    State,
    encode,
)
from dust.node import Node
from dust.run import Result, Run


class Worker:
    """The other end of a session's pipe."""

    def __init__(self, pipe: socket.socket) -> None:
        self._pipe = pipe
        self._decoder = Decoder()
        self.heard: list[Message] = []

    def listen(self) -> list[Message]:
        """What it was told since the last time."""
        while select.select([self._pipe], [], [], 0)[0]:
            data = self._pipe.recv(1 << 20)
            if not data:
                break
            self.heard += self._decoder.feed(data)
        heard, self.heard = self.heard, []
        return heard

    def gone(self) -> bool:
        """Whether the coordinator has hung up."""
        self.listen()
        return bool(select.select([self._pipe], [], [], 0)[0])

    def say(self, *said: Message) -> None:
        self._pipe.sendall(b"".join(map(encode, said)))

    def take(self, *said: Message) -> None:
        """Type the next line, and say this of it."""
        self.say(TAKEN, *said)

    def say_bytes(self, data: bytes) -> None:
        self._pipe.sendall(data)

    def die(self) -> None:
        self._pipe.close()


class World:
    """What a coordinator sees, and what it tells."""

    def __init__(self) -> None:
        self.workers: list[Worker] = []
        self.alive = True
        self.told: list[tuple[object, ...]] = []

    # the zygote

    def spawn(self, pipes: list[socket.socket]) -> None:
        self.workers += map(Worker, pipes)

    def close(self) -> None:
        self.alive = False

    # the events

    def output(self, link: Link, data: bytes) -> None:
        self.told.append(("output", link.node.name, data))

    def ended(self, run: Run, result: Result) -> None:
        self.told.append(("ended", result.node.name, run.line, result.state, result.status))

    def changed(self, link: Link) -> None:
        self.told.append((link.state, link.node.name))

    def note(self, link: Link, text: str) -> None:
        self.told.append(("note", link.node.name, text))

    def question(self, link: Link, text: str, secret: bool) -> None:
        self.told.append(("question", link.node.name, text, secret))

    def turned(self) -> None:
        pass

    def tell(self) -> list[tuple[object, ...]]:
        """What was told since the last time."""
        told, self.told = self.told, []
        return told


A, B, C = (Node(name, f"i-{name}", "test") for name in "abc")
STALE = Ended(1, 0, 0.1, b"/")


def argv(node: Node, command: str) -> list[str]:
    if node.name == "bad":
        raise SessionError("bad", "ssh cannot take this")
    return ["ssh", node.name, command]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(module, "Zygote", lambda: world)
    monkeypatch.setattr(module, "raise_open_files", lambda: None)
    return world


@pytest.fixture
def coordinator(world: World) -> Iterator[Coordinator]:
    coordinator = Coordinator(world, argv, fanout=2, connect_timeout=5)
    yield coordinator
    coordinator.shutdown()


def ready(world: World, coordinator: Coordinator, *nodes: Node) -> list[Worker]:
    """Sessions of these nodes, at their prompts."""
    first = len(world.workers)
    for node in nodes:  # one by one: no fanout here
        coordinator.open([node])
        worker = world.workers[-1]
        assert isinstance(worker.listen()[0], Open)
        worker.say(Opened(b"/home"))
        coordinator.pump()
    world.tell()
    return world.workers[first:]


def test_a_session_is_opened_with_what_it_needs(world: World, coordinator: Coordinator) -> None:
    coordinator.open([A])
    coordinator.open([A])  # twice is once
    (worker,) = world.workers
    (opening,) = worker.listen()
    assert isinstance(opening, Open)
    assert opening.argv[1] == "a"
    assert opening.nonce in opening.argv[2]
    assert (opening.rows, opening.columns) == coordinator.size
    assert opening.directory == ""
    assert world.tell() == [("connecting", "a")]
    worker.say(Opened(b"/home"))
    coordinator.pump()
    assert world.tell() == [("ready", "a")]
    assert coordinator.links[A.id].directory == b"/home"
    assert coordinator.counts() == {"ready": 1}


def test_each_session_has_a_nonce_of_its_own(world: World, coordinator: Coordinator) -> None:
    coordinator.open([A, B])
    openings = [worker.listen()[0] for worker in world.workers]
    nonces = {opening.nonce for opening in openings if isinstance(opening, Open)}
    assert len(nonces) == 2
    assert all(len(nonce) == 16 for nonce in nonces)


def test_no_more_connect_at_once_than_the_fanout(world: World, coordinator: Coordinator) -> None:
    coordinator.open([A, B, C])
    assert len(world.workers) == 2
    world.workers[0].say(Opened(b"/"))
    coordinator.pump()
    assert len(world.workers) == 3


def test_a_question_holds_up_no_other_node(world: World, coordinator: Coordinator) -> None:
    coordinator.open([A, B, C])
    world.workers[0].say(Question("Passphrase:", True))
    coordinator.pump()
    assert ("question", "a", "Passphrase:", True) in world.tell()
    assert len(world.workers) == 3
    coordinator.answer(coordinator.links[A.id], "secret é")
    assert world.workers[0].listen()[1:] == [Answer("secret é".encode())]


def test_a_line_is_a_run_on_each_node(world: World, coordinator: Coordinator) -> None:
    one, two = ready(world, coordinator, A, B)
    run = coordinator.run([A, B], "hostname")
    assert one.listen() == two.listen() == [Line(b"hostname")]
    one.take(Output(b"a\n"), Ended(1, 0, 0.25, b"/tmp"))
    coordinator.pump()
    assert world.tell() == [
        ("busy", "a"),
        ("busy", "b"),
        ("output", "a", b"a\n"),
        ("ready", "a"),
        ("ended", "a", "hostname", "ok", 0),
    ]
    assert not run.done
    two.take(Ended(1, -1, 0.5, b""))
    coordinator.pump()
    assert run.done
    assert run.results[A.id].seconds == 0.25
    assert run.results[B.id].status is None
    assert [result.output for result in run.results.values()] == ["a\n", ""]
    assert coordinator.links[A.id].directory == b"/tmp"
    assert coordinator.links[B.id].directory == b"/home"


def test_a_line_to_a_busy_session_is_input_and_ends_with_it(
    world: World, coordinator: Coordinator
) -> None:
    (worker,) = ready(world, coordinator, A)
    asking = coordinator.run([A], "apt install x")
    worker.take(Output(b"Continue? "), State("waiting"))
    coordinator.pump()
    answer = coordinator.run([A], "Y")
    assert worker.listen() == [Line(b"apt install x"), Line(b"Y")]
    worker.take(Output(b"done\n"), Ended(2, 7, 1.0, b"/"))
    coordinator.pump()
    assert asking.done and answer.done
    assert (asking.status, answer.status) == (7, 7)
    assert asking.results[A.id].output == "Continue? "
    assert answer.results[A.id].output == "done\n"


def test_a_quiet_line_waits_for_the_prompt(world: World, coordinator: Coordinator) -> None:
    (worker,) = ready(world, coordinator, A)
    coordinator.run([A], "cat")
    quiet = coordinator.run([A], "df", quiet=True)
    given_up = coordinator.run([A], "uptime", quiet=True)
    assert worker.listen() == [Line(b"cat")]
    coordinator.withdraw(given_up)
    assert (given_up.results[A.id].word, given_up.done) == ("interrupted", True)
    worker.take(STALE)
    coordinator.pump()
    assert worker.listen() == [Line(b"df")]
    worker.take(Output(b"half full\n"), STALE)
    coordinator.pump()
    assert quiet.results[A.id].output == "half full\n"
    assert worker.listen() == []


def test_lines_to_a_session_that_connects_run_one_after_the_other(
    world: World, coordinator: Coordinator
) -> None:
    runs = [coordinator.run([A], line) for line in ("one", "two")]
    (worker,) = world.workers
    assert worker.listen()[1:] == []
    worker.say(Opened(b"/"))
    coordinator.pump()
    assert worker.listen() == [Line(b"one")]
    worker.take(STALE)
    coordinator.pump()
    assert worker.listen() == [Line(b"two")]
    assert [run.done for run in runs] == [True, False]


def test_a_line_made_for_each_node(world: World, coordinator: Coordinator) -> None:
    workers = ready(world, coordinator, A, B)
    coordinator.run([A, B], lambda node: f"echo {node.name}")
    assert [worker.listen() for worker in workers] == [[Line(b"echo a")], [Line(b"echo b")]]


def test_octets_of_a_line_that_are_no_text_arrive_as_they_were(
    world: World, coordinator: Coordinator
) -> None:
    (worker,) = ready(world, coordinator, A)
    coordinator.run([A], os.fsdecode(b"echo \xff"))
    assert worker.listen() == [Line(b"echo \xff")]


def test_a_refused_line_fails_alone(world: World, coordinator: Coordinator) -> None:
    one, two = ready(world, coordinator, A, B)
    run = coordinator.run([A, B], "x" * 5000)
    one.say(Refused("too long"))
    two.take(STALE)
    coordinator.pump()
    coordinator.pump()
    assert run.done
    assert run.results[A.id].error == "not sent: too long"
    assert run.results[B.id].ok
    assert coordinator.counts() == {"ready": 2}


def test_a_refused_answer_leaves_the_program_running(
    world: World, coordinator: Coordinator
) -> None:
    (worker,) = ready(world, coordinator, A)
    first = coordinator.run([A], "cat")
    second = coordinator.run([A], "x" * 5000)
    worker.take(Refused("too long"))
    coordinator.pump()
    assert (first.done, second.done) == (False, True)
    assert coordinator.links[A.id].state == "busy"


def test_an_end_is_that_of_the_lines_that_were_typed_before_it(
    world: World, coordinator: Coordinator
) -> None:
    """The user interrupts; its end is on its way to us when the next line is on its way there."""
    (worker,) = ready(world, coordinator, A)
    first = coordinator.run([A], "yes")
    worker.take(Output(b"y\n"))
    coordinator.pump()
    second = coordinator.run([A], "pwd")
    worker.say(Output(b"y\n"), Ended(1, 130, 2.0, b"/"))
    coordinator.pump()
    assert (first.done, first.status, second.done) == (True, 130, False)
    assert coordinator.links[A.id].state == "busy"
    worker.take(Output(b"/root\n"), STALE)
    coordinator.pump()
    assert (second.done, second.status) == (True, 0)
    assert coordinator.links[A.id].state == "ready"
    assert [run.results[A.id].output for run in (first, second)] == ["y\ny\n", "/root\n"]


def test_what_is_printed_before_a_line_typed_ahead_begins_is_not_its_output(
    world: World, coordinator: Coordinator
) -> None:
    (worker,) = ready(world, coordinator, A)
    first, second = (coordinator.run([A], line) for line in ("make", "hostname"))
    worker.take(Output(b"cc\n"))
    worker.take(Output(b"ld\n"), Ended(1, 2, 1.0, b"/"), Output(b"a\n"), STALE)
    coordinator.pump()
    assert [run.results[A.id].output for run in (first, second)] == ["cc\nld\n", "a\n"]
    assert [run.status for run in (first, second)] == [2, 0]


def test_a_refusal_is_that_of_the_line_it_answers(world: World, coordinator: Coordinator) -> None:
    (worker,) = ready(world, coordinator, A)
    runs = [coordinator.run([A], line) for line in ("cat", "x" * 5000, "y")]
    worker.take(Refused("too long"))
    coordinator.pump()
    assert [run.done for run in runs] == [False, True, False]
    worker.take(Output(b"y\n"), Ended(2, 0, 1.0, b"/"))
    coordinator.pump()
    assert [run.status for run in runs] == [0, 1, 0]
    assert runs[2].results[A.id].output == "y\n"


@pytest.mark.parametrize(
    ("lost", "reason", "state"),
    [
        (Lost("refused", "Connection refused", 255), "refused: Connection refused", "unreachable"),
        (Lost("timed out", "no shell", -1), "timed out: no shell", "unreachable"),
        (Lost("ended", "go away", 7), "go away", "unreachable"),
    ],
)
def test_a_session_that_does_not_open(
    world: World, coordinator: Coordinator, lost: Lost, reason: str, state: str
) -> None:
    run = coordinator.run([A, B], "hostname")
    world.workers[0].say(lost)
    world.workers[1].say(Opened(b"/"), TAKEN, Output(b"b\n"), STALE)
    coordinator.pump()
    coordinator.pump()
    assert coordinator.links[A.id].reason == reason
    assert (run.results[A.id].state, run.results[A.id].error) == (state, reason)
    assert run.results[B.id].ok
    assert run.status == 255
    assert ("note", "a", reason) in world.tell()


def test_what_is_known_of_the_way_is_told_where_it_fails(
    world: World, coordinator: Coordinator
) -> None:
    far = Node("far", "i-far", "test", details={"reach": "it has no public address"})
    coordinator.run([far], "hostname")
    world.workers[0].say(Lost("timed out", "Connection timed out", 255))
    coordinator.pump()
    reason = coordinator.links[far.id].reason
    assert reason == "timed out: Connection timed out (it has no public address)"


def test_a_session_that_is_lost(world: World, coordinator: Coordinator) -> None:
    (worker,) = ready(world, coordinator, A)
    run = coordinator.run([A], "sleep 600")
    worker.say(Lost("dropped", "the connection was lost", 255))
    coordinator.pump()
    assert run.results[A.id].state == "failed"
    assert run.results[A.id].error == coordinator.links[A.id].reason == "the connection was lost"
    assert world.tell()[-3:] == [
        ("down", "a"),
        ("note", "a", "the connection was lost"),
        ("ended", "a", "sleep 600", "failed", None),
    ]
    assert worker.gone()


def test_a_session_whose_network_goes_silent_times_out(
    world: World, coordinator: Coordinator
) -> None:
    (worker,) = ready(world, coordinator, A)
    run = coordinator.run([A], "sleep 600")
    worker.say(Lost("timed out", "Timeout, server a not responding.", 255))
    coordinator.pump()
    assert run.results[A.id].state == "timeout"
    assert run.results[A.id].error == "timed out: Timeout, server a not responding."
    assert run.summary().startswith("a: timeout, ")
    assert run.status == 255


def test_exit_ends_its_run_like_any_command(world: World, coordinator: Coordinator) -> None:
    (worker,) = ready(world, coordinator, A)
    run = coordinator.run([A], "exit 3")
    worker.take(Lost("ended", "logged out (exit 3)", 3))
    coordinator.pump()
    assert run.results[A.id].status == 3
    assert run.results[A.id].error == ""
    assert coordinator.links[A.id].state == "down"


def test_a_node_that_turns_connections_away_is_tried_again_in_time(
    world: World, coordinator: Coordinator
) -> None:
    run = coordinator.run([A], "hostname")
    world.workers[0].say(Lost("dropped", "kex_exchange_identification: Connection closed", 255))
    coordinator.pump()
    assert coordinator.links[A.id].state == "connecting"
    assert coordinator.deadline is not None
    assert coordinator.wait(lambda: len(world.workers) == 2, 10)
    assert [said for said in world.tell() if said[0] == "note"] == []
    world.workers[1].say(Opened(b"/"))
    coordinator.pump()
    assert world.workers[1].listen()[1:] == [Line(b"hostname")]
    assert not run.done


def test_a_node_that_always_turns_connections_away_is_given_up(
    world: World, coordinator: Coordinator
) -> None:
    coordinator.connect_timeout = 0.0
    run = coordinator.run([A], "hostname")
    world.workers[0].say(Lost("dropped", "kex_exchange_identification: Connection closed", 255))
    coordinator.pump()
    assert run.done
    assert coordinator.deadline is None


@pytest.mark.parametrize("end", ["dies", "babbles"])
def test_a_worker_that_fails_disturbs_no_other(
    world: World, coordinator: Coordinator, end: str
) -> None:
    one, two = ready(world, coordinator, A, B)
    run = coordinator.run([A, B], "hostname")
    if end == "dies":
        one.die()
    else:
        one.say_bytes(b"Traceback (most recent call last)")
    two.take(Output(b"b\n"), STALE)
    coordinator.pump()
    coordinator.pump()
    assert coordinator.links[A.id].state == "down"
    assert "worker" in coordinator.links[A.id].reason
    assert run.results[B.id].ok


def test_a_name_that_ssh_cannot_take_fails_alone(world: World, coordinator: Coordinator) -> None:
    bad = Node("bad", "i-bad", "test")
    run = coordinator.run([bad, A], "hostname")
    assert run.results[bad.id].state == "unreachable"
    assert "ssh cannot take this" in run.results[bad.id].error
    assert len(world.workers) == 1


def test_no_worker_at_all_is_told(
    world: World, coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(world, "spawn", fail)
    run = coordinator.run([A], "hostname")
    assert run.done
    assert "no more processes" in run.results[A.id].error


def test_a_zygote_that_is_gone_is_started_again(
    world: World, coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready(world, coordinator, A)
    world.alive = False
    other = World()
    monkeypatch.setattr(module, "Zygote", lambda: other)
    coordinator.open([B])
    assert len(other.workers) == 1


def test_reconnect_begins_where_it_was(world: World, coordinator: Coordinator) -> None:
    one, two = ready(world, coordinator, A, B)
    one.say(Ended(1, 0, 0.1, b"/a \xff\n"), Lost("dropped", "lost", 255))
    coordinator.pump()
    assert coordinator.reconnect([A, B, C]) == [A]
    (opening,) = world.workers[-1].listen()
    assert isinstance(opening, Open)
    assert opening.directory.encode("latin-1") == b"/a \xff\n"
    assert coordinator.counts() == {"connecting": 1, "ready": 1}
    assert two.listen() == []


def test_after_a_logout_or_close_a_session_begins_anew(
    world: World, coordinator: Coordinator
) -> None:
    one, two = ready(world, coordinator, A, B)
    one.say(Ended(1, 0, 0.1, b"/tmp"), Lost("ended", "logged out (exit 0)", 0))
    two.say(Ended(1, 0, 0.1, b"/tmp"))
    coordinator.pump()
    coordinator.pump()
    coordinator.close([B])
    coordinator.open([A, B])
    for worker in world.workers[-2:]:
        (opening,) = worker.listen()
        assert isinstance(opening, Open)
        assert opening.directory == ""


def test_a_line_to_a_lost_session_opens_it_again(world: World, coordinator: Coordinator) -> None:
    (worker,) = ready(world, coordinator, A)
    worker.say(Lost("dropped", "lost", 255))
    coordinator.pump()
    run = coordinator.run([A], "hostname")
    world.workers[-1].say(Opened(b"/"))
    coordinator.pump()
    assert world.workers[-1].listen()[1:] == [Line(b"hostname")]
    assert not run.done


def test_close_says_so_to_the_worker_and_nothing_to_people(
    world: World, coordinator: Coordinator
) -> None:
    one, two = ready(world, coordinator, A, B)
    run = coordinator.run([A], "sleep 600")
    assert coordinator.close([A, C]) == [A]
    assert one.listen()[-1] == Close()
    assert one.gone()
    assert run.done
    assert not [said for said in world.tell() if said[0] == "note"]
    assert list(coordinator.counts().items()) == [("ready", 1), ("down", 1)]  # as they are shown
    assert two.listen() == []


def test_closing_what_connects_gives_its_place_to_another(
    world: World, coordinator: Coordinator
) -> None:
    coordinator.open([A, B, C])
    coordinator.close([A])
    coordinator.pump()
    assert len(world.workers) == 3


def test_keys_go_to_live_sessions_only(world: World, coordinator: Coordinator) -> None:
    (worker,) = ready(world, coordinator, A)
    coordinator.open([B])
    assert coordinator.keys([A, B, C], b"\x03") == [A]
    assert worker.listen() == [Keys(b"\x03")]
    assert world.workers[-1].listen()[1:] == []


def test_notes_and_states_are_passed_on(world: World, coordinator: Coordinator) -> None:
    (worker,) = ready(world, coordinator, A)
    coordinator.run([A], "echo 'a")
    worker.say(State("unfinished"), Note("look"), State("unfinished"))
    coordinator.pump()
    assert world.tell() == [("busy", "a"), ("unfinished", "a"), ("note", "a", "look")]


def test_output_that_nobody_asked_for_is_told(world: World, coordinator: Coordinator) -> None:
    (worker,) = ready(world, coordinator, A)
    worker.say(Output(b"late\n"))
    coordinator.pump()
    assert world.tell() == [("output", "a", b"late\n")]


def test_held_output_stays_with_the_worker(world: World, coordinator: Coordinator) -> None:
    (worker,) = ready(world, coordinator, A)
    coordinator.open([B])
    coordinator.hold(True)
    worker.say(Output(b"one\n"))
    world.workers[-1].say(Opened(b"/"))
    coordinator.pump()
    coordinator.pump()
    assert world.tell() == [("connecting", "b"), ("ready", "b")]  # a login is no output
    coordinator.run([A], "hostname")
    assert worker.listen() == [Line(b"hostname")]
    coordinator.hold(False)
    coordinator.pump()
    assert ("output", "a", b"one\n") in world.tell()


def test_a_worker_that_does_not_listen_holds_up_nobody(
    world: World, coordinator: Coordinator
) -> None:
    one, two = ready(world, coordinator, A, B)
    text = "x" * (4 << 20)
    coordinator.run([A, B], text)
    heard: list[Message] = []
    while not heard:
        coordinator.pump(0.01)
        heard = two.listen()
    assert heard == [Line(text.encode())]
    while not (heard := one.listen()):
        coordinator.pump(0.01)
    assert heard == [Line(text.encode())]


def test_waiting_ends_by_what_is_waited_for_or_by_time(coordinator: Coordinator) -> None:
    assert coordinator.wait(lambda: True)
    assert not coordinator.wait(lambda: False, 0.01)
    assert coordinator.caught == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_waiting_and_is_kept(coordinator: Coordinator, number: int) -> None:
    before = signal.getsignal(number)

    def done() -> bool:
        if not coordinator.caught:
            os.kill(os.getpid(), number)
        return False

    assert not coordinator.wait(done, 30)
    assert number in coordinator.caught
    assert signal.getsignal(number) == before


def test_shutdown_ends_every_session(world: World, coordinator: Coordinator) -> None:
    workers = ready(world, coordinator, A, B)
    coordinator.shutdown()
    assert [worker.listen() for worker in workers] == [[Close()], [Close()]]
    assert all(worker.gone() for worker in workers)
    assert not world.alive
    assert coordinator.counts() == {"down": 2}
