"""Ways to instances without a public address, as AWS's answers and the installed tools have it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from dust import ssh
from dust.backends.ec2client import Cloud, CloudError
from dust.backends.ec2nodes import as_node
from dust.backends.ec2reach import Route, own_id, routes

OURS, THEIRS = "vpc-1", "vpc-2"


class Answers(Cloud):
    """Stands in for calls that moto has not; `asked` says which were made."""

    def __init__(self, profile: str = "") -> None:
        super().__init__(profile, "us-east-1")
        self.asked: list[str] = []
        self.endpoints: list[dict[str, str]] = []
        self.managed: list[str] = []
        self.refused = False

    def pages(self, service: str, operation: str, **parameters: Any) -> Any:
        self.asked.append(operation)
        if self.refused:
            raise CloudError("not allowed", "UnauthorizedOperation")
        if service == "ssm":
            yield {"InstanceInformationList": [{"InstanceId": id} for id in self.managed]}
        else:
            yield {"InstanceConnectEndpoints": self.endpoints}


def item(
    number: int, vpc: str = THEIRS, public: str = "", state: str = "running"
) -> dict[str, Any]:
    found = {
        "InstanceId": f"i-{number:08x}",
        "VpcId": vpc,
        "PrivateIpAddress": f"10.0.0.{number}",
        "State": {"Name": state},
    }
    return {**found, "PublicIpAddress": public} if public else found


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DUST_HOME", str(tmp_path / "home"))
    return tmp_path


def install(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)


def test_the_public_address_outside_the_private_one_within(tools: Path) -> None:
    items = [item(1, OURS, "52.0.0.1"), item(2, OURS), item(3, THEIRS, "52.0.0.3")]
    cloud = Answers()
    outside = routes(cloud, [items[0], items[2]], "")
    assert [route.address for route in outside.values()] == ["52.0.0.1", "52.0.0.3"]
    inside = routes(cloud, items, "i-00000002")
    assert [route.address for route in inside.values()] == ["10.0.0.1", "10.0.0.2", "52.0.0.3"]
    private = routes(cloud, items, "", "private")
    assert [route.address for route in private.values()] == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    public = routes(cloud, [items[0], items[2]], "i-00000001", "public")
    assert [route.address for route in public.values()] == ["52.0.0.1", "52.0.0.3"]
    assert cloud.asked == []


def test_what_does_not_run_is_no_question(tools: Path) -> None:
    install(tools, "aws", "session-manager-plugin")
    cloud = Answers()
    assert routes(cloud, [item(1, state="stopped")], "")["i-00000001"] == Route("10.0.0.1")
    assert cloud.asked == []


def test_without_tools_it_is_said_what_would_help(tools: Path) -> None:
    cloud = Answers()
    route = routes(cloud, [item(1)], "")["i-00000001"]
    assert (route.address, route.proxy, cloud.asked) == ("10.0.0.1", "", [])
    assert "needs a ProxyJump for it, or install aws and session-manager-plugin" in route.note
    install(tools, "aws")
    assert "install session-manager-plugin" in routes(cloud, [item(1)], "")["i-00000001"].note
    install(tools, "session-manager-plugin")
    assert "SSM does not see it" in routes(cloud, [item(1)], "")["i-00000001"].note
    cloud.refused = True
    assert routes(cloud, [item(1)], "")["i-00000001"].proxy == ""


def test_an_endpoint_in_its_vpc_is_used_else_ssm(tools: Path) -> None:
    install(tools, "aws", "session-manager-plugin")
    cloud = Answers("my prod%")
    cloud.endpoints = [
        {"VpcId": THEIRS, "InstanceConnectEndpointId": "eice-1", "State": "create-complete"},
        {"VpcId": OURS, "InstanceConnectEndpointId": "eice-2", "State": "create-failed"},
    ]
    cloud.managed = ["i-00000001", "i-00000002"]
    found = routes(cloud, [item(1), item(2, OURS)], "")
    account = "aws --region us-east-1 --profile 'my prod%%'"
    assert found["i-00000001"].proxy == (
        f"{account} ec2-instance-connect open-tunnel --instance-connect-endpoint-id eice-1 "
        "--private-ip-address %h --remote-port %p"
    )
    assert found["i-00000002"].proxy == (
        f"{account} ssm start-session --target i-00000002 --document-name AWS-StartSSHSession "
        "--parameters portNumber=%p"
    )


def test_ssh_runs_the_tool_unless_the_user_has_a_jump_host(
    tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tools, "aws", "session-manager-plugin")
    (tools / "aws").write_text('#!/bin/sh\nprintf "%s\\n" "$@" >"$0.said"\n')
    cloud = Answers("a 'b' $(touch x)%h")
    cloud.managed = ["i-00000001"]
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    node = as_node(item(1), "", routes(cloud, [item(1)], "")["i-00000001"])
    theirs, made = tools / "theirs", tools / "made"
    made.write_text(ssh.config([theirs], {**ssh.DEFAULTS, **node.ssh_defaults}))
    argv = ssh.argv(node, made, "true", tty=False)
    theirs.write_text("")
    subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, cwd=tools)
    assert (tools / "aws.said").read_text().splitlines() == [
        *("--region", "us-east-1", "--profile", "a 'b' $(touch x)%h"),
        *("ssm", "start-session", "--target", "i-00000001"),
        *("--document-name", "AWS-StartSSHSession", "--parameters", "portNumber=22"),
    ]
    assert not (tools / "x").exists()
    theirs.write_text("Host i-*\n  ProxyJump bastion\n")
    said = subprocess.run([*argv[:-3], "-G", *argv[-3:]], capture_output=True, text=True).stdout
    assert "proxyjump bastion\n" in said
    assert "proxycommand" not in said


@pytest.mark.parametrize(
    ("text", "id"), [("i-0123456789abcdef0\n", "i-0123456789abcdef0"), ("Not Specified\n", "")]
)
def test_the_machine_knows_whether_it_is_an_instance(text: str, id: str, tmp_path: Path) -> None:
    path = tmp_path / "board_asset_tag"
    assert own_id(path) == ""
    path.write_text(text)
    assert own_id(path) == id
