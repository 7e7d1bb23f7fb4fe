"""What `board` shows: nodes with what their sessions do, as the lines of a screen. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from prompt_toolkit.utils import get_cwidth

from dust.link import DOWN, READY, WAITING, Link
from dust.node import Node
from dust.plain import printable, strip_colours
from dust.run import Run

#: SGR parameters of states; the rest stands as it is.
_COLOURS = {READY: "32", WAITING: "1;33", DOWN: "31"}
_HELP = "q leave  s sort  r reverse  / filter  arrows, page up and down move"
_NAMES, _STATES, _EXITS, _TIMES = 24, 12, 4, 7  # widths; that of a name is the most it gets
_LEAVING = ("q", "escape", "c-c", "c-d")


class Row(NamedTuple):
    """One node: `status` and `seconds` are those of the last line there, None while unknown."""

    name: str
    state: str
    status: int | None
    seconds: float | None
    line: str


#: What rows may be sorted by, in the order in which a key goes through them; "" is how they come.
_SORTS: Mapping[str, Callable[[Row], tuple[str, float]]] = {
    "": lambda row: ("", 0),
    "state": lambda row: (row.state, 0),
    "exit": lambda row: ("", -1 if row.status is None else row.status),
    "time": lambda row: ("", -1 if row.seconds is None else row.seconds),
}


def row(node: Node, name: str, link: Link | None, last: Run | None, now: float) -> Row:
    """A node as it is at `now` (monotonic seconds); `last` is the last line that was sent."""
    if link is None:
        return Row(name, node.state if not node.running else "-", None, None, "")
    run = link.runs[-1] if link.runs else last
    result = run.results.get(node.id) if run else None
    seconds = result.seconds if result else None
    if run and run in link.runs:
        seconds = now - run.begun
    said = link.reason if link.state == DOWN else _last_line(link.last_line)
    return Row(name, link.state, result.status if result else None, seconds, printable(said))


def _last_line(data: bytes) -> str:
    lines = strip_colours(data).decode("utf-8", "replace").split("\n")
    return next((line.replace("\t", " ") for line in reversed(lines) if line.strip()), "")


class Board:
    """The view of some rows, as keys make it; `rows` gives them as they are now."""

    def __init__(self, title: str, rows: Callable[[], Sequence[Row]]) -> None:
        self._title = title
        self._rows = rows
        self._sort, self._reverse = "", False
        self._filter, self._typing = "", False
        self._top, self._page = 0, 1

    def key(self, name: str) -> bool:
        """Take a key, by prompt_toolkit's name of it; whether it leaves the board."""
        if self._typing:
            self._type(name)
            return name == "c-c"
        if name in _LEAVING:
            return True
        orders = list(_SORTS)
        if name == "s":
            self._sort = orders[(orders.index(self._sort) + 1) % len(orders)]
        elif name == "r":
            self._reverse = not self._reverse
        elif name == "/":
            self._filter, self._typing = "", True
        else:
            steps = {"up": -1, "down": 1, "pageup": -self._page, "pagedown": self._page}
            self._top += steps.get(name, -self._top if name == "home" else 0)
        return False

    def _type(self, name: str) -> None:
        if name in ("c-m", "c-j"):
            self._typing = False
        elif name == "escape":
            self._filter, self._typing = "", False
        elif name == "c-h":
            self._filter = self._filter[:-1]
        elif len(name) == 1:
            self._filter += name

    def lines(self, height: int, width: int) -> list[str]:
        """The lines of a screen of that size, in colours, none wider than it."""
        rows = list(self._rows())
        chosen = self._ordered([row for row in rows if self._shown(row)])
        self._page = max(1, height - 3)
        self._top = max(0, min(self._top, len(chosen) - self._page))
        names = max([4, *(min(_NAMES, get_cwidth(row.name)) for row in chosen)])
        head = _cells("node", "state", "exit", "time", "last line", names)
        lines = [f"\x1b[1m{cut(self._heading(rows), width)}\x1b[0m", cut(head, width)]
        lines += [_line(row, names, width) for row in chosen[self._top : self._top + self._page]]
        lines += [""] * (height - 1 - len(lines))
        return [*lines, f"\x1b[90m{cut(self._footer(len(chosen)), width)}\x1b[0m"][:height]

    def _shown(self, row: Row) -> bool:
        wanted = self._filter.lower()
        return any(wanted in text.lower() for text in (row.name, row.state, row.line))

    def _ordered(self, rows: list[Row]) -> list[Row]:
        rows.sort(key=_SORTS[self._sort])
        return rows[::-1] if self._reverse else rows

    def _heading(self, rows: Sequence[Row]) -> str:
        counts: dict[str, int] = {}
        for row in rows:
            counts[row.state] = counts.get(row.state, 0) + 1
        states = " · ".join(f"{count} {state}" for state, count in counts.items())
        order = f"  by {self._sort}" if self._sort else ""
        return f"{self._title}  {states}{order}{', reversed' if self._reverse else ''}"

    def _footer(self, chosen: int) -> str:
        if self._typing:
            return f"/{self._filter}"
        below = chosen - self._top - self._page
        more = f"  {below} more below" if below > 0 else ""
        chosen_by = f"filter: {self._filter}  " if self._filter else ""
        return f"{chosen_by}{_HELP}{more}"


def _line(row: Row, names: int, width: int) -> str:
    status = "" if row.status is None else str(row.status)
    seconds = "" if row.seconds is None else lasting(row.seconds)
    line = cut(_cells(row.name, row.state, status, seconds, row.line, names), width)
    at = names + 1
    colour = _COLOURS.get(row.state)
    if colour and len(line) > at and line.isascii():
        end = at + len(row.state)
        return f"{line[:at]}\x1b[{colour}m{line[at:end]}\x1b[0m{line[end:]}"
    return line


def _cells(name: str, state: str, status: str, seconds: str, line: str, names: int) -> str:
    name = cut(name, names)
    name += " " * (names - get_cwidth(name))
    return f"{name} {state:{_STATES}} {status:>{_EXITS}} {seconds:>{_TIMES}}  {line}"


def lasting(seconds: float) -> str:
    """`0.2 s`, `12 s`, `3:05`, `1:02:03`."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def cut(text: str, width: int) -> str:
    """As much of a text as so many columns take."""
    if text.isascii():
        return text[:width]
    taken = 0
    for at, char in enumerate(text):
        taken += get_cwidth(char)
        if taken > width:
            return text[:at]
    return text
