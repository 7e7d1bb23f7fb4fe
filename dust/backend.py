"""What a source of nodes is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from dust.node import Node


class Change(NamedTuple):
    """What became of one node that was asked to change.

    `state` is the node's state afterwards; `error` says why it could not be changed ("" if it was).
    """

    id: str
    state: str
    error: str = ""


#: Told the states of nodes, by id, while they change; once it returns False nobody waits longer.
Follow = Callable[[Mapping[str, str]], bool]


def to_the_end(states: Mapping[str, str]) -> bool:
    """Wait until every node is at its end state."""
    return True


class Backend(Protocol):
    """Where nodes come from and what starts and stops them.

    Every method may raise `BackendError` (the source as a whole failed); what fails for single
    nodes is in their `Change.error`. Nothing here writes to the terminal.
    """

    name: str
    #: What stands in the prompt for this source, such as `local` or `ec2 us-east-1`.
    label: str
    #: The region of a cloud that its nodes are in; "" for a source that has no such thing. A
    #: source with a region is far away, so that it is asked in a thread.
    region: str
    #: The ssh_config file that connections use instead of the user's and the system's, or None.
    ssh_config: Path | None
    #: ssh_config keywords that hold where neither the user's nor the system's configuration
    #: says anything (`StrictHostKeyChecking accept-new`, ...).
    ssh_defaults: Mapping[str, str]

    def nodes(self) -> list[Node]:
        """Ask the source for all its nodes, in the order in which people expect them.

        A source with a region may be asked in any thread, one question at a time.
        """
        ...

    def kept(self) -> tuple[list[Node], float] | None:
        """The last listing that was kept on disk, and when it was made (seconds since 1970).

        None without one, and where asking takes no time.
        """
        ...

    def regions(self) -> list[str]:
        """The regions that `elsewhere` takes; none for a source that has no such thing."""
        ...

    def elsewhere(self, region: str) -> Backend:
        """The same source in another region, asked nothing yet."""
        ...

    def check(self, verb: str, ids: Sequence[str]) -> None:
        """Raise `BackendError` where these nodes may not be changed at all; changes nothing.

        `verb` is `start`, `stop`, `reboot` or `terminate`.
        """
        ...

    def start(self, ids: Sequence[str], follow: Follow = to_the_end) -> list[Change]:
        """Start these nodes and wait until their end state is known, or `follow` says no."""
        ...

    def stop(self, ids: Sequence[str], follow: Follow = to_the_end) -> list[Change]:
        """Stop these nodes; they keep their identity and files."""
        ...

    def reboot(self, ids: Sequence[str], follow: Follow = to_the_end) -> list[Change]:
        """Start these running nodes anew; their sessions end."""
        ...

    def tag(self, ids: Sequence[str], tags: Mapping[str, str]) -> list[Change]:
        """Give these nodes tags; those of the same key are replaced."""
        ...

    def untag(self, ids: Sequence[str], keys: Sequence[str]) -> list[Change]:
        """Take the tags with these keys from these nodes; who has none of them stays as it is."""
        ...

    def terminate(self, ids: Sequence[str], follow: Follow = to_the_end) -> list[Change]:
        """Remove these nodes and all that belongs to them."""
        ...
