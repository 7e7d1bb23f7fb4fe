"""The region that is nearest to this machine: measured once, and remembered."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from dust import config
from dust.backends.ec2client import Cloud, CloudError

#: Asked which regions there are where no region is configured.
_HOME = "us-east-1"
_TIMES, _PATIENCE = 3, 5.0


def closest(cloud: Cloud, measure: Callable[[str], float] | None = None) -> str:
    """The region of the account that answers first. Raises `CloudError`.

    `measure` says how many seconds a host takes to answer, infinitely many if it does not.
    """
    path = remembered()
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        pass  # it was not measured yet
    cloud = cloud if cloud.region else Cloud(cloud.profile, _HOME)
    regions = [each["RegionName"] for each in cloud.call("ec2", "describe_regions")["Regions"]]
    own = urlsplit(cloud.client("ec2").meta.endpoint_url).hostname or ""
    hosts = {each: own.replace(cloud.region, each) for each in regions}
    if len(set(hosts.values())) == 1:  # one address for all of a cloud of one's own
        return cloud.region
    times = _times(hosts, measure or _answer)
    best = min(times, key=lambda region: (times[region], region))
    if times[best] == float("inf"):
        raise CloudError("no region answers; is the network up?")
    config.write_whole(path, f"{best}\n")
    return best


def remembered() -> Path:
    """Where the region is kept; it is measured anew once this is removed."""
    return config.home() / "cache" / "closest_region"


def _times(hosts: Mapping[str, str], measure: Callable[[str], float]) -> dict[str, float]:
    with ThreadPoolExecutor(len(hosts)) as pool:
        return dict(zip(hosts, pool.map(measure, hosts.values()), strict=True))


def _answer(host: str) -> float:
    """Seconds until a host takes a call, the best of some tries."""
    best = float("inf")
    for _ in range(_TIMES):
        begun = time.monotonic()
        try:
            socket.create_connection((host, 443), timeout=_PATIENCE).close()
        except OSError:
            break
        best = min(best, time.monotonic() - begun)
    return best
