"""`show` prints the tables of Dust's first description, and its filters select what they say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dust.backends import ec2kept
from dust.cli import main
from dust.node import Node

# As printed there; what Dust adds is a number before each node.
TABLE = """\
Nodes in region: us-east-1

    Name         Instance     State        ID         ext_IP          int_IP


slurm1
      master       t2.small     running      i-b4b1b02e 52.205.250.99   172.31.60.117
      worker1      t2.nano      running      i-92aeaf08 54.174.251.139  172.31.58.157
      worker2      t2.nano      running      i-b3b1b029 52.87.183.163   172.31.57.33

webtest
      web1        t2.micro     running      i-a65f5f3c 52.91.213.83    172.31.56.107
      web2        t2.micro     running      i-a55f5f3f 54.173.124.145  172.31.56.108
"""
NARROWED = """\
Nodes in region: us-east-1

    Name         Instance     State        ID         ext_IP          int_IP


slurm1
      node0        t2.nano      running      i-b4b1b02e 52.205.250.99   172.31.60.117
      node1        t2.nano      running      i-92aeaf08 54.174.251.139  172.31.58.157
      node2        t2.nano      running      i-b3b1b029 52.87.183.163   172.31.57.33
"""


def words(table: str) -> list[list[str]]:
    """The lines of a table that have words."""
    return [line.split() for line in table.splitlines() if line.strip()]


def printed_nodes(table: str) -> list[Node]:
    nodes: list[Node] = []
    cluster = ""
    for row in words(table)[2:]:
        if len(row) == 1:
            cluster = row[0]
            continue
        name, kind, state, id, ip, private_ip = row
        details = {"key": "MyKey", "launch_time": "2016-04-08T12:00:00Z"} if "web" in name else {}
        tags = {"Name": name, "env": "dev"} if cluster == "slurm1" else {"owner": "devops"}
        nodes.append(Node(name, id, "ec2", state, kind, ip, private_ip, cluster, tags, details))
    return nodes


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DUST_HOME", str(tmp_path))


def dust(capfd: pytest.CaptureFixture[str], *lines: str) -> str:
    assert main(["--region", "us-east-1", *(w for line in lines for w in ("-c", line))]) == 0
    return capfd.readouterr().out.replace(
        ", as of less than a minute ago (`refresh` asks again)", ""
    )


def without_numbers(table: str) -> list[list[str]]:
    rows = words(table)
    assert [row[0] for row in rows if len(row) == 7] == [
        str(number) for number in range(1, 1 + sum(len(row) == 7 for row in rows))
    ]
    return [row[1:] if len(row) == 7 else row for row in rows]


def test_the_table_of_all_nodes(capfd: pytest.CaptureFixture[str]) -> None:
    ec2kept.keep(ec2kept.path_of("", "us-east-1"), printed_nodes(TABLE))
    assert without_numbers(dust(capfd, "show")) == words(TABLE)


def test_the_table_of_a_working_set(capfd: pytest.CaptureFixture[str]) -> None:
    more = [node for node in printed_nodes(TABLE) if node.cluster == "webtest"]
    ec2kept.keep(ec2kept.path_of("", "us-east-1"), printed_nodes(NARROWED) + more)
    assert without_numbers(dust(capfd, "use slurm1", "show")) == words(NARROWED)


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("show -v key=MyKey", ["web1", "web2"]),
        ("show launch_time=2016-04-08*", ["web1", "web2"]),
        ("show -v launch_time=2016-04-0*", ["web1", "web2"]),
        ("show ip=54.17*", ["worker1", "web2"]),
        ("show tags=owner:devops", ["web1", "web2"]),
        ("show tags=env:*", ["master", "worker1", "worker2"]),
        ("show -v cluster=slurm1", ["master", "worker1", "worker2"]),
        ("show worker[0-2]", ["worker1", "worker2"]),
        ("show wo*", ["worker1", "worker2"]),
        ("show id=i-b*", ["master", "worker2"]),
        ("show t2.micro", ["web1", "web2"]),
        ("show devops", ["web1", "web2"]),
    ],
)
def test_filters_and_search(line: str, names: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    ec2kept.keep(ec2kept.path_of("", "us-east-1"), printed_nodes(TABLE))
    rows = words(dust(capfd, line))
    assert [row[1] for row in rows if row[0].isdecimal()] == names


def test_vv_prints_every_name_that_a_filter_takes(capfd: pytest.CaptureFixture[str]) -> None:
    ec2kept.keep(ec2kept.path_of("", "us-east-1"), printed_nodes(TABLE))
    pairs = [row for row in words(dust(capfd, "show -vv web1"))[2:] if len(row) == 2]
    assert {"name", "id", "state", "type", "ip", "key", "launch_time"} <= {key for key, _ in pairs}
    for key, value in pairs:
        assert "web1" in dust(capfd, f"show {key}='{value}'")


def test_a_kept_listing_is_shown_without_boto3() -> None:
    ec2kept.keep(ec2kept.path_of("", "us-east-1"), printed_nodes(TABLE))
    program = (
        "import sys; from dust.cli import main; "
        "status = main(['--region', 'us-east-1', '-c', 'show worker*', '-c', 'use slurm1']); "
        "sys.exit(status or any(name in sys.modules for name in ('boto3', 'botocore')))"
    )
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "worker2" in done.stdout
