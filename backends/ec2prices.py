"""Prices of EC2 in US dollars: AWS's price list and its history of spot prices, kept on disk."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from dust import config
from dust.backends.ec2client import Cloud, CloudError
from dust.errors import ConfigError

#: Seconds for which what was asked is not asked again: list prices, spot prices.
_LISTED, _SPOT = 7 * 86400.0, 3600.0
#: As far back as AWS knows spot prices.
_KNOWN = 90 * 86400.0
#: Where the price list of all regions is.
_HOME = "us-east-1"
_TENANCIES = {"default": "Shared", "dedicated": "Dedicated"}


@dataclass(frozen=True)
class Listed:
    """A list price in dollars an hour, and when it was asked (seconds since 1970)."""

    hourly: float
    asked: float


@dataclass(frozen=True)
class Spot:
    """Spot prices: from when on (seconds since 1970) each held, the oldest first."""

    prices: tuple[tuple[float, float], ...]
    asked: float

    @property
    def hourly(self) -> float:
        """The price now."""
        return self.prices[-1][1]

    def since(self, begin: float, end: float) -> float:
        """What one instance cost between two times, as far as the prices are known."""
        ends = [when for when, _ in self.prices[1:]] + [end]
        return sum(
            max(0.0, min(until, end) - max(when, begin)) / 3600 * price
            for (when, price), until in zip(self.prices, ends, strict=True)
        )


class NoPrice(Exception):
    """There is no price, and this is why."""


class Prices:
    """What instances of an account's region cost; each price is asked once and kept."""

    def __init__(self, cloud: Cloud, clock: Callable[[], float] = time.time) -> None:
        """Ask nothing yet; `clock` says seconds since 1970."""
        self._cloud = cloud
        self._list = Cloud(cloud.profile, _HOME)
        self._clock = clock
        self._path = config.home() / "cache" / "prices.json"
        self._kept = _read(self._path)

    def listed(self, type: str, operation: str, tenancy: str) -> Listed:
        """The list price of an instance type; `operation` is what EC2 calls its system.

        Raises `NoPrice`, or `CloudError` where an old price was not kept either.
        """
        if tenancy not in _TENANCIES:
            raise NoPrice(f"tenancy {tenancy}: the host is what costs")
        key = "|".join(("list", self._cloud.region, type, operation, tenancy))
        kept = self._kept.get(key)
        if kept is None or self._clock() - kept[0] > _LISTED:
            try:
                price = self._asked(type, operation, _TENANCIES[tenancy])
                kept = self._keep(key, price)
            except CloudError:
                if kept is None:
                    raise
        return Listed(hourly=kept[1], asked=kept[0])

    def spot(self, type: str, platform: str, zone: str, since: float) -> Spot:
        """The spot prices in a zone since a time, as far as AWS knows them. Raises as `listed`."""
        key = "|".join(("spot", zone, type, platform))
        kept = self._kept.get(key)
        now = self._clock()
        wanted = max(since, now - _KNOWN)
        if kept is None or now - kept[0] > _SPOT or kept[1][0][0] > wanted + 60:
            try:
                kept = self._keep(key, self._history(type, platform, zone, wanted))
            except CloudError:
                if kept is None:
                    raise
        return Spot(tuple((when, price) for when, price in kept[1]), asked=kept[0])

    def _asked(self, type: str, operation: str, tenancy: str) -> float:
        wanted = {
            "regionCode": self._cloud.region,
            "instanceType": type,
            "operation": operation,
            "tenancy": tenancy,
            "capacitystatus": "Used",
        }
        filters = [{"Type": "TERM_MATCH", "Field": k, "Value": v} for k, v in wanted.items()]
        prices: set[float] = set()
        for page in self._list.pages(
            "pricing", "get_products", ServiceCode="AmazonEC2", Filters=filters
        ):
            for text in page["PriceList"]:
                prices |= _on_demand(json.loads(text))
        if len(prices) != 1:
            many = f"{len(prices)} prices" if prices else "no price"
            raise NoPrice(f"the price list has {many} for {type} ({operation})")
        return prices.pop()

    def _history(self, type: str, platform: str, zone: str, since: float) -> list[list[float]]:
        found = [
            [each["Timestamp"].timestamp(), float(each["SpotPrice"])]
            for page in self._cloud.pages(
                "ec2",
                "describe_spot_price_history",
                InstanceTypes=[type],
                AvailabilityZone=zone,
                StartTime=datetime.fromtimestamp(since, timezone.utc),
            )
            for each in page["SpotPriceHistory"]
            if each["ProductDescription"] in (platform, f"{platform} (Amazon VPC)")
            and each["AvailabilityZone"] == zone
        ]
        if not found:
            raise NoPrice(f"there is no spot price for {type} ({platform}) in {zone}")
        return sorted(found)

    def _keep(self, key: str, what: Any) -> tuple[float, Any]:
        self._kept[key] = kept = self._clock(), what
        with suppress(ConfigError):  # a home that cannot be written: it is asked again next time
            config.write_whole(self._path, json.dumps(self._kept))
        return kept


def _on_demand(product: Mapping[str, Any]) -> set[float]:
    """The prices an hour, in dollars, of a product of the price list; other terms left out."""
    return {
        float(dimension["pricePerUnit"]["USD"])
        for term in product.get("terms", {}).get("OnDemand", {}).values()
        for dimension in term["priceDimensions"].values()
        if dimension.get("unit") == "Hrs" and "USD" in dimension["pricePerUnit"]
        and product["product"]["attributes"].get("marketoption", "OnDemand") == "OnDemand"
    }  # fmt: skip


def _read(path: Path) -> dict[str, tuple[float, Any]]:
    """What was kept; what is damaged or of another form is asked again."""
    kept: dict[str, tuple[float, Any]] = {}
    try:
        for key, (asked, what) in json.loads(path.read_bytes()).items():
            if key.startswith("spot|"):
                what = [[float(when), float(price)] for when, price in what]
            else:
                what = float(what)
            if what:
                kept[key] = float(asked), what
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
    return kept
