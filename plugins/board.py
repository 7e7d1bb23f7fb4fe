"""board - what all nodes are doing, on the full screen."""

from __future__ import annotations

import time

from dust.command import Dust, command


@command
def board(dust: Dust, target: str = "") -> None:
    """Watch the nodes on the full screen.

    Usage: board [<target>]

    Each node with the state of its session, the exit status of the last line there, how long it
    took or takes, and the last thing that was printed. The sessions go on meanwhile; what they
    print is shown when you leave.

    Keys: q leaves; s sorts by state, exit status, time; r reverses; / filters by what is typed;
    the arrow and page keys move.
    """
    from dust.board import Board, Row, row  # needs what start-up does not pay for

    nodes = dust.select(target)
    last = dust.last

    def rows() -> list[Row]:
        now, links = time.monotonic(), dust.sessions.links
        return [
            row(node, dust.cluster.label(node), links.get(node.id), last, now) for node in nodes
        ]

    def running() -> bool:
        links = [dust.sessions.links.get(node.id) for node in nodes]
        return any(link and link.runs for link in links)

    title = last.line if last else dust.cluster.working_set or dust.backend.label
    dust.full_screen(Board(title, rows), running)
