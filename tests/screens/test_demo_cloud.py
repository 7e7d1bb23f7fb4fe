"""Dust's first description typed on a cloud of this machine's own, which bin/demo --cloud starts.

The instances are moto's; behind each is a real sshd node, which ends when the instance does.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT
from screen import Screen

from dust.backends.local import LocalBackend

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="each node needs an address of its own"
)

# The tables of the first description; ids and addresses are others each time.
WEB = """\
webtest
      web1        t2.micro     running      i-* *     *
      web2        t2.micro     running      i-* *     *
"""
SLURM = """\
slurm1
      master       t2.small     running      i-* *   *
      worker1      t3.nano      running      i-* *   *
      worker2      t3.nano      running      i-* *   *
"""
WORKERS = ["worker1", "worker2"]
# What bin/demo does once the environment is set up.
DEMO = """
import runpy, sys
root = sys.argv.pop(1)
sys.path[:0] = [root, root + "/bin"]
sys.argv[0] = root + "/bin/_demo.py"
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cloud")


@pytest.fixture
def demo(place: Path) -> Iterator[Screen]:
    env = {**os.environ, "TMPDIR": str(place), "PYTHONWARNINGS": "ignore"}
    with Screen([sys.executable, "-c", DEMO, str(ROOT), "--cloud"], env, 60, 150) as screen:
        screen.wait_for("dust:ec2 us-east-1$", seconds=60)
        yield screen
        if screen.child.isalive():
            screen.line("")
            screen.send("\x04")
            screen.wait_for_end(30)


def home(place: Path) -> Path:
    (found,) = place.glob("dust-demo-*/run-*")
    return found


def nodes(place: Path) -> dict[str, str]:
    """The states of the nodes behind the instances, by the ids of these."""
    return {node.name: node.state for node in LocalBackend(home(place) / "local").nodes()}


def typed(screen: Screen, line: str, *answers: tuple[str, str]) -> str:
    """Type a line and what it asks for; returns what stood there until the prompt was back."""
    screen.forget()
    screen.line(line)
    for question, answer in answers:
        screen.wait_for(question, seconds=60)
        screen.line(answer)
    done = re.compile(r"dust:(?!.*(busy|connecting|waiting))[^\n]*\$")
    said = "\n".join([line, *(answer for _, answer in answers)]).count("\n")
    return screen.wait(
        lambda text: text.count("\n") > said and done.fullmatch(text.rpartition("\n")[2].rstrip()),
        seconds=60,
    )


def table(text: str) -> list[list[str]]:
    """The rows of what `show` printed, without numbers, ids, addresses and what sessions do."""
    rows = []
    for line in text.splitlines():
        words = line.split()
        if words[:1] and words[0].isdecimal():
            rows.append([*words[1:4], "i-*", "*", "*"])
            assert re.fullmatch(r"i-[0-9a-f]{17}", words[4])
        elif len(words) == 1:
            rows.append(words)
    return rows


def names(text: str) -> list[str]:
    """The nodes that `show` printed, sorted."""
    return sorted(row[0] for row in table(text) if row[1:])


def printed(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_the_first_description(demo: Screen, place: Path) -> None:
    """One session, from the first line to the last: each step goes on from the one before."""
    _assigns_existing_instances_to_a_cluster(demo)
    _brings_up_a_cluster_with_a_single_command(demo, place)
    _selects_nodes_and_talks_to_them(demo)
    _stops_and_starts_a_working_set(demo, place)
    _terminates_and_deletes(demo, place)
    _leaves_nothing(demo, place)


def _assigns_existing_instances_to_a_cluster(demo: Screen) -> None:
    text = typed(demo, "show")
    assert "Nodes in region: us-east-1" in text
    assert table(text) == printed(WEB)[1:]
    typed(
        demo,
        "assign tags=cluster-name:webtest webtest",
        ("Login user", ""),
        ("Private key", ""),
        ("Names of the nodes", ""),
    )
    assert table(typed(demo, "show")) == printed(WEB)
    demo.line("@cluster=webtest cd /tmp && pwd")
    demo.wait(lambda text: "[web1] /tmp" in text and "[web2] /tmp" in text)


def _brings_up_a_cluster_with_a_single_command(demo: Screen, place: Path) -> None:
    spec = home(place) / "slurm1.yaml"
    text = typed(demo, f"cluster create {spec}", ("slurm1, 3 nodes, in ec2 us-east-1?", "y"))
    assert "slurm1: ssh answers on all nodes" in text
    assert table(typed(demo, "show")) == printed(SLURM) + printed(WEB)
    assert list(nodes(place).values()) == ["running"] * 5
    key = home(place) / "keys" / "dust-slurm1.pem"
    files = home(place).glob("local/nodes/*/sshd/authorized_keys")
    assert key.stat().st_mode & 0o777 == 0o600
    assert sum("dust-slurm1" in file.read_text() for file in files) == 3


def _selects_nodes_and_talks_to_them(demo: Screen) -> None:
    demo.forget()
    demo.line("@worker* cd /tmp")
    demo.line("@worker* pwd")
    demo.wait(lambda text: "[worker1] /tmp" in text and "[worker2] /tmp" in text)
    assert names(typed(demo, "show state=running")) == ["master", "web1", "web2", *WORKERS]
    assert names(typed(demo, "show lifecycle=spot")) == WORKERS
    assert "5 nodes in" in typed(demo, "sshconfig write")
    typed(demo, "close master")
    demo.line("@master echo {name} again")
    demo.wait_for("[master] master again")


def _stops_and_starts_a_working_set(demo: Screen, place: Path) -> None:
    typed(demo, "use slurm1")
    assert table(typed(demo, "show")) == printed(SLURM)
    typed(demo, "stop worker*", ("[y/N]", "y"))
    assert sorted(nodes(place).values()) == ["running"] * 3 + ["stopped"] * 2
    assert [row[:3:2] for row in table(typed(demo, "show state=stopped"))[1:]] == [
        ["worker1", "stopped"], ["worker2", "stopped"]]  # fmt: skip
    typed(demo, "start state=stop*       # filters can have wildcards", ("[y/N]", "y"))
    assert sorted(nodes(place).values()) == ["running"] * 5
    demo.line("@worker2 echo {name}")
    demo.wait_for("[worker2] worker2")
    typed(demo, "use *")


def _terminates_and_deletes(demo: Screen, place: Path) -> None:
    typed(demo, "terminate worker[2-2]", ("[y/N]", "y"))
    assert len(nodes(place)) == 4
    text = typed(demo, "cluster list")
    assert re.search(r"slurm1 +create complete +\S+ +dust", text)
    text = typed(demo, "cluster delete slurm1", ("Type slurm1 to go on:", "slurm1"))
    assert "slurm1: gone" in text
    assert len(nodes(place)) == 2
    assert not (home(place) / "keys" / "dust-slurm1.pem").exists()
    assert table(typed(demo, "show")) == printed(WEB)


def _leaves_nothing(demo: Screen, place: Path) -> None:
    demo.line("exit")
    assert demo.wait_for_end(30) == 0
    assert list(place.glob("dust-demo-*/run-*")) == []
