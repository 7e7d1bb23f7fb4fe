"""Clusters that are assigned: their files, what they say of nodes, and the command."""

from __future__ import annotations

from pathlib import Path

import pytest
from recording import Recorder, node

from dust import clusterfile
from dust.assigned import ClusterFiles
from dust.clusterfile import ClusterFile, parse
from dust.errors import ConfigError, DustError, Interrupted
from dust.node import Node

A = node("a", tags={"cluster-name": "webtest"}, ssh={"HostName": "10.0.0.1", "User": "old"})
B = node("b", tags={"cluster-name": "webtest"})
UNNAMED = node("i-77", id="i-77", cluster="stack1")
TWINS = [node("twin", id="i-1"), node("twin", id="i-2")]
NODES = [UNNAMED, A, B, *TWINS]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DUST_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def dust(tmp_path: Path) -> Recorder:
    return Recorder(NODES, tmp_path)


def write(home: Path, name: str, text: str) -> Path:
    path = home / "clusters" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


# files


def test_a_file_is_read_as_it_was_written(home: Path) -> None:
    names = {"i-a": "web 1", "i-b": "=: *\N{PILE OF POO}", "1": "yes"}
    file = ClusterFile("web", "tags='a:b # c'", "me", "~/k", 3, "ec2", "mars-east-1", names)
    clusterfile.write(file)
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert clusterfile.read(file.path) == file


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "x.yaml:1: a mapping"),
        ("- a\n", "x.yaml:1: a mapping"),
        ("filter: a\nfilter: b\n", "x.yaml:2: filter is here a second time"),
        ("filter: a\nusernme: b\n", "x.yaml:2: no key 'usernme'; did you mean username?"),
        ("username: b\n", "there is no filter"),
        ("filter: 'a['\n", r"x.yaml:1: filter: a\["),
        ("filter: [a]\n", "x.yaml:1: one plain value"),
        ("filter: a\nprecedence: high\n", "x.yaml:2: precedence: 'high' is not a whole number"),
        ("filter: a\nusername: -oX\n", "x.yaml:2: username: '-oX' cannot be"),
        ('filter: a\nkey: "a\\nb"\n', "x.yaml:2: key: ssh cannot take"),
        ("filter: a\nnodes:\n  i-1: ''\n", "x.yaml:2: nodes: '' cannot be a node's name"),
        ("filter: a\n\tkey: b\n", "x.yaml:2: "),
        ("filter: &a b\nkey: *a\n", r"x.yaml:2: \*a: a cluster's file has no aliases"),
        ("filter: a\nnodes: {a: {b: {c: d}}}\n", "x.yaml:2: one plain value"),
        ("filter: \x01\n", "this is not YAML text"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse(text, Path("x.yaml"))


def test_a_damaged_file_holds_as_it_was_and_hurts_no_other(home: Path) -> None:
    path = write(home, "one", "filter: a\n")
    write(home, "two", "filter: b\n")
    write(home, "-odd", "filter: b\n")
    files = ClusterFiles()
    files.read()
    assert len(files.problems) == 1 and "-odd.yaml: '-odd' cannot be" in files.problems[0]
    path.write_bytes(b"filter: \xff\n")
    files.read()
    assert f"{path}:1: this is not UTF-8 text" in files.problems
    assert [file.name for file in files.files] == ["one", "two"]
    path.unlink()
    files.read()
    assert [file.name for file in files.files] == ["two"]


def test_a_node_is_in_the_cluster_of_the_highest_precedence(home: Path) -> None:
    write(home, "low", "filter: '*'\nprecedence: -1\nusername: low\n")
    write(home, "high", "filter: tags=cluster-name:*\nprecedence: 2\n")
    write(home, "elsewhere", "filter: '*'\nprecedence: 9\nregion: mars-west-1\n")
    write(home, "other", "filter: '*'\nprecedence: 9\nbackend: local\n")
    files = ClusterFiles()
    files.read()
    clusters = {node.id: node.cluster for node in files.applied(NODES, "fake", "mars-east-1")}
    assert clusters == {"i-a": "high", "i-b": "high", "i-77": "low", "i-1": "low", "i-2": "low"}


def test_user_and_key_are_facts_for_ssh(home: Path) -> None:
    write(home, "web", "filter: a\nusername: me\nkey: /k/50%\nnodes:\n  i-a: web1\n")
    files = ClusterFiles()
    files.read()
    (web1,) = [n for n in files.applied(NODES, "fake", "") if n.cluster == "web"]
    assert web1.name == "web1"
    assert web1.ssh == {"HostName": "10.0.0.1", "User": "me", "IdentityFile": '"/k/50%%"'}
    assert web1.ssh_defaults == {"IdentitiesOnly": "yes"}
    assert (web1.details["username"], web1.details["keyfile"]) == ("me", "/k/50%")


def test_a_list_of_names_holds_when_one_is_gone(home: Path) -> None:
    write(home, "web", "filter: a,gone,b\n")
    files = ClusterFiles()
    files.read()
    assert [n.name for n in files.applied(NODES, "fake", "") if n.cluster == "web"] == ["a", "b"]


# the command


def test_assign_with_all_that_is_asked(dust: Recorder, home: Path) -> None:
    key = home.parent / "my key"
    key.touch()
    dust.lines = ["tags=cluster-name:webtest", "webtest", "ubuntu", str(key), "web[1-2]"]
    said = dust.type("assign")
    assert [question.partition(" [")[0] for question in dust.asked] == [
        "Which nodes (a target)",
        "Name of the cluster of 2 nodes",
        "Login user",
        "Private key",
        "Names of the nodes",
    ]
    assert said.startswith("webtest: 2 nodes, web[1-2]\n")
    assert (home / "clusters" / "webtest.yaml").read_text() == (
        "filter: tags=cluster-name:webtest\nusername: ubuntu\n"
        f"key: {key}\nprecedence: 1\nbackend: fake\n"
        "nodes:\n  i-a: web1\n  i-b: web2\n"
    )
    assert [n.name for n in dust.select("webtest")] == ["web1", "web2"]
    assert [dust.cluster.number(n) for n in dust.select("webtest")] == [2, 3]


def test_without_a_terminal_names_that_tell_nodes_apart_stay(dust: Recorder, home: Path) -> None:
    dust.type("assign", "tags=cluster-name:*", "web")
    assert [n.name for n in dust.select("web")] == ["a", "b"]
    dust.type("assign", "i-77,twin", "odd")
    assert [n.name for n in dust.select("odd")] == ["node0", "node1", "node2"]
    dust.type("assign", "id=i-[1-2]", "twins", "--names", "t", "--user", "me")
    assert [(n.name, n.ssh.get("User")) for n in dust.select("twins")] == [
        ("t0", "me"),
        ("t1", "me"),
    ]
    assert [n.name for n in dust.select("odd")] == ["node0"]


def test_hosts_of_a_file_keep_their_names_unless_others_are_given(tmp_path: Path) -> None:
    dust = Recorder([Node(name, name, "ssh") for name in ("h1", "h2")], tmp_path)
    dust.type("assign", "h*", "web")
    assert [n.name for n in dust.select("web")] == ["h1", "h2"]
    dust.type("assign", "h*", "other", "--names", "w")
    assert [n.name for n in dust.select("other")] == ["w0", "w1"]


def test_what_does_not_last_becomes_ids(dust: Recorder, home: Path) -> None:
    dust.cluster.nodes()
    dust.type("assign", "2-3", "web", "--names", "w")
    assert clusterfile.read(home / "clusters" / "web.yaml").filter == "id=i-a,id=i-b"
    dust.type("assign", "w0", "first")
    assert clusterfile.read(home / "clusters" / "first.yaml").filter == "id=i-a"
    dust.type("use", "web")
    dust.type("assign", "*", "second")
    assert clusterfile.read(home / "clusters" / "second.yaml").filter == "id=i-b"


def test_the_last_leaves_nodes_where_they_are(dust: Recorder) -> None:
    dust.type("assign", "a", "web")
    assert "1 of these stay with another cluster" in dust.type("assign", "*", "rest", "--last")
    assert [n.name for n in dust.select("web")] == ["a"]


def test_a_cluster_is_not_replaced_unasked(dust: Recorder, home: Path) -> None:
    dust.type("assign", "a", "web")
    dust.answer = False
    dust.type("assign", "b", "web")
    assert dust.errors == ["assign: nothing was done"]
    assert clusterfile.read(home / "clusters" / "web.yaml").filter == "a"


def test_remove_forgets_it(dust: Recorder, home: Path) -> None:
    dust.type("assign", "a", "web")
    dust.type("use", "web")
    dust.type("assign", "--remove", "web")
    assert dust.cluster.working_set == ""
    assert "web" not in dust.cluster.clusters()
    with pytest.raises(DustError, match="no cluster web was assigned"):
        dust.type("assign", "--remove", "web")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["assign"], "assign which nodes?"),
        (["assign", "a"], "assign them to which name?"),
        (["assign", "a", "../x"], "'../x' cannot be a cluster's name"),
        (["assign", "a", "--", "-x"], "cannot be a cluster's name"),
        (["assign", "a", "x", "--user", "a b"], "'a b' cannot be the name of a login user"),
        (["assign", "a", "x", "--key", "/no/such"], "there is no key /no/such"),
        (["assign", "a,b", "x", "--names", "n[1-3]"], "are 3 names for 2 nodes"),
        (["assign", "nobody", "x"], "no node or cluster is called nobody"),
    ],
)
def test_what_cannot_be_is_said(dust: Recorder, home: Path, words: list[str], said: str) -> None:
    with pytest.raises(DustError) as error:
        dust.type(*words)
    assert said in str(error.value)
    assert not (home / "clusters").exists()


def test_giving_up_a_question_writes_nothing(dust: Recorder, home: Path) -> None:
    dust.ask_line = lambda question, otherwise="": None  # type: ignore[method-assign]
    with pytest.raises(Interrupted):
        dust.type("assign", "a", "web")
    assert not (home / "clusters").exists()


def test_a_file_edited_by_hand_holds_after_refresh(dust: Recorder, home: Path) -> None:
    told: list[str] = []
    dust.cluster.warn = told.append
    dust.type("assign", "a", "web")
    path = home / "clusters" / "web.yaml"
    path.write_text(path.read_text() + "nodes:\n  i-a: renamed\n")
    dust.type("refresh")
    assert [n.name for n in dust.select("web")] == ["renamed"]
    path.write_text("filter: [\n")
    for _ in range(2):
        dust.type("refresh")
        dust.cluster.update()
    assert len(told) == 2 and str(path) in told[0]
    assert [n.name for n in dust.select("web")] == ["renamed"]
