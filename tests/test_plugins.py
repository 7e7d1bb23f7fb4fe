"""The built-in commands, each typed as a person types it."""

from pathlib import Path

import pytest
from recording import Recorder, node, ran

from dust.command import HelpRequested
from dust.config import KEYS
from dust.errors import TargetError, UsageError
from dust.node import Node

MASTER = node("master", cluster="slurm1", type="t2.small", ip="52.20.1.9", private_ip="172.31.1.7",
              details={"launch_time": "2016-04-08", "username": "admin"})  # fmt: skip
WORKER1 = node("worker1", cluster="slurm1", tags={"env": "dev", "Name": "My Node"})
WORKER2 = node("worker2", "stopped", cluster="slurm1")
LONE = node("lone")
NODES = [MASTER, WORKER1, WORKER2, LONE]


@pytest.fixture
def dust(tmp_path: Path) -> Recorder:
    return Recorder(NODES, tmp_path)


def names(text: str) -> list[str]:
    """The second column of the table that `show` prints: the nodes' names."""
    rows = [line.split() for line in text.splitlines()]
    return [row[1] for row in rows if row and row[0].isdecimal()]


# show


def test_show_groups_nodes_by_cluster(dust: Recorder) -> None:
    assert dust.type("show") == """\
Nodes in fake east:

      Name     Instance  State    ID         ext_IP     int_IP

slurm1
   1  master   t2.small  running  i-master   52.20.1.9  172.31.1.7
   2  worker1            running  i-worker1
   3  worker2            stopped  i-worker2

Unassigned:
   4  lone               running  i-lone"""


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
    assert rows == ["   1  日本               on     i-日本",
                    "   2  a\\x1b[2J           off    i-a\\x1b[2J",
                    "   3  e\u0301                  x      i-e\u0301"]  # fmt: skip


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
    assert dust.asked == ["terminate 4 nodes of all clusters: lone,master,worker[1-2]?"]
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


def test_close(busy: Recorder) -> None:
    assert busy.type("close", "slurm1") == "master,worker1: closed"
    assert busy.type("close") == "gone,lone: closed"
    assert busy.type("close") == "no session is open"
    assert busy.type("close", "lone") == "no session is open there"


def test_reconnect_opens_what_is_down(busy: Recorder) -> None:
    assert busy.type("reconnect") == "no session is down on gone,lone,master,worker1"
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
    dust.last = ran({by_name[name]: text for name, text in texts.items()})


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
def test_the_last_run_again(
    dust: Recorder, words: list[str], shown: tuple[list[str], str]
) -> None:
    outputs(dust, master="a\n", worker1="b\n", gone="c\n")
    said = dust.type(*words)
    assert dust.shown == [shown]
    assert ("3 ok" in said) == (len(shown[0]) == 3)


def test_the_last_run_names_who_is_late(dust: Recorder) -> None:
    outputs(dust, master="a\n", worker1=None, lone=None)
    assert dust.type("last") == "lone,worker1: still running"
    assert dust.type("fold", "slurm1") == "worker1: still running"


def test_a_target_that_had_no_part_is_told(dust: Recorder) -> None:
    outputs(dust, master="a\n", worker1="b\n")
    for verb in ("last", "fold", "diff"):
        with pytest.raises(TargetError, match="lone had no part in the last line: master,worker1"):
            dust.type(verb, "lone")


def test_diff_compares_with_the_largest_group(dust: Recorder) -> None:
    outputs(dust, master="a\nb\n", worker1="\x1b[31ma\x1b[0m\nc\n", worker2="a\nc\n", lone="a\nc\n")
    assert dust.type("diff") == """\
--- lone,worker[1-2] (3)
+++ master (1)
@@ -1,2 +1,2 @@
 a
-c
+b"""
    assert dust.type("diff", "w*") == "worker[1-2] (2): no difference"


def test_diff_of_two_compares_the_second_with_the_first(dust: Recorder) -> None:
    outputs(dust, master="a\n", worker1="b\n", lone="b\n")
    assert dust.type("diff", "master", "worker1").splitlines()[:2] == [
        "--- master (1)",
        "+++ worker1 (1)",
    ]
    assert dust.type("diff", "lone", "worker1") == "lone,worker1 (2): no difference"


# settings


def test_set_lists_every_setting(dust: Recorder) -> None:
    dust.type("set", "fanout", "5")
    dust.type("set")
    rows = dust.tables[0][0]
    assert [row[0] for row in rows] == list(KEYS)
    assert rows[1][:2] == ["fanout", "5"]
    assert all(row[2] for row in rows)
    dust.type("set", "connect-timeout")
    assert [row[:2] for row in dust.tables[1][0]] == [["connect_timeout", "15"]]


def test_set_e(dust: Recorder) -> None:
    dust.type("set", "-e")
    assert dust.settings.errexit
    dust.type("set", "+e")
    assert not dust.settings.errexit


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fanuot"], "did you mean 'fanout'|did you mean fanout"),
        (["fanout", "many"], "set fanout: 'many' is not a whole number"),
        (["backend", "ssh"], "set backend: this holds from the start"),
        (["use", "slurm1"], "`use NAME`"),
        (["-x"], "no option -x"),
        (["+e", "1"], "takes no value"),
    ],
)
def test_set_refuses(dust: Recorder, words: list[str], message: str) -> None:
    before = dust.settings
    with pytest.raises(UsageError, match=message):
        dust.type("set", *words)
    assert dust.settings == before


def test_history(dust: Recorder) -> None:
    dust.typed = ["show", "@ a\nb", "stop\x07"]
    assert dust.type("history") == "    1  show\n    2  @ a\n       b\n    3  stop\\x07"
    assert dust.type("history", "1") == "    3  stop\\x07"
    assert dust.type("history", "0") == ""
    assert dust.type("history", "9").startswith("    1  show")
    with pytest.raises(UsageError, match="history x"):
        dust.type("history", "x")


# help, reload, exit


def test_every_command_of_the_specification_is_there(dust: Recorder) -> None:
    wanted = """show start stop terminate use refresh reconnect close interrupt eof suspend output
                last fold diff set help history exit reload"""
    assert set(dust.registry.commands) == set(wanted.split())
    assert dust.registry.problems == []


def test_help_lists_commands_by_plugin(dust: Recorder) -> None:
    lines = dust.type("help").splitlines()
    at = lines.index("nodes - the nodes that there are.")
    assert lines[at + 1].startswith("  show  ")
    assert lines[at + 2].startswith("  refresh  ")
    assert any(line.startswith("  exit, quit  ") for line in lines)
    assert all(len(line) <= 100 for line in lines)


def test_help_shows_a_command(dust: Recorder) -> None:
    text = dust.type("help", "stop")
    assert "Usage: stop [-y] [<target>]" in text
    assert "From" not in text
    with pytest.raises(UsageError, match="did you mean stop"):
        dust.type("help", "stpo")
    with pytest.raises(HelpRequested, match="Usage: stop"):
        dust.type("stop", "--help")


def test_help_targets_fits_a_screen(dust: Recorder) -> None:
    lines = dust.type("?", "targets").splitlines()
    assert len(lines) < 24
    assert max(map(len, lines)) < 80


PLUGIN = '''\
"""mine - of my own."""
from dust.command import Dust, command

@command
def {name}(dust: Dust) -> None:
    """Do it.

    Usage: {name}
    """
'''


def test_help_and_reload_of_a_users_plugin(dust: Recorder, tmp_path: Path) -> None:
    assert dust.type("reload") == "no plugin has changed"
    path = tmp_path / "mine.py"
    path.write_text(PLUGIN.format(name="mine"))
    assert dust.type("reload") == "read: mine"
    assert f"mine - of my own. ({path})" in dust.type("help")
    assert dust.type("help", "mine").endswith(f"\nFrom {path}:4")
    path.write_text(PLUGIN.format(name="show"))
    dust.type("reload", "mine")
    assert dust.type("help", "show").endswith("in place of Dust's own")
    path.write_text("1 +")
    dust.type("reload", "mine")
    assert [f"{path}:1" in error for error in dust.errors] == [True]
    assert f"Not all is there: {path}:1" in dust.type("help")


def test_exit(dust: Recorder) -> None:
    dust.type("exit")
    assert dust.left == 0
    dust.type("quit", "3")
    assert dust.left == 3
    for wrong in ("256", "-1", "x"):
        with pytest.raises(UsageError, match=f"exit {wrong}"):
            dust.type("exit", wrong)
