"""sshconfig - plain ssh, rsync and git reach the nodes by name."""

from __future__ import annotations

from dust import hostblocks
from dust.command import Dust, command


@command
def sshconfig(dust: Dust, write: bool = False) -> None:
    """Show or write ssh's Host blocks of the working set.

    Usage: sshconfig [write]

    What is written stands in ssh_config in dust's home, and is kept current by `use`, `refresh`
    and the commands that change nodes. `Include` it in your ~/.ssh/config, before the first Host
    line; then `ssh worker1`, `rsync`, `git` and editors reach the nodes too.
    """
    if write:
        count, problems = hostblocks.write(dust.cluster)
        path = hostblocks.path()
        dust.print(f"{count} node{'' if count == 1 else 's'} in {path}")
        dust.print(f'~/.ssh/config takes it up by a line before all others: Include "{path}"')
    else:
        nodes = dust.cluster.working()
        made, problems = hostblocks.blocks(nodes, dust.backend.ssh_defaults, dust.cluster)
        for block in made:
            dust.print(block)
        if not made and not problems:
            dust.print("these nodes are hosts of ssh's own configuration: it has their blocks")
    for problem in problems:
        dust.error(problem)
