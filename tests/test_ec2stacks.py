"""Clusters on EC2: typed, on a moto server with what it lacks; and where CloudFormation fails.

moto makes a stack at once or refuses it: stacks that move, that fail and that are rolled back are
answers put into botocore's own Stubber.
"""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import _cloud  # noqa: F401  (it adds to moto)
import pytest
from botocore.stub import Stubber
from cloud import account, empty, launch, serving
from moto.cloudformation.models import CloudFormationBackend

from dust.backends import ec2groups, ec2keys
from dust.backends.ec2 import Ec2Backend
from dust.backends.ec2client import Cloud
from dust.backends.ec2closest import closest, remembered
from dust.backends.ec2plan import own_network
from dust.backends.ec2prices import Listed, Prices
from dust.backends.ec2stacks import Ec2Stacks
from dust.backends.local import LocalBackend
from dust.cli import main
from dust.errors import BackendError
from dust.specfile import parse
from dust.stack import Stack

SPEC = """\
cloud:   {provider: ec2, region: us-east-1}
cluster: {name: slurm1, use_placement_group: yes, spot: yes, max_price: 0.05, username: admin}
nodes:
- {nodename: master, instance_type: c7i.large, spot: no}
- {nodename: worker, instance_type: c7g.xlarge, image: ubuntu*, username: ubuntu, count: 2}
"""
IMAGE = "al2022-ami-*"
SPEC = SPEC.replace("ubuntu*", IMAGE)

Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving() as endpoint:
        yield endpoint


@pytest.fixture
def cloud(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    account(monkeypatch, server, tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "slurm1.yaml").write_text(SPEC)
    cloud = Cloud(region="us-east-1")
    yield cloud
    empty(server)


@pytest.fixture
def typed(cloud: Cloud, capfd: pytest.CaptureFixture[str]) -> Typed:
    def typed(*lines: str, yes: bool = True, region: str = "us-east-1") -> tuple[int, str, str]:
        words = [word for line in lines for word in ("-c", line)]
        status = main(["--region", region, *(["-y"] if yes else []), *words])
        return status, *capfd.readouterr()

    return typed


def kept(home: Path) -> list[str]:
    """The keys and cluster files that there are."""
    return sorted(
        str(path.relative_to(home))
        for folder in ("keys", "clusters")
        for path in (home / folder).glob("*")
    )


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_from_a_spec_to_instances_and_back(typed: Typed, cloud: Cloud, tmp_path: Path) -> None:
    status, out, err = typed("cluster create --no-wait slurm1.yaml", "use slurm1", "show")
    assert (status, err) == (0, "")
    assert "ssh from 127.0.0.1/32, everything inside the cluster" in out
    assert "what it costs an hour is not known: c7i.large: the price list has no price" in out
    assert ["worker2", "Instance", "create", "complete"] in rows(out)
    assert "slurm1: create complete" in out
    assert kept(tmp_path / "home") == ["clusters/slurm1.yaml", "keys/dust-slurm1.pem"]
    key = tmp_path / "home" / "keys" / "dust-slurm1.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    nodes = {node.name: node for node in Ec2Backend(cloud).nodes()}
    assert list(nodes) == ["master", "worker1", "worker2"]
    master, worker = nodes["master"], nodes["worker2"]
    assert (master.type, worker.type) == ("c7i.large", "c7g.xlarge")
    assert worker.details["architecture"] == "arm64"
    assert (master.details["username"], worker.details["username"]) == ("admin", "ubuntu")
    assert (master.details["lifecycle"], worker.details["lifecycle"]) == ("on-demand", "spot")
    assert str(key) in master.ssh["IdentityFile"]
    listed = typed("cluster list")[1]
    assert rows(listed)[1][:3] == ["slurm1", "create", "complete"]
    status, out, err = typed("cluster delete slurm1")
    assert (status, err) == (0, "")
    assert "slurm1: gone" in out
    assert Ec2Backend(cloud).nodes() == []
    assert cloud.call("ec2", "describe_key_pairs")["KeyPairs"] == []
    assert kept(tmp_path / "home") == []
    assert "slurm1: gone" in typed("cluster status slurm1")[1]
    assert typed("cluster delete slurm1", yes=False) == (0, "slurm1: gone already\n", "")


def test_what_it_costs_is_told(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Prices, "listed", lambda *asked: Listed(0.25, 0))
    plan = Ec2Stacks(cloud, "").plan(parse(SPEC, Path("x")))
    assert [row[-1] for row in plan.rows] == ["0.2500", "0.1000"]
    assert plan.rows[1][3] == "spot, at most $0.05"
    assert "all: at most $0.3500 an hour for computing, without disks and traffic" in plan.remarks


def test_a_user_that_holds_for_all_nodes_is_in_the_cluster_s_file(
    typed: Typed, tmp_path: Path
) -> None:
    (tmp_path / "one.yaml").write_text(
        SPEC.replace("username: ubuntu, ", "").replace("slurm1", "o")
    )
    assert typed("cluster create --no-wait one.yaml")[0] == 0
    assert "username: admin\n" in (tmp_path / "home" / "clusters" / "o.yaml").read_text()


def test_nothing_is_made_or_removed_without_a_yes(typed: Typed, cloud: Cloud) -> None:
    status, _, err = typed("cluster create slurm1.yaml", yes=False)
    assert status == 1
    assert "make the cluster slurm1, 3 nodes, in ec2 us-east-1? no:" in err
    assert Ec2Stacks(cloud, "").stacks() == []
    typed("cluster create --no-wait slurm1.yaml")
    status, _, err = typed("cluster delete slurm1", yes=False)
    assert status == 1
    assert "remove all of slurm1 in ec2 us-east-1, for ever? no:" in err
    assert len(Ec2Backend(cloud).nodes()) == 3


def test_a_name_that_exists_and_a_stack_made_elsewhere(
    typed: Typed, cloud: Cloud, tmp_path: Path
) -> None:
    body = '{"Resources": {"Q": {"Type": "AWS::SQS::Queue", "Properties": {}}}}'
    cloud.call("cloudformation", "create_stack", StackName="slurm1", TemplateBody=body)
    status, _, err = typed("cluster create slurm1.yaml")
    assert status == 1
    assert "there is a stack slurm1 already, which Dust did not make: create complete" in err
    assert ["Q", "Queue", "create", "complete"] in rows(typed("cluster status slurm1")[1])
    status, _, err = typed("cluster delete slurm1")
    assert status == 1
    assert "Dust did not make slurm1" in err
    assert len(Ec2Stacks(cloud, "").stacks()) == 1
    assert kept(tmp_path / "home") == []
    status, _, err = typed("cluster status slurm2")
    assert "there is no cluster slurm2 in ec2 us-east-1; did you mean slurm1?" in err


def test_a_cluster_that_was_assigned_is_told_from_one_that_was_made(
    typed: Typed, cloud: Cloud
) -> None:
    launch(cloud, "web1")
    made = ("assign web1 web", "cluster status web", "cluster delete web", "cluster delete we")
    err = typed(*made)[2]
    of_web = (
        "dust: there is no cluster web in ec2 us-east-1; its nodes were assigned: "
        "`assign --remove web` forgets it\n"
    )
    assert err == f"{of_web}{of_web}dust: there is no cluster we in ec2 us-east-1\n"


def test_a_file_about_another_cluster_is_left_alone(
    typed: Typed, cloud: Cloud, tmp_path: Path
) -> None:
    file = tmp_path / "home" / "clusters" / "slurm1.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("filter: web*\n")
    status, _, err = typed("cluster create slurm1.yaml")
    assert status == 1
    assert "slurm1.yaml is about another cluster of this name" in err
    assert file.read_text() == "filter: web*\n"
    assert Ec2Stacks(cloud, "").stacks() == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "c7i.large",
            "c7i.larg",
            "no instance type c7i.larg in us-east-1; did you mean c7i.large?",
        ),
        ("c7g.xlarge", "t4g.nano", "t4g.nano cannot be in a placement group"),
        ("count: 2", "count: 2, key: mine", "'mine'}' does not exist"),
        ("spot: yes", "spot: yes, vpc_id: vpc-01234567", "'vpc-01234567'} does not exist"),
        (IMAGE, "ami-0123456789", "ami-0123456789"),
        (IMAGE, "nothing-*", "for arm64 is called nothing-*; `ubuntu`, `amazon-linux` or an id"),
        (IMAGE, "ami-1e749f67", "image ami-1e749f67 is made for x86_64, and c7g.xlarge is arm64"),
        ("us-east-1", "us-eastt-1", "no region us-eastt-1; did you mean us-east-1?"),
        ("provider: ec2", "provider: local", "the spec is for local, and this is ec2 us-east-1"),
    ],
)
def test_what_a_spec_says_is_checked_before_anything_is_made(
    old: str, new: str, message: str, typed: Typed, cloud: Cloud, tmp_path: Path
) -> None:
    (tmp_path / "slurm1.yaml").write_text(SPEC.replace(old, new))
    status, _, err = typed("cluster create slurm1.yaml")
    assert status != 0
    assert message in err
    assert Ec2Stacks(cloud, "").stacks() == []
    assert kept(tmp_path / "home") == []


def test_the_newest_image_that_is_supported_for_long(cloud: Cloud) -> None:
    spec = parse(
        SPEC.replace(f"{IMAGE}, username: ubuntu", "ubuntu").replace("7g", "7i"), Path("x")
    )
    plan = Ec2Stacks(cloud, "").plan(spec)
    assert plan.rows[0][4].startswith("al2023-ami-2023.")
    assert plan.rows[1][4] == "ubuntu/images/hvm-ssd/ubuntu-xenial-16.04-amd64-server-20170721"


def test_another_region(typed: Typed, tmp_path: Path) -> None:
    (tmp_path / "far.yaml").write_text(SPEC.replace("us-east-1", "us-west-2"))
    assert "0 nodes in ec2 us-west-2" in typed("use us-west-2")[1]  # and this is kept
    status, out, err = typed("cluster create far.yaml")
    assert (status, err) == (0, "")
    assert "`use us-west-2` shows its nodes" in out
    assert "no clusters in ec2 us-east-1" in typed("cluster list")[1]
    status, out, err = typed("use us-west-2", "use slurm1", "show", "cluster delete slurm1")
    assert (status, err) == (0, "")
    assert "worker2" in out
    assert "slurm1: gone" in out


def test_a_killed_dust_loses_neither_key_nor_file(
    typed: Typed, cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = CloudFormationBackend.create_stack
    asked, go_on, made = threading.Event(), threading.Event(), threading.Event()

    def late(self: Any, *given: Any, **more: Any) -> Any:
        asked.set()
        go_on.wait(30)
        try:
            return real(self, *given, **more)
        finally:
            made.set()

    monkeypatch.setattr(CloudFormationBackend, "create_stack", late)
    root = Path(__file__).resolve().parent.parent
    argv = [sys.executable, "-m", "dust", "--region", "us-east-1", "-y"]
    with subprocess.Popen(
        [*argv, "-c", "cluster create slurm1.yaml"],
        env={**os.environ, "PYTHONPATH": str(root)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    ) as dust:
        assert asked.wait(30)
        dust.send_signal(signal.SIGKILL)
    assert kept(tmp_path / "home") == ["clusters/slurm1.yaml", "keys/dust-slurm1.pem"]
    key = (tmp_path / "home" / "keys" / "dust-slurm1.pem").read_text()
    go_on.set()
    assert made.wait(30)
    out = typed("cluster status slurm1", "show")[1]
    assert "slurm1: create complete" in out
    assert (tmp_path / "home" / "keys" / "dust-slurm1.pem").read_text() == key


def test_a_key_and_a_network_that_are_given(typed: Typed, cloud: Cloud, tmp_path: Path) -> None:
    (vpc, *_) = cloud.call("ec2", "describe_vpcs")["Vpcs"]
    subnets = cloud.call("ec2", "describe_subnets")["Subnets"]
    cloud.call("ec2", "create_key_pair", KeyName="mine", KeyType="ed25519")
    text = SPEC.replace(
        "spot: yes", f"key: mine, vpc_id: {vpc['VpcId']}, subnet_id: {subnets[0]['SubnetId']}"
    ).replace("max_price: 0.05, ", "")
    (tmp_path / "given.yaml").write_text(text)
    status, out, err = typed("cluster create --no-wait given.yaml")
    assert (status, err) == (0, "")
    assert "the key mine is not in " in out
    assert {
        (node.details["key"], node.details["subnet"]) for node in Ec2Backend(cloud).nodes()
    } == {("mine", subnets[0]["SubnetId"])}
    assert kept(tmp_path / "home") == ["clusters/slurm1.yaml"]
    other = cloud.call("ec2", "create_vpc", CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    (tmp_path / "given.yaml").write_text(text.replace(vpc["VpcId"], other).replace("slurm1", "s2"))
    err = typed("cluster create given.yaml")[2]
    assert f"{subnets[0]['SubnetId']} is not in {other}, but {vpc['VpcId']}" in err


def test_ssh_is_waited_for(
    typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """All instances are one local node, which begins to listen when it was tried in vain."""
    local = LocalBackend(tmp_path / "local")
    (change,) = local.create(["node"])
    (node,) = local.nodes()
    local.stop([change.id])
    login = [f"-p {node.ssh['Port']}", f"-i {tmp_path}/local/id", "-o StrictHostKeyChecking=no"]
    login += ["-o UserKnownHostsFile=/dev/null", f"-W {node.ip}:{node.ssh['Port']}"]
    (tmp_path / "ssh_config").write_text(
        f"Host *\n ProxyCommand ssh -F none {' '.join(login)} {node.ssh['User']}@{node.ip}\n"
        f" IdentityFile {tmp_path}/local/id\n"
    )
    spec = SPEC.replace(", username: admin", f", username: {node.ssh['User']}")
    (tmp_path / "slurm1.yaml").write_text(spec.replace(" username: ubuntu,", ""))
    argv = ["-y", "--backend", "ec2", "--region", "us-east-1", "-F", str(tmp_path / "ssh_config")]
    monkeypatch.setattr("dust.plugins.clusters.PATIENCE", 0)
    assert main([*argv, "-c", "cluster create slurm1.yaml", "-c", "cluster delete slurm1"]) == 1
    said = capfd.readouterr()
    assert said.err.count("ssh does not answer") == 3
    assert "slurm1: gone" in said.out
    monkeypatch.setattr("dust.plugins.clusters.PATIENCE", 60)
    monkeypatch.setattr("dust.plugins.clusters.PAUSE", 0)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        local.start([change.id])

    clock = SimpleNamespace(monotonic=time.monotonic, sleep=sleep)
    monkeypatch.setattr("dust.plugins.clusters.time", clock)
    try:
        assert main([*argv, "-c", "cluster create slurm1.yaml", "-c", "@master echo hi"]) == 0
    finally:
        local.terminate([change.id])
    out = capfd.readouterr().out
    assert slept
    assert "slurm1: ssh answers on all nodes\n[master] hi\n" in out


# --- stacks that move

NOW = datetime(2026, 4, 8, tzinfo=timezone.utc)
ID = "arn:aws:cloudformation:us-east-1:123456789012:stack/slurm1/1"


def described(status: str) -> dict[str, Any]:
    tags = [{"Key": "dust:cluster", "Value": "slurm1"}]
    stack = {"StackName": "slurm1", "StackId": ID, "StackStatus": status, "Tags": tags}
    return {"Stacks": [{**stack, "CreationTime": NOW}]}


def resources(**states: str) -> dict[str, Any]:
    found = []
    for name, state in states.items():
        status, _, reason = state.partition(": ")
        item = {"LogicalResourceId": name, "ResourceType": "AWS::EC2::Instance"}
        found.append({**item, "ResourceStatus": status, "LastUpdatedTimestamp": NOW,
                      **({"ResourceStatusReason": reason} if reason else {})})  # fmt: skip
    return {"StackResourceSummaries": found}


def events(*told: tuple[str, str, str]) -> dict[str, Any]:
    """Events, the newest first as CloudFormation has them."""
    return {
        "StackEvents": [
            {
                "StackId": ID,
                "EventId": str(number),
                "StackName": "slurm1",
                "Timestamp": NOW,
                "LogicalResourceId": name,
                "ResourceStatus": status,
                "ResourceStatusReason": reason,
            }
            for number, (name, status, reason) in enumerate(told)
        ]
    }


FAILED = events(
    ("slurm1", "DELETE_COMPLETE", ""),
    ("slurm1", "CREATE_FAILED", "The following resource(s) failed to create: [Node1, Node2]"),
    ("Node2", "CREATE_FAILED", "Resource creation cancelled"),
    ("Node1", "CREATE_FAILED", "We currently do not have sufficient c7i.large capacity"),
    ("slurm1", "CREATE_IN_PROGRESS", "User Initiated"),
)
WHY = "Node1: We currently do not have sufficient c7i.large capacity"


@pytest.fixture
def stubbed(cloud: Cloud) -> Iterator[tuple[Ec2Stacks, Stubber]]:
    with Stubber(cloud.client("cloudformation")) as stubber:
        yield Ec2Stacks(cloud, "ec2 us-east-1", sleep=lambda seconds: None), stubber
        stubber.assert_no_pending_responses()


def following(stubber: Stubber, *turns: tuple[str, dict[str, Any] | None]) -> None:
    for status, parts in turns:
        stubber.add_response("describe_stacks", described(status))
        if parts:
            stubber.add_response("list_stack_resources", parts)


def begun(stubber: Stubber) -> None:
    stubber.add_client_error("describe_stacks", "ValidationError", "slurm1 does not exist")
    stubber.add_response("create_stack", {"StackId": ID})


def test_a_failed_creation_is_followed_until_nothing_is_left(
    stubbed: tuple[Ec2Stacks, Stubber], tmp_path: Path
) -> None:
    stacks, stubber = stubbed
    begun(stubber)
    following(
        stubber,
        ("CREATE_IN_PROGRESS", resources(Key="CREATE_COMPLETE", Node1="CREATE_IN_PROGRESS")),
        ("DELETE_IN_PROGRESS", resources(Key="DELETE_IN_PROGRESS", Node1="DELETE_COMPLETE")),
        ("DELETE_COMPLETE", None),
    )
    stubber.add_response("describe_stack_events", FAILED)
    seen: list[Stack] = []
    files: list[list[str]] = []
    home = tmp_path / "home"

    def follow(stack: Stack) -> bool:
        seen.append(stack)
        files.append(kept(home))
        return True

    stack = stacks.create(stacks.plan(parse(SPEC, Path("x"))), follow)
    assert [each.state for each in seen] == [
        "create in progress",
        "delete in progress",
        "delete complete",
    ]
    assert files == 3 * [["clusters/slurm1.yaml", "keys/dust-slurm1.pem"]]
    assert [part.state for part in seen[0].parts] == ["create complete", "create in progress"]
    assert (stack.gone, stack.failed) == (True, f"rolled back, nothing of it is left: {WHY}")
    assert kept(home) == []


def test_what_a_roll_back_leaves_is_told_and_the_key_stays(
    stubbed: tuple[Ec2Stacks, Stubber], tmp_path: Path
) -> None:
    stacks, stubber = stubbed
    begun(stubber)
    following(stubber, ("DELETE_FAILED", resources(Node1="DELETE_FAILED: it is protected")))
    stubber.add_response("describe_stack_events", FAILED)
    stack = stacks.create(stacks.plan(parse(SPEC, Path("x"))), lambda stack: True)
    assert (stack.gone, stack.failed) == (False, f"delete failed: {WHY}")
    assert [part.reason for part in stack.parts] == ["it is protected"]
    assert kept(tmp_path / "home") == ["clusters/slurm1.yaml", "keys/dust-slurm1.pem"]


def test_a_stack_that_nobody_follows_is_followed_by_the_next(
    stubbed: tuple[Ec2Stacks, Stubber], tmp_path: Path
) -> None:
    stacks, stubber = stubbed
    begun(stubber)
    following(stubber, ("CREATE_IN_PROGRESS", resources(Node1="CREATE_IN_PROGRESS")))
    stubber.add_response("describe_stack_events", events())
    stack = stacks.create(stacks.plan(parse(SPEC, Path("x"))), lambda stack: False)
    assert stack.moving
    assert kept(tmp_path / "home") == ["clusters/slurm1.yaml", "keys/dust-slurm1.pem"]
    # it has been rolled back by now, and is known by its id only
    stubber.add_client_error("describe_stacks", "ValidationError", "slurm1 does not exist")
    summary = {**described("DELETE_COMPLETE")["Stacks"][0]}
    del summary["Tags"]
    stubber.add_response("list_stacks", {"StackSummaries": [summary]})
    following(stubber, ("DELETE_COMPLETE", None), ("DELETE_COMPLETE", None))
    stubber.add_response("describe_stack_events", FAILED)
    stack = stacks.status("slurm1", lambda stack: True)
    assert (stack.gone, stack.failed) == (True, f"rolled back, nothing of it is left: {WHY}")
    assert kept(tmp_path / "home") == []


def test_the_key_of_the_next_cluster_outlives_the_last_one(
    stubbed: tuple[Ec2Stacks, Stubber], tmp_path: Path
) -> None:
    stacks, stubber = stubbed
    ec2keys.public_key("slurm1")
    ec2keys.remember("slurm1", "us-east-1", "")  # it is about to be made
    for _ in range(2):
        gone = described("DELETE_COMPLETE")
        gone["Stacks"][0]["DeletionTime"] = NOW
        stubber.add_response("describe_stacks", gone)
    stubber.add_response("describe_stack_events", events())
    assert stacks.status("slurm1", lambda stack: True).gone
    assert kept(tmp_path / "home") == ["clusters/slurm1.yaml", "keys/dust-slurm1.pem"]


def test_what_a_deletion_leaves_is_told(stubbed: tuple[Ec2Stacks, Stubber]) -> None:
    stacks, stubber = stubbed
    following(stubber, ("CREATE_COMPLETE", None))
    stubber.add_response("delete_stack", {})
    following(
        stubber,
        ("CREATE_COMPLETE", resources(Security="CREATE_COMPLETE")),  # it is not seen at once
        ("DELETE_IN_PROGRESS", resources(Security="DELETE_IN_PROGRESS")),
        ("DELETE_FAILED", resources(Security="DELETE_FAILED: sg-1 has a dependent object")),
    )
    told = events(("Security", "DELETE_FAILED", "sg-1 has a dependent object"))
    stubber.add_response("describe_stack_events", told)
    stack = stacks.delete("slurm1", lambda stack: True)
    assert not stack.gone
    assert stack.failed == "delete failed: Security: sg-1 has a dependent object"


@pytest.mark.parametrize("code", ["ValidationError", "InsufficientCapabilities", "LimitExceeded"])
def test_a_refused_stack_leaves_nothing(
    code: str, stubbed: tuple[Ec2Stacks, Stubber], tmp_path: Path
) -> None:
    stacks, stubber = stubbed
    stubber.add_client_error("describe_stacks", "ValidationError", "slurm1 does not exist")
    stubber.add_client_error("create_stack", code, "no")
    with pytest.raises(BackendError, match="nothing was made: AWS refused CreateStack: no"):
        stacks.create(stacks.plan(parse(SPEC, Path("x"))), lambda stack: True)
    assert kept(tmp_path / "home") == []


# --- where this machine is


def test_ssh_is_let_in_from_where_the_cloud_is_called(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert own_network(cloud) == "127.0.0.1/32"
    monkeypatch.setattr(ec2groups, "own_address", lambda: "192.0.2.7/32")
    assert own_network(on_aws()) == "192.0.2.7/32"


def on_aws() -> Cloud:
    """An account whose client is for AWS itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("AWS_ENDPOINT_URL")
        cloud = Cloud(region="us-east-1")
        cloud.client("ec2")
    return cloud


def test_the_closest_region_is_measured_once(cloud: Cloud) -> None:
    far = on_aws()
    names = ("us-east-1", "eu-west-3", "sa-east-1")
    answers = {"Regions": [{"RegionName": name} for name in names]}
    measured: dict[str, float] = {
        "ec2.us-east-1.amazonaws.com": 0.08,
        "ec2.eu-west-3.amazonaws.com": 0.01,
        "ec2.sa-east-1.amazonaws.com": float("inf"),
    }
    with Stubber(far.client("ec2")) as stubber:
        stubber.add_response("describe_regions", answers)
        assert closest(far, measured.__getitem__) == "eu-west-3"
        assert closest(far, measured.__getitem__) == "eu-west-3"
        remembered().unlink()
        stubber.add_response("describe_regions", answers)
        with pytest.raises(BackendError, match="no region answers"):
            closest(far, lambda host: float("inf"))
    assert not remembered().exists()
    assert closest(cloud) == "us-east-1"  # a cloud with one address for all


def test_a_login_in_a_tag_that_ssh_would_take_for_something_else_is_none(cloud: Cloud) -> None:
    id = launch(cloud, "odd")
    tags = [{"Key": "dust:username", "Value": "-oX=y"}]
    cloud.call("ec2", "create_tags", Resources=[id], Tags=tags)
    (node,) = Ec2Backend(cloud).nodes()
    cloud.call("ec2", "terminate_instances", InstanceIds=[id])
    assert "username" not in node.details
    assert "User" not in node.ssh_defaults
