"""One machine that a backend knows."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

# Other names under which a target may ask for a property.
ALIASES = {"dns_name": "dns", "ext_ip": "ip", "int_ip": "private_ip", "user": "username"}


_NOTHING: Mapping[str, str] = MappingProxyType({})


class Node(NamedTuple):
    """A machine: what it is called, where it is and how ssh reaches it.

    `id` is unique within a backend and stays the same for the machine's life; `name` is what
    people type and the host alias that ssh sees. `state` is one of `pending`, `running`,
    `stopping`, `stopped`, `terminated`, or whatever else the backend reports. `ssh` holds facts
    as ssh_config keywords (`HostName`, `Port`, `User`, `IdentityFile`, ...) which no
    configuration may override; what is not in there is ssh's and the user's own business.
    `ssh_defaults` holds keywords that are only guessed: they give way to every configuration.
    `details` holds every further property, by the name that a target uses (`key=glob`); `reach`
    among them is what there is to know about the way to it, told where that fails.
    """

    name: str
    id: str
    backend: str
    state: str = "running"
    type: str = ""
    ip: str = ""
    private_ip: str = ""
    cluster: str = ""
    tags: Mapping[str, str] = _NOTHING
    details: Mapping[str, str] = _NOTHING
    ssh: Mapping[str, str] = _NOTHING
    ssh_defaults: Mapping[str, str] = _NOTHING

    @property
    def running(self) -> bool:
        """Whether a session can be opened on it."""
        return self.state == "running"

    @property
    def of_file(self) -> bool:
        """Whether it is a host of a file: its `id` is what the file and ssh call it."""
        return self.backend == "ssh"

    @property
    def clusters(self) -> tuple[str, ...]:
        """All clusters that it is in: its own first, then the groups of an inventory."""
        groups = self.tags if self.of_file else ()
        return tuple(dict.fromkeys([*([self.cluster] if self.cluster else []), *groups]))

    @property
    def absence(self) -> str:
        """Why nothing can be sent to it; "" if it runs."""
        return "" if self.running else f"it is {self.state}"

    def properties(self) -> dict[str, str]:
        """Every property but the tags, by the name that `key=glob` and `show -vv` use."""
        return {
            "name": self.name,
            "id": self.id,
            "backend": self.backend,
            "state": self.state,
            "type": self.type,
            "ip": self.ip,
            "private_ip": self.private_ip,
            "cluster": self.cluster,
            **self.details,
        }
