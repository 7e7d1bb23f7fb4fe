"""secgroup as it is typed, on a moto server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from cloud import account, launch, serving

from dust.backends import ec2groups
from dust.backends.ec2client import Cloud, CloudError
from dust.backends.ec2groups import Ports, is_world, network, own_address
from dust.cli import main

Typed = Callable[..., tuple[str, str]]
OWN = "192.0.2.7/32"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving() as endpoint:
        yield endpoint


@pytest.fixture
def cloud(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """An account with web1 and web2 in the group `web`, and db in `db` and `web`."""
    account(monkeypatch, server, tmp_path)
    monkeypatch.setattr(ec2groups, "own_address", lambda: OWN)
    cloud = Cloud(region="us-east-1")
    ids = {}
    for name in "web", "db":
        answer = cloud.call("ec2", "create_security_group", GroupName=name, Description=name)
        ids[name] = answer["GroupId"]
    nodes = [
        launch(cloud, "web1", SecurityGroupIds=[ids["web"]]),
        launch(cloud, "web2", SecurityGroupIds=[ids["web"]]),
        launch(cloud, "db", SecurityGroupIds=[ids["db"], ids["web"]]),
    ]
    yield cloud
    cloud.call("ec2", "terminate_instances", InstanceIds=nodes)
    for id in ids.values():
        cloud.call("ec2", "delete_security_group", GroupId=id)


@pytest.fixture
def typed(cloud: Cloud, capfd: pytest.CaptureFixture[str]) -> Typed:
    def typed(*lines: str, yes: bool = True) -> tuple[str, str]:
        words = [word for line in lines for word in ("-c", line)]
        main(["--region", "us-east-1", *(["-y"] if yes else []), *words])
        said = capfd.readouterr()
        return said.out, said.err

    return typed


def group(cloud: Cloud, name: str) -> tuple[str, list[tuple[str, str]]]:
    """The id of a group, and what it lets in."""
    found = cloud.call("ec2", "describe_security_groups")["SecurityGroups"]
    (id,) = [each["GroupId"] for each in found if each["GroupName"] == name]
    _, rules = ec2groups.rules(cloud, [id])
    return id, [(str(rule.ports), rule.peer) for rule in rules if rule.incoming]


def test_open_show_and_close(cloud: Cloud, typed: Typed) -> None:
    id, _ = group(cloud, "web")
    assert typed("secgroup open 8080 web*") == (f"{id}: 8080/tcp is open to {OWN}\n", "")
    assert typed("secgroup open 8080 web*") == (f"{id}: 8080/tcp was open to {OWN} already\n", "")
    typed("secgroup open 53/udp 10.0.0.0/8 web1", "secgroup open 443 2001:db8::/32 web1")
    shown = [line.split() for line in typed("secgroup show web1")[0].splitlines()]
    assert ["web", id, "8080/tcp", "from", OWN, "web1"] in shown
    assert ["web", id, "53/udp", "from", "10.0.0.0/8", "web1"] in shown
    assert ["web", id, "443/tcp", "from", "2001:db8::/32", "web1"] in shown
    assert ["web", id, "all", "to", "0.0.0.0/0", "web1"] in shown
    assert typed("secgroup close 8080 web1") == (f"{id}: 8080/tcp is closed to {OWN}\n", "")
    assert typed("secgroup close 8080 web1")[1] == (
        f"dust: secgroup: 8080/tcp is not open to {OWN}; "
        "open is 443/tcp to 2001:db8::/32, 53/udp to 10.0.0.0/8\n"
    )


def test_nothing_is_opened_unasked(cloud: Cloud, typed: Typed) -> None:
    id, _ = group(cloud, "web")
    _, said = typed("secgroup open 22 world web1", yes=False)
    assert said.startswith(
        f"open 22/tcp to the whole world, 0.0.0.0/0 in {id} (db,web[1-2]), ec2 us-east-1? no"
    )
    assert "nothing was opened" in said
    assert group(cloud, "web")[1] == []


def test_one_group_of_each_node_is_enough(cloud: Cloud, typed: Typed) -> None:
    typed("secgroup open 5432 *")
    assert group(cloud, "db")[1] == [("5432/tcp", OWN)]
    assert group(cloud, "web")[1] == [("5432/tcp", OWN)]
    typed("secgroup open 9 db")
    assert group(cloud, "web")[1] == [("5432/tcp", OWN)]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("secgroup open 99999", "'99999' is no range of ports"),
        ("secgroup open http", "'http' is no port"),
        ("secgroup open 8080 10.0.0.1/8 web1", "is 10.0.0.0/8 meant?"),
        ("secgroup open 8080 10.0.0.x web1", "10.0.0.x"),
        ("secgroup open 8080 nobody", "no node or cluster is called nobody"),
    ],
)
def test_what_cannot_be_is_said(line: str, said: str, typed: Typed) -> None:
    out, err = typed(line)
    assert (out, said in err) == ("", True), err
    assert err.count("\n") == 1


def test_what_the_readme_prints(cloud: Cloud, typed: Typed) -> None:
    readme = (Path(__file__).resolve().parents[1] / "README.md").read_text()
    block = readme.partition("## EC2")[2].split("```")[1]
    lines = [line.partition("  #")[0].strip() for line in block.strip().splitlines()]
    lines.remove("cost")  # moto has no prices
    out, err = typed(*(line.replace("worker*", "web*") for line in lines))
    assert err == ""
    for said in (
        "web[1-2]: has owner=data team",
        "data: 2 nodes, web[1-2]",
        "would stop 2 nodes of data in ec2 us-east-1: web[1-2]",
        f"8080/tcp is open to {OWN}",
        "there are no log groups in ec2 us-east-1",
        "0 nodes in ec2 eu-west-1",
    ):
        assert said in out


def test_other_sources_have_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DUST_HOME", str(tmp_path))
    assert main(["-c", "secgroup show"]) == 1
    assert capfd.readouterr().err == (
        "dust: local has no security groups: only `--backend ec2` has\n"
    )


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("22", Ports("tcp", 22, 22)),
        ("8000-8010", Ports("tcp", 8000, 8010)),
        ("53/udp", Ports("udp", 53, 53)),
        ("all/udp", Ports("udp", 0, 65535)),
        ("all", Ports("-1")),
        ("icmp", Ports("icmp")),
    ],
)
def test_ports(text: str, ports: Ports) -> None:
    assert Ports.parsed(text) == ports
    assert Ports.parsed(str(ports)) == ports


@pytest.mark.parametrize(
    ("text", "said", "world"),
    [
        ("world", "0.0.0.0/0", True),
        ("0.0.0.0/1", "0.0.0.0/1", True),
        ("::/0", "::/0", True),
        ("10.0.0.0/8", "10.0.0.0/8", False),
        ("192.0.2.1", "192.0.2.1/32", False),
        ("2001:db8::/32", "2001:db8::/32", False),
    ],
)
def test_networks(text: str, said: str, world: bool) -> None:
    assert (network(text), is_world(said)) == (said, world)


def test_the_own_address_is_asked() -> None:
    answers = [b"192.0.2.9\n", b"<html>"]

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answers.pop(0))

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        assert own_address(url) == "192.0.2.9/32"
        with pytest.raises(CloudError, match="cannot find out this machine's own address"):
            own_address(url)
        server.shutdown()
