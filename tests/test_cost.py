"""cost as it is typed: a price list over HTTP in AWS's form, which moto has not."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cloud import account, serving

from dust.backends import ec2kept
from dust.backends.ec2client import Cloud
from dust.backends.ec2prices import Prices, Spot
from dust.cli import main
from dust.node import Node

NODE = Node(
    "w1",
    "i-1",
    "ec2",
    type="t3.nano",
    details={
        "operation": "RunInstances",
        "platform": "Linux/UNIX",
        "tenancy": "default",
        "az": "us-east-1a",
        "lifecycle": "on-demand",
    },
)


def product(price: str, market: str = "OnDemand") -> str:
    """An entry of the price list, as AWS has it."""
    dimension = {"unit": "Hrs", "pricePerUnit": {"USD": price}, "description": "..."}
    upfront = {"unit": "Quantity", "pricePerUnit": {"USD": "100"}}
    term = {"priceDimensions": {"SKU.TERM.RATE": dimension}}
    terms = {
        "OnDemand": {"SKU.TERM": term},
        "Reserved": {
            "SKU.X": {"priceDimensions": {"a": upfront, "b": dimension | {"unit": "Hrs"}}}
        },
    }
    attributes = {"instanceType": "t3.nano", "marketoption": market}
    return json.dumps({"product": {"sku": "SKU", "attributes": attributes}, "terms": terms})


class PriceList:
    """A server of prices: `products` by instance type, `asked` what was asked for."""

    def __init__(self) -> None:
        self.products: dict[str, list[str]] = {"t3.nano": [product("0.0052"), product("9", "CB")]}
        self.asked: list[dict[str, str]] = []
        self.status = 200

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        filters = {each["Field"]: each["Value"] for each in question["Filters"]}
        self.asked.append(filters)
        return {
            "FormatVersion": "aws_v1",
            "PriceList": self.products.get(filters["instanceType"], []),
        }


@pytest.fixture
def prices(monkeypatch: pytest.MonkeyPatch) -> Iterator[PriceList]:
    found = PriceList()

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps(found.answer(question)).encode()
            if found.status != 200:
                body = b'{"__type": "AccessDeniedException", "message": "no"}'
            self.send_response(found.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("AWS_ENDPOINT_URL_PRICING", url)
        yield found
        server.shutdown()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving() as endpoint:
        yield endpoint


@pytest.fixture
def typed(
    server: str,
    prices: PriceList,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Callable[..., tuple[list[list[str]], str]]:
    """Type `cost` with these nodes there; the words of what it prints, and what is wrong."""
    account(monkeypatch, server, tmp_path)

    def typed(*nodes: Node) -> tuple[list[list[str]], str]:
        ten_hours_ago = time.gmtime(time.time() - 36000)
        launched = time.strftime("%Y-%m-%dT%H:%M:%SZ", ten_hours_ago)
        there = [changed(node, node.name, launch_time=launched) for node in nodes]
        ec2kept.keep(ec2kept.path_of("", "us-east-1"), there)
        main(["--region", "us-east-1", "-c", "cost"])
        said = capfd.readouterr()
        return [line.split() for line in said.out.splitlines()[1:]], said.err

    return typed


def changed(node: Node, name: str, **details: str) -> Node:
    return node._replace(name=name, id=f"i-{name}", details={**node.details, **details})


def test_list_prices(typed: Callable[..., Any], prices: PriceList) -> None:
    today = time.strftime("%Y-%m-%d", time.gmtime())
    stopped = changed(NODE, "w3")._replace(state="stopped")
    rows, wrong = typed(NODE, changed(NODE, "w2"), stopped)
    assert rows[0] == [
        "w1",
        "t3.nano",
        "on-demand",
        "running",
        "0.0052",
        "10.0",
        "0.05",
        "of",
        today,
    ]
    assert rows[2][:5] == ["w3", "t3.nano", "on-demand", "stopped", "0.0000"]
    assert " ".join(rows[3]) == "all: $0.0104 an hour, $0.10 since they were launched"
    assert wrong == ""
    assert prices.asked == [
        {
            "regionCode": "us-east-1",
            "instanceType": "t3.nano",
            "operation": "RunInstances",
            "tenancy": "Shared",
            "capacitystatus": "Used",
        }
    ]
    assert typed(NODE)[0][0][4] == "0.0052"
    assert len(prices.asked) == 1  # it was kept


def test_what_has_no_price_says_why(typed: Callable[..., Any], prices: PriceList) -> None:
    prices.products["t3.two"] = [product("1"), product("2")]
    nodes = [
        NODE,
        changed(NODE, "strange")._replace(type="x9.huge"),
        changed(NODE, "double")._replace(type="t3.two"),
        changed(NODE, "lord", tenancy="host"),
        changed(NODE, "old", operation=""),
    ]
    rows, wrong = typed(*nodes)
    notes = {row[0]: " ".join(row[4:]) for row in rows}
    assert notes["strange"].endswith(
        "no price: the price list has no price for x9.huge (RunInstances)"
    )
    assert notes["double"].endswith(
        "no price: the price list has 2 prices for t3.two (RunInstances)"
    )
    assert notes["lord"].endswith("no price: tenancy host: the host is what costs")
    assert notes["old"] == "no price: EC2 does not say its operation"
    assert " ".join(rows[-1]).startswith("1 of 5 nodes: $0.0052 an hour")
    assert wrong == "dust: cost: 4 of 5 nodes have no known price\n"


def test_an_old_price_is_used_with_its_date_where_there_is_no_new_one(
    typed: Callable[..., Any], prices: PriceList, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(NODE)
    path = ec2kept.path_of("", "us-east-1").with_name("prices.json")
    ((key, (_, price)),) = json.loads(path.read_text()).items()
    path.write_text(json.dumps({key: [1e9, price]}))
    prices.status = 400
    assert typed(NODE)[0][0][-1] == "2001-09-09"
    prices.status, prices.products["t3.nano"] = 200, [product("0.006")]
    assert typed(NODE)[0][0][4] == "0.0060"
    prices.status = 400
    path.write_text("{")
    rows, _ = typed(NODE)
    assert "not asked: not allowed: GetProducts (AccessDeniedException)" in " ".join(rows[0])


def test_spot_prices(typed: Callable[..., Any], prices: PriceList) -> None:
    rows, wrong = typed(changed(NODE, "s", lifecycle="spot"))
    assert rows[0][:5] == ["s", "t3.nano", "spot", "running", "0.0000"]  # moto's is 0.00001
    assert (prices.asked, wrong) == ([], "")


def test_spot_prices_since_the_launch() -> None:
    spot = Spot(((0.0, 1.0), (7200.0, 2.0), (10800.0, 4.0)), asked=0.0)
    assert spot.hourly == 4.0
    assert spot.since(3600.0, 14400.0) == 1.0 + 2.0 + 4.0
    assert spot.since(-9000.0, 3600.0) == 1.0  # what is not known is not counted
    assert spot.since(9000.0, 9000.0) == 0.0


def test_spot_history_is_asked_again_when_it_does_not_reach_back(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account(monkeypatch, server, tmp_path)
    now = 1.8e9
    cloud = Cloud(region="us-east-1")
    asked: list[float] = []

    def history(self: Prices, type: str, platform: str, zone: str, since: float) -> Any:
        asked.append(since)
        return [[since, 0.5]]

    monkeypatch.setattr(Prices, "_history", history)
    for since in (now - 100, now - 100, now - 9000, now - 1e9):
        assert Prices(cloud, lambda: now).spot("t3.nano", "Linux/UNIX", "z", since).hourly == 0.5
    assert asked == [now - 100, now - 9000, now - 90 * 86400]
    Prices(cloud, lambda: now + 4000).spot("t3.nano", "Linux/UNIX", "z", now)
    assert len(asked) == 4
