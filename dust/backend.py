"""What a source of nodes is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dust.node import Node


@dataclass(frozen=True)
class Change:
    """What became of one node that was asked to change.

    `state` is the node's state afterwards; `error` says why it could not be changed ("" if it was).
    """

    id: str
    state: str
    error: str = ""


class Backend(Protocol):
    """Where nodes come from and what starts and stops them.

    Every method may raise `BackendError` (the source as a whole failed); what fails for single
    nodes is in their `Change.error`. Nothing here writes to the terminal.
    """

    name: str
    #: What stands in the prompt for this source, such as `local` or `ec2 us-east-1`.
    label: str
    #: The ssh_config file that connections use instead of the user's and the system's, or None.
    ssh_config: Path | None
    #: ssh_config keywords that hold where neither the user's nor the system's configuration
    #: says anything (`StrictHostKeyChecking accept-new`, ...).
    ssh_defaults: Mapping[str, str]

    def nodes(self) -> list[Node]:
        """Ask the source for all its nodes, in the order in which people expect them."""
        ...

    def kept(self) -> tuple[list[Node], float] | None:
        """The last listing that was kept on disk, and when it was made (seconds since 1970).

        None without one, and where asking takes no time.
        """
        ...

    def start(self, ids: Sequence[str]) -> list[Change]:
        """Start these nodes and wait until their end state is known."""
        ...

    def stop(self, ids: Sequence[str]) -> list[Change]:
        """Stop these nodes; they keep their identity and files."""
        ...

    def reboot(self, ids: Sequence[str]) -> list[Change]:
        """Start these running nodes anew; their sessions end."""
        ...

    def terminate(self, ids: Sequence[str]) -> list[Change]:
        """Remove these nodes and all that belongs to them."""
        ...
