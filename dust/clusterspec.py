"""What a cluster is to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields


@dataclass(frozen=True)
class Options:
    """What may be said for the cluster and, with precedence, for a group of its nodes.

    `max_price` is in US dollars an hour, `volume` the size of the root disk in GiB; "" and None
    stand for what was not said.
    """

    spot: bool | None = None
    max_price: str = ""
    image: str = ""
    username: str = ""
    key: str = ""
    volume: int | None = None
    user_data: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    subnet_id: str = ""
    use_placement_group: bool | None = None

    def over(self, others: Options) -> Options:
        """These options, with those of `others` where nothing was said; tags are joined."""
        said = {each.name: getattr(self, each.name) for each in fields(self)}
        missing = {name for name, value in said.items() if value in ("", None)}
        said.update({name: getattr(others, name) for name in missing})
        return Options(**{**said, "tags": {**others.tags, **self.tags}})


@dataclass(frozen=True)
class Group:
    """Nodes of one kind: their names, and their options with those of the cluster taken in."""

    names: tuple[str, ...]
    instance_type: str
    options: Options


@dataclass(frozen=True)
class Spec:
    """A whole cluster. `allow_ssh_from` is a network, or "" for the caller's own address."""

    name: str
    provider: str
    region: str
    groups: tuple[Group, ...]
    vpc_id: str = ""
    create_vpc: bool = False
    allow_ssh_from: str = ""

    @property
    def names(self) -> list[str]:
        """The names of all nodes."""
        return [name for group in self.groups for name in group.names]
