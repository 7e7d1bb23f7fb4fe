"""cluster as it is typed, with local nodes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from recording import NODES, Recorder

from dust.backends.local import LocalBackend
from dust.cli import main
from dust.cluster import Cluster
from dust.completion import complete
from dust.errors import ConfigError
from dust.registry import Registry
from dust.specfile import read

SPEC = """\
cloud: {provider: local}
cluster: {name: slurm1, tags: {owner: me}}
nodes:
- {nodename: master, tags: {role: head}}
- {nodename: worker, count: 2, instance_type: c7i.large, spot: yes}
"""

Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalBackend]:
    monkeypatch.setenv("DUST_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "slurm1.yaml").write_text(SPEC)
    backend = LocalBackend(tmp_path / "home" / "local")
    yield backend
    backend.terminate([node.id for node in backend.nodes()])


@pytest.fixture
def typed(backend: LocalBackend, capfd: pytest.CaptureFixture[str]) -> Typed:
    def typed(*lines: str, yes: bool = True) -> tuple[int, str, str]:
        words = [word for line in lines for word in ("-c", line)]
        status = main([*(["-y"] if yes else []), *words])
        return status, *capfd.readouterr()

    return typed


def test_from_a_spec_to_nodes_and_back(typed: Typed, backend: LocalBackend) -> None:
    status, out, err = typed("cluster create slurm1.yaml", "@cluster=slurm1 echo $((20 + 1))")
    assert (status, err) == (0, "")
    assert "not used on this machine: instance_type, spot" in out
    assert "slurm1: 3 running" in out
    assert {"[master] 21", "[worker1] 21", "[worker2] 21"} <= set(out.splitlines())
    tags = {node.name: dict(node.tags) for node in backend.nodes()}
    assert tags["master"] == {"owner": "me", "role": "head"}
    assert tags["worker2"] == {"owner": "me"}
    assert "slurm1" in typed("cluster list")[1]
    status, out, err = typed("use slurm1", "stop worker1", "cluster status")
    assert ["worker1", "node", "stopped"] in [line.split() for line in out.splitlines()]
    assert "slurm1: 2 running, 1 stopped" in out
    status, out, err = typed("use slurm1", "cluster delete slurm1", "cluster list")
    assert (status, err) == (0, "")
    assert "slurm1: gone\nno clusters in local" in out
    assert backend.nodes() == []


def test_nothing_is_made_or_removed_without_a_yes(typed: Typed, backend: LocalBackend) -> None:
    status, _, err = typed("cluster create slurm1.yaml", yes=False)
    assert status == 1
    assert "make the cluster slurm1, 3 nodes, in local? no: there is no terminal to ask on" in err
    assert "(`dust -y` says yes)" in err  # assign has no -y of its own
    assert "nothing was made" in err
    assert backend.nodes() == []
    backend.create(["a"], "slurm1")
    status, _, err = typed("cluster delete slurm1", yes=False)
    assert status == 1
    assert "nothing was removed" in err
    assert [node.name for node in backend.nodes()] == ["a"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("cluster create none.yaml", "none.yaml: cannot read the file: No such file"),
        ("cluster create ec2.yaml", "the spec is for ec2, and this is local"),
        ("cluster create slurm1.yaml", "there is a cluster slurm1 already"),
        ("cluster create other.yaml", "a local node of slurm1 is called master already"),
        ("cluster create wrong.yaml", "wrong.yaml:5: a group of nodes has no key 'cuont'"),
        ("cluster status slurm2", "there is no cluster slurm2; did you mean slurm1?"),
        ("cluster delete slurm2", "there is no cluster slurm2; did you mean slurm1?"),
        ("cluster status", "status of which cluster?"),
    ],
)
def test_what_cannot_be_done(
    line: str, message: str, typed: Typed, backend: LocalBackend, tmp_path: Path
) -> None:
    backend.create(["master"], "slurm1")
    (tmp_path / "other.yaml").write_text(SPEC.replace("slurm1", "slurm3"))
    (tmp_path / "ec2.yaml").write_text(
        SPEC.replace("local", "ec2")
        .replace("count: 2, ", "")
        .replace("{role: head}}", "{a: b}, instance_type: a.b}")
    )
    (tmp_path / "wrong.yaml").write_text(SPEC.replace("count", "cuont"))
    status, _, err = typed(line)
    assert status != 0
    assert message in err
    assert [node.name for node in backend.nodes()] == ["master"]


def test_all_or_nothing(
    typed: Typed, backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = LocalBackend._try

    def broken(self: LocalBackend, sshd: object, records: object) -> dict[str, str]:
        errors = real(self, sshd, records)  # type: ignore[arg-type]
        return errors | {r.id: "no room" for r in records if r.name == "worker2"}  # type: ignore[attr-defined]

    monkeypatch.setattr(LocalBackend, "_try", broken)
    status, _, err = typed("cluster create slurm1.yaml")
    assert status == 1
    assert "nothing was made: no room" in err
    assert backend.nodes() == []


def test_the_demo_takes_a_spec(tmp_path: Path) -> None:
    spec = tmp_path / "my spec.yaml"
    spec.write_text(
        SPEC.replace("provider: local", "provider: ec2").replace(
            "head}", "head}, instance_type: c7i.large"
        )
    )
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run(
        [sys.executable, "-c", DEMO, str(root), str(spec), "-c", "@worker* hostname"],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "not used on this machine: instance_type, spot" in done.stderr
    assert sorted(line.split()[0] for line in done.stdout.splitlines() if line[:1] == "[") == [
        "[worker1]",
        "[worker2]",
    ]
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("cloud: [\n")
    done = subprocess.run(
        [sys.executable, "-c", DEMO, str(root), str(wrong)],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "wrong.yaml:2: " in done.stderr


# bin/demo sets an environment up before it does this.
DEMO = """
import runpy, sys
root = sys.argv.pop(1)
sys.path.insert(0, root)
sys.argv[0] = root + "/bin/_demo.py"
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_a_new_spec_is_asked_for_and_can_be_made(
    typed: Typed, backend: LocalBackend, tmp_path: Path
) -> None:
    status, out, err = typed("cluster new", "cluster create cluster1.yaml")
    assert (status, err) == (0, "")
    assert "cluster1.yaml is written: `cluster create cluster1.yaml` makes it" in out
    assert [node.name for node in backend.nodes()] == ["master", "worker1", "worker2"]
    status, _, err = typed("cluster new slurm1.yaml", yes=False)
    assert status == 1
    assert "slurm1.yaml is there already. Replace it? no:" in err
    assert (tmp_path / "slurm1.yaml").read_text() == SPEC


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (["1st"], "name: '1st' is not a cluster's name"),
        (["a", "mars"], "region: 'mars' is not a region"),
        (["a", "us-west-2", "large"], "instance_type: 'large' is not an instance type"),
        (["a", "us-west-2", "c7i.large", "0"], "count: '0' is not a whole number"),
        (["a, spot: yes}\nnodes: [", "b"], "new.yaml:3: "),
    ],
)
def test_a_wrong_answer_writes_no_spec(answers: list[str], message: str, tmp_path: Path) -> None:
    dust = Recorder(NODES, tmp_path)
    dust.backend.name, dust.backend.region = "ec2", "us-east-1"
    dust.lines = answers
    with pytest.raises(ConfigError) as caught:
        dust.type("cluster", "new", str(tmp_path / "new.yaml"))
    assert message in str(caught.value)
    assert not (tmp_path / "new.yaml").exists()


def test_a_new_spec_for_ec2(tmp_path: Path) -> None:
    dust = Recorder(NODES, tmp_path)
    dust.backend.name, dust.backend.region = "ec2", "us-east-1"
    dust.lines = ["slurm1", "closest", "c7i.large", "4"]
    path = tmp_path / "new.yaml"
    dust.type("cluster", "new", str(path))
    spec = read(path)
    assert (spec.name, spec.provider, spec.region) == ("slurm1", "ec2", "closest")
    assert spec.names == ["master", "worker1", "worker2", "worker3", "worker4"]
    assert {group.instance_type for group in spec.groups} == {"c7i.large"}


def test_words_names_and_files_are_completed(backend: LocalBackend, tmp_path: Path) -> None:
    backend.create(["a"], "slurm1")
    cluster, registry = Cluster(backend), Registry(tmp_path)
    registry.load()
    cluster.nodes()
    assert complete("cluster sta", registry, cluster) == (8, ["status"])
    assert complete("cluster status sl", registry, cluster) == (15, ["slurm1"])
    at, paths = complete("cluster create slurm1.", registry, cluster)
    assert (at, paths) == (15, ["slurm1.yaml"])
