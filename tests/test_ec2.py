"""The EC2 backend on a moto server over HTTP; what moto cannot do is injected into botocore."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import cloud
import pytest
from botocore.config import Config
from cloud import account, serving

from dust.backends.ec2 import Ec2Backend
from dust.backends.ec2client import Cloud, CloudError
from dust.backends.ec2kept import path_of
from dust.backends.ec2nodes import login_of
from dust.cli import main
from dust.cluster import Cluster
from dust.errors import BackendError
from dust.node import Node

ODD = ["my node", "a=b:c*", "\N{PILE OF POO}", "two\nlines", "-rf", "twin", "twin", ""]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving() as endpoint:
        yield endpoint


@pytest.fixture
def aws(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    account(monkeypatch, server, tmp_path)


@pytest.fixture
def backend(aws: None) -> Iterator[Ec2Backend]:
    backend = Ec2Backend(Cloud(region="us-east-1"), sleep=lambda seconds: None)
    yield backend
    left = [node.id for node in backend.nodes()]
    for id in left:
        protect(backend, id, False)
    if left:
        backend.terminate(left)


@contextmanager
def closing_server() -> Iterator[str]:
    """A server that takes each call and hangs up."""

    def serve() -> None:
        while True:
            try:
                call = listening.accept()[0]
            except OSError:
                return
            call.recv(65536)
            call.close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def launch(backend: Ec2Backend, *names: str) -> list[str]:
    return [cloud.launch(backend.cloud, name) for name in names]


def protect(backend: Ec2Backend, id: str, on: bool) -> None:
    backend.cloud.call(
        "ec2",
        "modify_instance_attribute",
        InstanceId=id,
        DisableApiTermination={"Value": on},
    )


def refused(code: str, message: str = "no", status: int = 400) -> Any:
    """An answer of EC2 that is an error, as botocore takes it from the wire."""
    from botocore.awsrequest import AWSResponse

    headers: Any = {}

    class Raw:
        def stream(self) -> Iterator[bytes]:
            yield (
                f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message>"
                "</Error></Errors><RequestID>1</RequestID></Response>"
            ).encode()

    return AWSResponse("http://aws", status, headers, Raw())


def inject(backend: Ec2Backend, operation: str, *answers: Any) -> list[str]:
    """Answer the next calls of an operation so; returns what was sent, as it grows."""
    sent: list[str] = []
    left = list(answers)

    def answer(request: Any, **_: Any) -> Any:
        sent.append(operation)
        return left.pop(0) if left else None

    backend.cloud.client("ec2").meta.events.register(f"before-send.ec2.{operation}", answer)
    return sent


def slow(backend: Ec2Backend, state: str, times: int) -> None:
    """Show all instances in a state for so many listings."""
    left = [None] * times

    def parsed(parsed: dict[str, Any], **_: Any) -> None:
        if left and left.pop() is None:
            for reservation in parsed.get("Reservations", ()):
                for item in reservation["Instances"]:
                    item["State"]["Name"] = state

    events = backend.cloud.client("ec2").meta.events
    events.register("after-call.ec2.DescribeInstances", parsed)


def by_name(backend: Ec2Backend) -> dict[str, Node]:
    return {node.name: node for node in backend.nodes()}


def test_an_instance_is_a_node(backend: Ec2Backend, tmp_path: Path) -> None:
    key = tmp_path / "home" / "keys" / "mine.pem"
    key.parent.mkdir(parents=True)
    key.touch()
    (id,) = launch(backend, "worker1")
    node = by_name(backend)["worker1"]
    assert (node.id, node.state, node.type, node.backend) == (id, "running", "t3.nano", "ec2")
    assert node.tags == {"Name": "worker1", "env": "a:b=c"}
    assert node.ssh["HostName"] == node.ip != ""
    assert node.ssh["HostKeyAlias"] == id
    assert node.ssh["IdentityFile"] == f'"{key}"'
    assert node.details["account"] == "123456789012"
    assert {"az", "image", "key", "lifecycle", "launch_time", "subnet", "vpc"} <= set(node.details)


def test_names_of_any_characters(backend: Ec2Backend) -> None:
    ids = launch(backend, *ODD)
    nodes = backend.nodes()
    names = [name.replace("\n", "\\n") for name in ODD[:-1]]
    assert sorted(node.name for node in nodes) == sorted([*names, ids[-1]])
    assert len({node.id for node in nodes}) == len(ODD)
    assert all(node.tags.get("Name", "") in ODD for node in nodes)
    # What `show` prints selects it, in quotes; by its id, and both of two of one name.
    cluster = Cluster(backend)
    for node in nodes:
        assert cluster.select(f"id={node.id}") == [node]
        assert cluster.select(str(cluster.number(node))) == [node]
        assert cluster.select(f"'{cluster.label(node)}'") == [node]
    assert len(cluster.select("twin")) == 2


def test_a_listing_has_all_pages(backend: Ec2Backend) -> None:
    launch(backend, *[f"w{number}" for number in range(12)])
    pages = backend.cloud.client("ec2").get_paginator("describe_instances")
    seen = [p for p in pages.paginate(PaginationConfig={"PageSize": 5})]
    assert len(seen) > 1
    names = [node.name for node in backend.nodes()]
    assert names == [f"w{number}" for number in range(12)]


def test_many_stop_start_and_end_in_one_call(backend: Ec2Backend) -> None:
    ids = launch(backend, "a", "b", "c")
    sent = inject(backend, "StopInstances")
    assert {change.state for change in backend.stop(ids)} == {"stopped"}
    assert len(sent) == 1
    assert {node.state for node in backend.nodes()} == {"stopped"}
    assert {change.state for change in backend.start(ids)} == {"running"}
    assert {change.state for change in backend.terminate(ids)} == {"terminated"}
    assert backend.nodes() == []


def test_protected_and_unknown_ones_are_told_and_the_others_end(backend: Ec2Backend) -> None:
    first, second, third = launch(backend, "a", "b", "c")
    protect(backend, second, True)
    unknown = "i-0123456789abcdef0"
    changes = {each.id: each for each in backend.terminate([first, second, unknown, third])}
    assert [changes[id].error for id in (first, third)] == ["", ""]
    assert changes[second].state == "running"
    assert "disableApiTermination" in changes[second].error
    assert "does not exist" in changes[unknown].error
    assert list(by_name(backend)) == ["b"]


def test_what_is_done_stays_known_when_a_later_call_fails(backend: Ec2Backend) -> None:
    first, second = launch(backend, "a", "b")
    vague = refused("OperationNotPermitted", "one of them cannot be stopped")
    inject(backend, "StopInstances", vague, None, refused("UnauthorizedOperation", status=403))
    changes = backend.stop([first, second])
    assert [(each.id, each.state) for each in changes] == [(first, "stopped"), (second, "running")]
    assert changes[0].error == ""
    assert "not allowed: StopInstances" in changes[1].error


def test_a_call_that_fails_for_all_is_one_error(backend: Ec2Backend) -> None:
    ids = launch(backend, "a", "b")
    inject(backend, "StopInstances", refused("UnauthorizedOperation", status=403))
    with pytest.raises(CloudError, match="not allowed: StopInstances"):
        backend.stop(ids)


def test_a_trial_changes_nothing_and_tells_what_is_not_allowed(backend: Ec2Backend) -> None:
    ids = launch(backend, "a")
    backend.check("stop", ids)
    assert by_name(backend)["a"].running
    inject(backend, "TerminateInstances", refused("UnauthorizedOperation", status=403))
    with pytest.raises(CloudError, match="not allowed: TerminateInstances"):
        backend.check("terminate", ids)


def test_following_ends_when_nobody_waits(backend: Ec2Backend) -> None:
    ids = launch(backend, "a", "b")
    seen: list[dict[str, str]] = []

    def follow(states: Mapping[str, str]) -> bool:
        seen.append(dict(states))
        return len(seen) < 3

    slow(backend, "shutting-down", times=9)
    assert {each.state for each in backend.terminate(ids, follow)} == {"shutting-down"}
    assert seen == [dict.fromkeys(ids, "shutting-down")] * 3


def test_what_was_asked_but_not_followed_is_said(backend: Ec2Backend) -> None:
    (id,) = launch(backend, "a")
    inject(backend, "DescribeInstances", refused("UnauthorizedOperation", status=403))
    (change,) = backend.stop([id])
    assert change.error.startswith("it was asked to, but what became of it: not allowed")


def test_an_end_that_was_not_asked_for_or_does_not_come_is_an_error(backend: Ec2Backend) -> None:
    (id,) = launch(backend, "a")
    backend.stop([id])
    slow(backend, "stopped", times=1)  # as after a lack of capacity
    assert backend.start([id])[0].error == "it is stopped, not running"
    slow(backend, "stopping", times=1000)
    assert backend.stop([id])[0].error == "still stopping after 15 minutes"


def test_a_new_instance_that_is_not_known_everywhere_is_asked_again(backend: Ec2Backend) -> None:
    (id,) = launch(backend, "a")
    gone = refused("InvalidInstanceID.NotFound", f"The instance ID '{id}' does not exist")
    sent = inject(backend, "StopInstances", gone, gone)
    (change,) = backend.stop([id])
    assert (change.state, change.error, len(sent)) == ("stopped", "", 3)


def test_throttling_is_survived(backend: Ec2Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda seconds: None)
    launch(backend, "a")
    busy = [refused("RequestLimitExceeded", status=503) for _ in range(3)]
    sent = inject(backend, "DescribeInstances", *busy)
    assert list(by_name(backend)) == ["a"]
    assert len(sent) == 4


def test_throttling_without_end_is_said(
    backend: Ec2Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda seconds: None)
    inject(backend, "DescribeInstances", *[refused("RequestLimitExceeded", status=503)] * 11)
    with pytest.raises(CloudError, match="AWS takes no more calls for now"):
        backend.nodes()


def test_the_login_of_the_image_is_a_guess(backend: Ec2Backend) -> None:
    cloud.launch(backend.cloud, "u", ImageId="ami-1e749f67")
    node = by_name(backend)["u"]
    assert node.details["username"] == node.ssh_defaults["User"] == "ubuntu"
    assert "User" not in node.ssh
    inject(backend, "DescribeImages", refused("UnauthorizedOperation", status=403))
    assert "User" not in by_name(backend)["u"].ssh_defaults


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("UnauthorizedOperation", "not allowed: DescribeInstances"),
        ("ExpiredToken", "have expired: `aws sso login`"),
        ("AuthFailure", "does not accept the credentials in us-east-1"),
        ("OptInRequired", "this account has not enabled what it asks for in us-east-1: no"),
        ("Strange", r"AWS refused DescribeInstances: no \(Strange\)"),
    ],
)
def test_a_refusal_is_one_line_that_says_what_to_do(
    backend: Ec2Backend, code: str, said: str
) -> None:
    inject(backend, "DescribeInstances", refused(code))
    with pytest.raises(CloudError, match=said) as error:
        backend.nodes()
    assert error.value.code == code
    assert "\n" not in str(error.value)


def test_what_is_missing_is_named(
    aws: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BackendError, match="no AWS region is chosen: give --region"):
        Ec2Backend(Cloud()).nodes()
    with pytest.raises(BackendError, match="no AWS profile prod; "):
        Ec2Backend(Cloud("prod")).nodes()
    with pytest.raises(BackendError, match="no AWS profile prod; "):
        Ec2Backend(Cloud("prod", "us-east-1")).nodes()
    (tmp_path / "aws.conf").write_text("[profile prods]\n")
    with pytest.raises(BackendError, match="no AWS profile prod; did you mean prods?"):
        Ec2Backend(Cloud("prod", "us-east-1")).nodes()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(BackendError, match="no AWS credentials were found: run `aws configure`"):
        Ec2Backend(Cloud(region="us-east-1")).nodes()


def test_no_network_is_said(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("botocore.endpoint.time.sleep", slept.append)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(BackendError, match="cannot reach AWS in us-east-1: Could not connect"):
        Ec2Backend(Cloud(region="us-east-1")).nodes()
    assert len(slept) == 2  # and not nine, which take a minute
    with pytest.raises(
        BackendError, match="there is no region us-east-1x; did you mean us-east-1?"
    ):
        Ec2Backend(Cloud(region="us-east-1x")).nodes()


def test_who_takes_calls_and_does_not_answer_is_tried_three_times(
    aws: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("botocore.endpoint.time.sleep", slept.append)
    with closing_server() as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        with pytest.raises(BackendError, match="cannot reach AWS in us-east-1: Connection was clo"):
            Ec2Backend(Cloud(region="us-east-1")).nodes()
    assert len(slept) == 2
    slept.clear()
    monkeypatch.setattr("botocore.config.Config", partial(Config, read_timeout=0.1))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(BackendError, match="cannot reach AWS in us-east-1: Read timeout"):
            Ec2Backend(Cloud(region="us-east-1")).nodes()
    assert len(slept) == 2  # each try takes a minute


def test_roles_are_shared_with_the_aws_command_and_no_code_is_asked(
    aws: None, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY":
        monkeypatch.delenv(name)
    keys = "aws_access_key_id = a\naws_secret_access_key = b\n"
    role = "role_arn = arn:aws:iam::123456789012:role/admin\nsource_profile = default\n"
    serial = "mfa_serial = arn:aws:iam::123456789012:mfa/me\n"
    text = f"[default]\n{keys}[profile role]\n{role}[profile code]\n{role}{serial}"
    (tmp_path / "aws.conf").write_text(text)
    assert Ec2Backend(Cloud("role", "us-east-1")).nodes() == []
    assert len(list((tmp_path / ".aws/cli/cache").iterdir())) == 1
    with pytest.raises(BackendError, match="run `aws sts get-caller-identity --profile code`"):
        Ec2Backend(Cloud("code", "us-east-1")).nodes()


def test_a_program_for_credentials_that_fails_is_told(
    aws: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY":
        monkeypatch.delenv(name)
    program = "[default]\ncredential_process = sh -c 'echo vault is sealed >&2; exit 3'\n"
    (tmp_path / "aws.conf").write_text(program)
    with pytest.raises(BackendError, match="no AWS credentials: .* vault is sealed"):
        Ec2Backend(Cloud(region="us-east-1")).nodes()


def test_a_malformed_credential_is_said_without_it(
    aws: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a\nb")
    slept: list[float] = []
    monkeypatch.setattr("botocore.endpoint.time.sleep", slept.append)
    with pytest.raises(BackendError) as error:
        Ec2Backend(Cloud(region="us-east-1")).nodes()
    assert len(slept) == 2
    assert str(error.value) == "AWS could not be asked: a credential or a proxy is malformed"


def test_what_is_not_aws_is_said(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Ec2Backend(Cloud(region="us-east-1"))
    page = refused("x")
    page.raw.stream = lambda: iter([b"<!doctype html><p>Please log in"])
    inject(backend, "DescribeInstances", page)
    page.status_code = 200
    with pytest.raises(BackendError, match="something else answered; is a proxy in between?"):
        backend.nodes()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "no address")
    with pytest.raises(BackendError, match="Invalid endpoint: no address"):
        Ec2Backend(Cloud(region="us-east-1")).nodes()


def test_the_region_of_the_profile(aws: None, tmp_path: Path) -> None:
    text = "[default]\nregion = eu-west-1\n[profile prod]\nregion = us-west-2\n"
    (tmp_path / "aws.conf").write_text(text)
    assert Ec2Backend(Cloud()).label == "ec2 eu-west-1"
    assert Ec2Backend(Cloud("prod")).label == "ec2 prod us-west-2"
    assert Ec2Backend(Cloud("prod", "us-east-1")).label == "ec2 prod us-east-1"


@pytest.mark.parametrize(
    ("image", "user"),
    [
        ("ubuntu/images/hvm-ssd/ubuntu-noble-24.04-amd64-server-20260101", "ubuntu"),
        ("al2023-ami-2023.6.2026-kernel-6.1-x86_64", "ec2-user"),
        ("debian-12-amd64-20260101", "admin"),
        ("something of my own", ""),
    ],
)
def test_the_login_is_known_by_the_image(image: str, user: str) -> None:
    assert login_of(image) == user


def test_dust_lists_them_and_names_account_and_region(
    backend: Ec2Backend, capfd: pytest.CaptureFixture[str]
) -> None:
    launch(backend, "worker1", "two\nlines")
    assert main(["--region", "us-east-1", "-c", "show"]) == 0
    said = capfd.readouterr().out
    assert said.startswith("Nodes in region: us-east-1\n")
    assert [line.split()[1] for line in said.splitlines() if "running" in line] == [
        "two\\nlines",
        "worker1",
    ]
    assert main(["--backend", "ec2", "-c", "show"]) != 0
    assert "no AWS region is chosen" in capfd.readouterr().err


def test_a_listing_is_kept_and_shown_with_its_age(
    backend: Ec2Backend, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (id,) = launch(backend, "worker1")
    nodes = backend.nodes()
    sent = inject(backend, "DescribeInstances")
    kept = backend.kept()
    assert kept is not None and (kept[0], sent) == (nodes, [])
    (file,) = (tmp_path / "home" / "cache").glob("ec2-*.json")
    assert file.stat().st_mode & 0o777 == 0o600
    os.utime(file, (time.time() - 7230, time.time() - 7230))
    main(["--region", "us-east-1", "-c", "show worker*", "-c", "refresh", "-c", "show"])
    said = capfd.readouterr().out
    assert said.startswith("Nodes in region: us-east-1, as of 2 hours ago (`refresh` asks again)\n")
    assert "\nNodes in region: us-east-1\n" in said
    assert Ec2Backend(Cloud(region="eu-west-1")).kept() is None
    assert Ec2Backend(Cloud("other", "us-east-1")).kept() is None
    backend.stop([id])
    assert backend.kept() is None


@pytest.mark.parametrize("text", ["", "{", "[0,[]]", '[1,[["a"]]]', "7", "\0"])
def test_a_damaged_listing_is_as_none(backend: Ec2Backend, text: str) -> None:
    backend.nodes()
    path = path_of("", "us-east-1")
    path.write_text(text)
    assert backend.kept() is None


def test_the_private_address_is_taken_where_it_is_set(
    backend: Ec2Backend, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    launch(backend, "a")
    private = by_name(backend)["a"].private_ip
    for text in "auto", "private", "public":
        (tmp_path / "home" / "config.yaml").write_text(f"address: {text}\n")
        main(["--region", "us-east-1", "-c", "show -vv a", "-c", "set address private"])
        said = capfd.readouterr()
        assert ("private, by the setting" in said.out) == (text == "private")
        assert "set address: this holds from the start (in config.yaml)" in said.err
    there = Ec2Backend(backend.cloud, address="private")
    assert there.nodes()[0].ssh["HostName"] == private


def test_reboot(backend: Ec2Backend) -> None:
    first, second = launch(backend, "a", "b")
    sent = inject(backend, "RebootInstances")
    unknown = "i-0123456789abcdef0"
    changes = backend.reboot([first, unknown, second])
    assert [(each.state, bool(each.error)) for each in changes] == [
        ("running", False),
        ("unknown", True),
        ("running", False),
    ]
    assert len(sent) == 2


def test_use_goes_to_another_region(backend: Ec2Backend, capfd: pytest.CaptureFixture[str]) -> None:
    launch(backend, "worker1")
    lines = ["show worker1", "use eu-west-1", "show", "use eu-wset-1", "use us-east-1", "show"]
    main(["--region", "us-east-1", *(word for line in lines for word in ("-c", line))])
    said = capfd.readouterr()
    assert "0 nodes in ec2 eu-west-1\nthere are no nodes in ec2 eu-west-1." in said.out
    assert said.err == "dust: no region eu-wset-1; did you mean eu-west-1?\n"
    assert said.out.count("  worker1  ") == 2


def test_tags_of_any_characters(backend: Ec2Backend) -> None:
    ids = launch(backend, "a", "b")
    tags = {"note": "a=b, c: '*' \N{PILE OF POO}", "-x y": ""}
    missing = refused("InvalidInstanceID.NotFound", "i-0123456789abcdef0 does not exist")
    sent = inject(backend, "CreateTags", missing)
    unknown = "i-0123456789abcdef0"
    changes = backend.tag([*ids, unknown], tags)
    assert [(each.state, bool(each.error)) for each in changes] == [
        ("running", False),
        ("running", False),
        ("unknown", True),
    ]
    assert len(sent) == 2  # all at once, and again without the one that is not there
    assert all({**node.tags, **tags} == node.tags for node in backend.nodes())
    assert not any(each.error for each in backend.untag(ids, ["note", "nothing"]))
    assert all("note" not in node.tags and "-x y" in node.tags for node in backend.nodes())


def test_tags_that_are_not_seen_at_once_are_waited_for(backend: Ec2Backend) -> None:
    (id,) = launch(backend, "a")
    slept: list[float] = []

    def hidden(parsed: dict[str, Any], **_: Any) -> None:
        if len(slept) < 2:
            for reservation in parsed.get("Reservations", ()):
                for item in reservation["Instances"]:
                    item["Tags"] = [tag for tag in item["Tags"] if tag["Key"] != "late"]

    patient = Ec2Backend(backend.cloud, sleep=slept.append)
    events = backend.cloud.client("ec2").meta.events
    events.register("after-call.ec2.DescribeInstances", hidden)
    patient.tag([id], {"late": "1"})
    assert len(slept) == 2
    assert by_name(backend)["a"].tags["late"] == "1"


def test_tag_and_untag_as_typed(backend: Ec2Backend, capfd: pytest.CaptureFixture[str]) -> None:
    launch(backend, "w1", "w2")
    lines = [
        "tag w* 'owner=data team' x=1",
        "untag w1 x=2",
        "untag * x",
        "tag w1 oops",
        "show tags='owner:data team'",
    ]
    main(["--region", "us-east-1", *(word for line in lines for word in ("-c", line))])
    said = capfd.readouterr()
    assert said.out.startswith(
        "w[1-2]: has owner=data team, x=1\nw[1-2]: no longer has x\nNodes in region: us-east-1\n"
    )
    assert said.err == ("dust: no node of w1 has the tag x=2\ndust: tag: 'oops' is no KEY=VALUE\n")
    assert all("x" not in node.tags for node in backend.nodes())


def test_nodes_are_tagged_and_then_assigned(
    backend: Ec2Backend, capfd: pytest.CaptureFixture[str]
) -> None:
    """As the first description has it: nodes without usable tags are tagged first."""
    first, second, _ = launch(backend, "", "", "lone")
    lines = [
        f"tag id={first},id={second} cluster-name=webtest",
        "assign tags=cluster-name:webtest webtest --user ubuntu --names web[1-2]",
        "use webtest",
        "show -v",
    ]
    assert main(["--region", "us-east-1", *(w for line in lines for w in ("-c", line))]) == 0
    said = capfd.readouterr().out
    table = said[said.index("\nwebtest\n") :]
    assert [line.split()[1] for line in table.splitlines()[2:]] == ["web1", "web2"]
    assert table.count("ubuntu") == 2
    assert main(["--region", "us-east-1", "-c", "show"]) == 0
    table = capfd.readouterr().out
    assert [line.split()[-1] for line in table.splitlines() if len(line.split()) == 1] == [
        "webtest",
        "Unassigned:",
    ]
