"""The last listing of a region, kept on disk for the next dust."""

from __future__ import annotations

import json
import os
import re
import zlib
from contextlib import suppress
from pathlib import Path

from dust import config
from dust.errors import ConfigError
from dust.node import Node

#: What a file of another form of this module has not.
_FORM = 3


def path_of(profile: str, region: str, address: str = "auto") -> Path:
    """The file for a profile, region and setting `address`; it need not exist."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_EC2") or os.environ.get("AWS_ENDPOINT_URL", "")
    key = os.environ.get("AWS_ACCESS_KEY_ID", "") if not profile else ""  # its account is another
    exact = zlib.crc32(
        "\0".join((profile, region, endpoint, key, address)).encode("utf-8", "replace")
    )
    plain = re.sub(r"[^A-Za-z0-9-]+", "_", f"{region}-{profile or 'default'}")[:80]
    return config.home() / "cache" / f"ec2-{plain}-{exact:08x}.json"


def keep(path: Path, nodes: list[Node]) -> None:
    """Write a listing, whole."""
    rows = [
        (n.name, n.id, n.state, n.type, n.ip, n.private_ip, n.cluster,
         dict(n.tags), dict(n.details), dict(n.ssh), dict(n.ssh_defaults))
        for n in nodes
    ]  # fmt: skip
    with suppress(ConfigError):  # a home that cannot be written: it is asked again next time
        config.write_whole(path, json.dumps([_FORM, rows], separators=(",", ":")))


def drop(path: Path) -> None:
    """Forget a listing that is about to be wrong."""
    with suppress(OSError):
        path.unlink()


def kept(path: Path) -> tuple[list[Node], float] | None:
    """The listing and when it was made (seconds since 1970); None if there is none to be read."""
    try:
        with open(path, "rb") as file:
            when = os.fstat(file.fileno()).st_mtime
            form, rows = json.load(file)
        if form != _FORM:
            return None
        return [_node(*row) for row in rows], when
    except (OSError, ValueError, TypeError):  # missing or damaged: the source is asked
        return None


def _node(
    name: str,
    id: str,
    state: str,
    type: str,
    ip: str,
    private_ip: str,
    cluster: str,
    tags: dict[str, str],
    details: dict[str, str],
    ssh: dict[str, str],
    guessed: dict[str, str],
) -> Node:
    where = ip, private_ip, cluster
    return Node(name, id, "ec2", state, type, *where, tags, details, ssh, guessed)
