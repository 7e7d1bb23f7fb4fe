"""cost - what nodes cost."""

from __future__ import annotations

import time
from calendar import timegm
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dust.command import Dust, Node, command
from dust.errors import BackendError

if TYPE_CHECKING:
    from dust.backends.ec2prices import Prices


@dataclass
class _Cost:
    """What is known of one node: dollars an hour, since its launch, and whatever else there is."""

    hourly: float | None = None
    since: float | None = None
    hours: float | None = None
    note: str = ""


@command
def cost(dust: Dust, target: str = "") -> None:
    """Show what nodes cost an hour, and since they were launched.

    Prices are AWS's list prices, and for spot nodes those that held since the launch. They are
    for computing alone: disks, addresses, traffic and discounts are not in them. Nothing is
    guessed; a node whose price is not known says why.

    Usage: cost [<target>]
    """
    from dust.backends.ec2 import cloud_of  # only where EC2 is used
    from dust.backends.ec2prices import Prices

    prices = Prices(cloud_of(dust.backend, "prices"))
    nodes = dust.select(target)
    now = time.time()
    costs = dust.aside(
        lambda: [_cost(prices, node, now) for node in nodes],
        lambda: f"asking for prices in {dust.backend.label} ...",
    )
    rows = [
        [
            dust.cluster.label(node),
            node.type,
            node.details.get("lifecycle", ""),
            node.state,
            _dollars(each.hourly, 4),
            "" if each.hours is None else f"{each.hours:.1f}",
            _dollars(each.since, 2),
            each.note,
        ]
        for node, each in zip(nodes, costs, strict=True)
    ]
    headers = ["node", "type", "bought", "state", "$/hour", "hours", "$ since launch", "prices"]
    dust.table(rows, headers=headers)
    _sum_up(dust, costs)


def _cost(prices: Prices, node: Node, now: float) -> _Cost:
    from dust.backends.ec2prices import NoPrice

    if not node.running:
        return _Cost(hourly=0.0, note="it does not run")
    details = node.details
    missing = [name for name in ("operation", "platform", "tenancy", "az", "launch_time")
               if not details.get(name)]  # fmt: skip
    if missing:
        return _Cost(note=f"no price: EC2 does not say its {' or '.join(missing)}")
    launched = float(timegm(time.strptime(details["launch_time"], "%Y-%m-%dT%H:%M:%SZ")))
    hours = max(0.0, now - launched) / 3600
    try:
        if details.get("lifecycle") == "spot":
            spot = prices.spot(node.type, details["platform"], details["az"], launched)
            known = spot.prices[0][0]
            note = f"of {_day(spot.asked)}"
            if known > launched + 60:
                note += f", known since {_day(known)}"
            return _Cost(spot.hourly, spot.since(launched, now), hours, note)
        listed = prices.listed(node.type, details["operation"], details["tenancy"])
        return _Cost(listed.hourly, listed.hourly * hours, hours, f"of {_day(listed.asked)}")
    except NoPrice as error:
        return _Cost(hours=hours, note=f"no price: {error}")
    except BackendError as error:
        return _Cost(hours=hours, note=f"not asked: {error}")


def _day(when: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(when))


def _dollars(amount: float | None, digits: int) -> str:
    return "" if amount is None else f"{amount:.{digits}f}"


def _sum_up(dust: Dust, costs: Sequence[_Cost]) -> None:
    hourly = [each.hourly for each in costs if each.hourly is not None]
    since = sum(each.since for each in costs if each.since is not None)
    if not hourly:
        dust.error("cost: no price is known")
        return
    which = f"{len(hourly)} of {len(costs)} nodes" if len(hourly) < len(costs) else "all"
    dust.print(f"{which}: ${sum(hourly):.4f} an hour, ${since:.2f} since they were launched")
    if len(hourly) < len(costs):
        dust.error(f"cost: {len(costs) - len(hourly)} of {len(costs)} nodes have no known price")
