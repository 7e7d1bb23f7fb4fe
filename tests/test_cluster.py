from pathlib import Path

import pytest
from recording import FakeBackend, node, ran

from dust.backend import Change
from dust.cluster import Cluster
from dust.errors import BackendError, TargetError
from dust.groups import Groups
from dust.node import Node

NODES = [
    node("master", cluster="slurm1"),
    node("worker1", cluster="slurm1"),
    node("worker2", "stopped", cluster="slurm1"),
    node("web1", cluster="webtest"),
    node("lone"),
]


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend(NODES)


@pytest.fixture
def cluster(backend: FakeBackend) -> Cluster:
    return Cluster(backend)


def names(nodes: list[Node]) -> list[str]:
    return [node.name for node in nodes]


def numbered(cluster: Cluster) -> dict[str, int]:
    return {node.name: cluster.number(node) for node in cluster.nodes()}


def test_nodes_are_listed_once_and_when_needed(backend: FakeBackend, cluster: Cluster) -> None:
    assert cluster.known() == []
    assert backend.calls == []
    assert cluster.nodes() == NODES
    cluster.select("worker*")
    cluster.clusters()
    assert backend.calls == [("nodes",)]
    assert cluster.known() == NODES


def test_what_a_caller_does_to_a_list_stays_there(cluster: Cluster) -> None:
    cluster.refresh().clear()
    cluster.nodes().clear()
    cluster.known().clear()
    cluster.working().clear()
    cluster.select("*").clear()
    assert cluster.nodes() == NODES


def test_numbers_stay_until_refresh(backend: FakeBackend, cluster: Cluster) -> None:
    assert numbered(cluster) == {"master": 1, "worker1": 2, "worker2": 3, "web1": 4, "lone": 5}
    backend.there = [node("new"), *NODES[2:]]
    cluster.update()
    assert numbered(cluster) == {"new": 6, "worker2": 3, "web1": 4, "lone": 5}
    backend.there.append(node("newer"))
    cluster.update()
    assert numbered(cluster)["newer"] == 7
    assert names(cluster.select("3,6")) == ["new", "worker2"]
    cluster.refresh()
    assert numbered(cluster) == {"new": 1, "worker2": 2, "web1": 3, "lone": 4, "newer": 5}


def test_update_takes_up_states_and_new_facts(backend: FakeBackend, cluster: Cluster) -> None:
    cluster.nodes()
    backend.there[2] = NODES[2]._replace(ip="10.0.0.9", state="pending")
    cluster.update([Change("i-worker2", "running"), Change("i-web1", "stopped", "protected")])
    found = {node.name: node for node in cluster.nodes()}
    assert (found["worker2"].state, found["worker2"].ip) == ("running", "10.0.0.9")
    assert found["web1"].state == "running"


def test_an_error_of_the_backend_leaves_what_is_known(
    backend: FakeBackend, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.nodes()

    def fail() -> list[Node]:
        raise BackendError("no route")

    monkeypatch.setattr(backend, "nodes", fail)
    with pytest.raises(BackendError):
        cluster.refresh()
    with pytest.raises(BackendError):
        cluster.update([Change("i-web1", "stopped")])
    assert names(cluster.nodes()) == names(NODES)
    assert [each.state for each in cluster.select("web1")] == ["stopped"]
    assert numbered(cluster)["lone"] == 5


def test_nodes_of_one_name_are_told_apart(backend: FakeBackend, cluster: Cluster) -> None:
    first, second = node("twin", id="i-1"), node("twin", id="i-2")
    assert cluster.label(first) == "twin"
    backend.there = [first, second, node("other")]
    cluster.nodes()
    assert [cluster.label(each) for each in cluster.nodes()] == ["twin~i-1", "twin~i-2", "other"]
    backend.there = [second]
    cluster.refresh()
    assert cluster.label(second) == "twin"


def test_labels_are_folded(cluster: Cluster) -> None:
    assert cluster.labels(cluster.select("worker*")) == "worker[1-2]"


def test_clusters_and_the_working_set(cluster: Cluster) -> None:
    assert {name: names(nodes) for name, nodes in cluster.clusters().items()} == {
        "slurm1": ["master", "worker1", "worker2"],
        "webtest": ["web1"],
    }
    cluster.use("slurm1")
    assert names(cluster.working()) == ["master", "worker1", "worker2"]
    assert names(cluster.select("")) == ["master", "worker1", "worker2"]
    assert names(cluster.select("*")) == ["master", "worker1", "worker2"]
    assert names(cluster.select("state=running")) == ["master", "worker1"]
    assert names(cluster.nodes()) == names(NODES)
    cluster.use("*")
    assert names(cluster.select("")) == names(NODES)


def test_an_unknown_cluster_names_the_nearest_and_changes_nothing(cluster: Cluster) -> None:
    cluster.use("webtest")
    with pytest.raises(TargetError, match=r"no cluster slrum1; did you mean slurm1\?"):
        cluster.use("slrum1")
    with pytest.raises(TargetError, match="no cluster zzz; there are slurm1 and webtest"):
        cluster.use("zzz")
    assert cluster.working_set == "webtest"
    with pytest.raises(TargetError, match="no cluster x; no node is in a cluster"):
        Cluster(FakeBackend([node("a")])).use("x")


def test_a_node_outside_of_the_working_set_is_said_to_be_there(cluster: Cluster) -> None:
    cluster.use("slurm1")
    with pytest.raises(TargetError, match="web1 selects nothing of slurm1.*`use \\*`"):
        cluster.select("web1")
    with pytest.raises(TargetError) as error:
        cluster.select("worker7")
    assert "use *" not in str(error.value)


def test_the_first_listing_knows_the_clusters_of_files(
    backend: FakeBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUST_HOME", str(tmp_path))
    (tmp_path / "clusters").mkdir()
    (tmp_path / "clusters/ours.yaml").write_text("filter: lone\n")
    cluster = Cluster(backend)
    cluster.use("ours")
    assert names(cluster.working()) == ["lone"]
    assert names(Cluster(backend).select("cluster=ours")) == ["lone"]


def test_a_working_set_without_nodes(backend: FakeBackend, cluster: Cluster) -> None:
    cluster.working_set = "gone"
    assert cluster.working() == []
    for target in ("", "web1", "nobody"):
        with pytest.raises(TargetError, match="no node is in the cluster gone; `use \\*`"):
            cluster.select(target)
    cluster.use("*")
    backend.there = []
    cluster.refresh()
    with pytest.raises(TargetError, match="no nodes in fake east"):
        cluster.running("*")


@pytest.mark.parametrize("target", ["", "*", " "])
def test_running_nodes_of_the_working_set(cluster: Cluster, target: str) -> None:
    assert names(cluster.running(target)) == ["master", "worker1", "web1", "lone"]


def test_running_nodes_of_a_target(cluster: Cluster) -> None:
    assert names(cluster.running("worker*")) == ["worker1"]
    with pytest.raises(TargetError, match="no node of worker2 is running: 1 stopped; `start`"):
        cluster.running("worker2")


@pytest.mark.parametrize(
    ("target", "addressed"),
    [
        ("worker*", "worker1"),
        ("state=*", "master worker1 web1 lone"),
        ("*", "master worker1 web1 lone"),
        ("worker[1-2]", "worker1 worker2"),
        ("master,worker2", "master worker2"),
        ("1-4", "master worker1 worker2 web1"),
        ("worker[1-2]!worker2", "worker1"),
        ("worker[1-2]&state=running", "worker1"),
        ("slurm1", "master worker1"),
    ],
)
def test_what_a_target_spells_out_is_addressed_also_if_it_does_not_run(
    cluster: Cluster, target: str, addressed: str
) -> None:
    assert names(cluster.addressed(target)) == addressed.split()


def test_results_and_sessions_are_asked(cluster: Cluster) -> None:
    states = {"i-master": "ready", "i-web1": "waiting"}
    cluster.state_of = lambda id: states.get(id, "")
    assert names(cluster.select("%ready")) == ["master"]
    cluster.last = ran((NODES[0], ""), (NODES[3], ""))
    assert names(cluster.select("%ok")) == ["master", "web1"]


def test_differs_are_those_outside_of_the_largest_group(cluster: Cluster) -> None:
    with pytest.raises(TargetError):
        cluster.select("%differs")
    cluster.last = ran((NODES[0], "b"), (NODES[1], "a"), (NODES[3], "a"), (NODES[4], "c"))
    assert names(cluster.select("%differs")) == ["master", "lone"]


def test_labels_select_the_one_node(backend: FakeBackend, cluster: Cluster) -> None:
    backend.there = [node("twin", id="i-1"), node("twin", id="i-2")]
    assert [each.id for each in cluster.select("twin~i-2")] == ["i-2"]


def test_groups_are_those_that_are_given(backend: FakeBackend, tmp_path: Path) -> None:
    (tmp_path / "groups.conf").write_text("[Main]\nautodir: groups.d\ndefault: racks\n")
    (tmp_path / "groups.d").mkdir()
    racks = tmp_path / "groups.d" / "racks.yaml"
    racks.write_text("racks:\n  rack1: web1,master\n")
    grouped = Cluster(backend, Groups([tmp_path]))
    assert names(grouped.select("@rack1")) == ["master", "web1"]
    racks.write_text("racks:\n  rack1: master\n")
    grouped.refresh()
    assert names(grouped.select("@rack1")) == ["master"]
    with pytest.raises(TargetError, match="there are no node groups"):
        Cluster(backend).select("@rack1")
