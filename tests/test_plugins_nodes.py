"""The commands show, refresh, use, start, stop and terminate, typed as a person types them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from recording import LONE, MASTER, NODES, WORKER1, WORKER2, FakeBackend, Recorder, node

from dust.errors import BackendError, Interrupted, TargetError, UsageError


@pytest.fixture
def dust(tmp_path: Path) -> Recorder:
    return Recorder(NODES, tmp_path)


def names(text: str) -> list[str]:
    """The second column of the table that `show` prints: the nodes' names."""
    rows = [line.split() for line in text.splitlines()]
    return [row[1] for row in rows if row and row[0].isdecimal()]


# show


def test_show_groups_nodes_by_cluster(dust: Recorder) -> None:
    assert (
        dust.type("show")
        == """\
Nodes in fake east:

      Name     Instance  State    ID         ext_IP     int_IP

slurm1
   1  master   t2.small  running  i-master   52.20.1.9  172.31.1.7
   2  worker1            running  i-worker1
   3  worker2            stopped  i-worker2

Unassigned:
   4  lone               running  i-lone"""
    )


def test_show_without_clusters_has_no_groups(tmp_path: Path) -> None:
    text = Recorder([node("a"), node("b")], tmp_path).type("show")
    assert "Unassigned" not in text
    assert names(text) == ["a", "b"]


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["worker*"], ["worker1", "worker2"]),
        (["state=stopped"], ["worker2"]),
        (["3,1"], ["master", "worker2"]),
        (["lone", "master"], ["master", "lone"]),
        (["52.20"], ["master"]),
        (["MY"], ["worker1"]),
        (["'my node'"], ["worker1"]),
        (["node", "slurm"], ["worker1"]),
        (["v:dev"], ["worker1"]),
        (["env=dev"], ["worker1"]),
    ],
)
def test_show_selects_or_searches(dust: Recorder, words: list[str], shown: list[str]) -> None:
    assert names(dust.type("show", *words)) == shown


def test_show_of_what_is_nowhere_names_the_nearest(dust: Recorder) -> None:
    with pytest.raises(TargetError, match="worker1.*no property or tag has it"):
        dust.type("show", "worker1x")


def test_show_keeps_to_the_working_set(dust: Recorder) -> None:
    dust.type("use", "slurm1")
    text = dust.type("show")
    assert text.startswith("Nodes in fake east, cluster slurm1:")
    assert names(text) == ["master", "worker1", "worker2"]
    with pytest.raises(TargetError):
        dust.type("show", "i-lone")


def test_show_has_sessions_where_there_are_any(dust: Recorder) -> None:
    assert "Session" not in dust.type("show")
    dust.sessions.add(MASTER, "waiting")
    lines = dust.type("show").splitlines()
    assert "Session" in lines[2]
    assert lines[5].endswith("172.31.1.7  waiting")


def test_show_v_has_more(dust: Recorder) -> None:
    lines = dust.type("show", "-v").splitlines()
    assert lines[2].split()[-4:] == ["Session", "Username", "Launch_time", "Tags"]
    assert lines[5].split()[-2:] == ["admin", "2016-04-08"]
    assert lines[6].endswith("env:dev Name:My Node")


@pytest.mark.parametrize("words", [["-vv"], ["-v", "-v"]])
def test_show_vv_has_every_property_by_its_name(dust: Recorder, words: list[str]) -> None:
    lines = dust.type("show", *words, "master", "worker1").splitlines()
    first, second = lines[2 : lines.index("", 2)], lines[lines.index("", 2) + 1 :]
    assert first[0] == "1  master"
    pairs = [line.split(None, 1) for line in first[1:]]
    assert {key: (rest or [""])[0] for key, *rest in pairs} == MASTER.properties()
    assert "    tags        env:dev" in second
    assert "    tags        Name:My Node" in second


def test_show_aligns_wide_names_and_disarms_controls(tmp_path: Path) -> None:
    dust = Recorder([node("日本", "on"), node("a\x1b[2J", "off"), node("e\u0301", "x")], tmp_path)
    rows = dust.type("show").splitlines()[4:]
    assert [row[6 : row.index("  i-")] for row in rows] == [
        "日本" + " " * 16 + "on   ",
        "a\\x1b[2J" + " " * 12 + "off  ",
        "e\u0301" + " " * 19 + "x    ",
    ]


def test_show_tells_nodes_of_one_name_apart(tmp_path: Path) -> None:
    dust = Recorder([node("twin", id="i-1"), node("twin", id="i-2")], tmp_path)
    assert names(dust.type("show")) == ["twin~i-1", "twin~i-2"]


def test_show_without_nodes_says_what_to_do(tmp_path: Path) -> None:
    dust = Recorder([], tmp_path)
    assert dust.type("show") == "there are no nodes in fake east."
    dust.backend.name = "local"
    assert "`bin/demo N`" in dust.type("show")
    dust.cluster.working_set = "gone"
    assert "gone; `use *`" in dust.type("show")


def test_refresh_asks_again(dust: Recorder) -> None:
    dust.type("show")
    dust.backend.there = [LONE, WORKER2]
    assert names(dust.type("show")) == ["master", "worker1", "worker2", "lone"]
    assert dust.type("refresh") == "2 nodes in fake east\n1 running, 1 stopped"
    assert [dust.cluster.number(each) for each in (LONE, WORKER2)] == [1, 2]


# use


def test_use_lists_and_marks_what_is_in_use(dust: Recorder) -> None:
    dust.type("use")
    dust.type("use", "slurm1")
    dust.type("use")
    headers = ["", "use", "nodes", "running"]
    assert dust.tables == [
        ([[">", "*", "4", "3"], ["", "slurm1", "3", "2"]], headers),
        ([["", "*", "4", "3"], [">", "slurm1", "3", "2"]], headers),
    ]
    dust.type("use", "*")
    assert dust.cluster.working_set == ""


def test_use_takes_another_region(dust: Recorder) -> None:
    dust.backend.region = "mars-east-1"
    dust.type("use", "slurm1")
    assert dust.type("use", "mars-east-2") == "1 node in fake mars-east-2"
    assert (dust.cluster.working_set, dust.cluster.backend.region) == ("", "mars-east-2")
    assert [dust.cluster.number(node) for node in dust.cluster.nodes()] == [1]


def test_use_names_the_nearest_region(dust: Recorder) -> None:
    with pytest.raises(TargetError, match="no cluster mars-east-1"):
        dust.type("use", "mars-east-1")
    dust.backend.region = "mars-east-1"
    with pytest.raises(UsageError, match="no region mars-esat-1; did you mean mars-east-1?"):
        dust.type("use", "mars-esat-1")


def test_a_region_that_cannot_be_listed_is_not_moved_to(
    dust: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    dust.backend.region = "mars-east-1"
    dust.type("use", "slurm1")
    before, broken = dust.backend, FakeBackend([])
    monkeypatch.setattr(broken, "nodes", lambda: 1 / 0)
    monkeypatch.setattr(dust.backend, "elsewhere", lambda region: broken)
    with pytest.raises(ZeroDivisionError):
        dust.type("use", "mars-east-2")
    assert (dust.cluster.working_set, dust.cluster.backend) == ("slurm1", before)
    assert [node.name for node in dust.cluster.working()] == ["master", "worker1", "worker2"]


# start, stop, terminate


def test_stop_asks_and_makes_one_call(dust: Recorder) -> None:
    said = dust.type("stop", "slurm1")
    assert dust.asked == ["stop 2 nodes: master,worker1?"]
    assert dust.backend.changes == [("stop", "i-master", "i-worker1")]
    assert said == "master,worker1: stopped"
    assert [each.state for each in dust.select("slurm1")] == ["stopped"] * 3
    assert dust.errors == []


def test_no_is_no(dust: Recorder) -> None:
    dust.answer = False
    dust.type("terminate", "*")
    assert dust.asked == ["terminate 4 nodes of all clusters: master,worker[1-2],lone?"]
    assert dust.backend.changes == []
    assert dust.errors == ["terminate: nothing was done"]


@pytest.mark.parametrize("verb", ["start", "stop", "terminate"])
def test_all_nodes_are_never_meant_unasked(dust: Recorder, verb: str) -> None:
    for words in ([verb], [verb, "-y"]):
        with pytest.raises(UsageError, match=f"`{verb} \\*` for all 4 nodes"):
            dust.type(*words)
    assert dust.backend.changes == []


def test_the_cluster_in_use_is_asked_with_its_name(dust: Recorder) -> None:
    dust.type("use", "slurm1")
    dust.type("start")
    dust.type("stop", "*")
    assert dust.asked == ["start 1 node of slurm1: worker2?",
                          "stop 3 nodes of slurm1: master,worker[1-2]?"]  # fmt: skip
    assert dust.backend.changes[0] == ("start", "i-worker2")


def test_y_does_not_ask(dust: Recorder) -> None:
    dust.type("start", "-y", "*")
    assert dust.asked == []
    assert dust.backend.changes == [("start", "i-worker2")]


def test_nothing_to_do_is_said(dust: Recorder) -> None:
    assert dust.type("start", "worker1") == "nothing to do: worker1 running"
    assert dust.type("stop", "worker2") == "nothing to do: worker2 stopped"
    assert (dust.asked, dust.backend.changes, dust.errors) == ([], [], [])


def test_what_fails_is_told_by_node(dust: Recorder) -> None:
    dust.backend.broken = {"i-master": "it is protected"}
    for each in (MASTER, WORKER1, LONE):
        dust.sessions.add(each, "ready")
    assert dust.type("terminate", "-y", "slurm1") == "worker[1-2]: terminated"
    assert dust.errors == ["master: it is protected"]
    assert dust.cluster.nodes() == [MASTER, LONE]
    assert dust.cluster.number(LONE) == 4
    states = {link.node.name: link.state for link in dust.sessions.links.values()}
    assert states == {"master": "ready", "worker1": "down", "lone": "ready"}


def test_power_acts_on_what_is_true_now(dust: Recorder) -> None:
    dust.type("show")
    dust.backend.there[3] = node("lone", "stopped")
    dust.type("start", "-y", "lone")
    assert dust.backend.changes == [("start", "i-lone")]


def test_reboot_asks_and_ends_the_sessions(dust: Recorder) -> None:
    for each in (MASTER, LONE):
        dust.sessions.add(each, "ready")
    assert dust.type("reboot", "slurm1") == "master,worker1: running"
    assert dust.asked == ["reboot 2 nodes: master,worker1?"]
    assert [dust.sessions.state_of(each.id) for each in (MASTER, LONE)] == ["down", "ready"]


def test_a_dry_run_only_says_what_it_would_be(dust: Recorder) -> None:
    assert dust.type("terminate", "--dry-run", "worker*") == (
        "would terminate 2 nodes: worker[1-2]"
    )
    assert (dust.asked, dust.backend.changes) == ([], [])


def test_a_whole_region_is_asked_with_its_name(dust: Recorder) -> None:
    dust.backend.region = "mars-east-1"
    dust.type("stop", "slurm1,lone")
    dust.type("stop", "slurm1")
    dust.type("use", "slurm1")
    dust.type("start", "*")
    assert dust.asked == [
        "stop 3 nodes in fake east: master,worker1,lone? mars-east-1",
        "start 3 nodes of slurm1 in fake east: master,worker[1-2]?",
    ]


def test_who_fails_for_one_reason_is_told_in_one_line(dust: Recorder) -> None:
    dust.backend.broken = {"i-worker1": "no capacity", "i-master": "no capacity"}
    dust.type("stop", "-y", "*")
    assert dust.errors == ["master,worker1: no capacity"]


def test_a_dry_run_says_what_is_not_allowed(dust: Recorder) -> None:
    dust.backend.broken = {"i-worker1": "not allowed"}
    with pytest.raises(BackendError, match="not allowed"):
        dust.type("stop", "--dry-run", "worker*")


def test_far_nodes_are_followed_unless_nobody_waits(dust: Recorder) -> None:
    dust.backend.region = "mars-east-1"
    dust.type("stop", "-y", "slurm1")
    assert dust.backend.waited
    assert dust.progress.startswith("stop: 2 between, ")
    dust.type("start", "-y", "--no-wait", "slurm1")
    assert not dust.backend.waited


def test_ctrl_c_ends_following_and_says_so(dust: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    dust.backend.region = "mars-east-1"

    def aside(work: Callable[[], object], progress: Callable[[], str] = str) -> object:
        work()
        raise Interrupted

    monkeypatch.setattr(dust, "aside", aside)
    with pytest.raises(Interrupted):
        dust.type("stop", "-y", "slurm1")
    assert dust.errors == ["stop: no longer followed; `refresh` tells what became of the nodes"]
