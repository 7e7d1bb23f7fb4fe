"""settings - how this shell behaves."""

from __future__ import annotations

from dust.command import Dust, UsageError, command
from dust.config import KEYS, about, choices, shown
from dust.plain import printable

#: What only holds from the start, and how it is given there.
_AT_START = {
    "backend": "dust --backend NAME",
    "inventory": "dust -i FILE",
    "ssh_config": "dust -F FILE",
    "history_size": "in config.yaml",
    "profile": "dust --profile NAME",
    "region": "dust --region NAME; `use NAME` goes to another now",
    "address": "in config.yaml",
    "use": "dust --cluster NAME; `use NAME` changes the working set now",
}


@command(name="set")
def set_(dust: Dust, key: str = "", value: str | None = None, e: bool = False) -> None:
    """Show the settings, or change one for this shell.

    Usage: set [<key> [<value>]]
           set -e

    What shall hold for every shell is written into config.yaml, as `KEY: VALUE`.

    Options:
      -e  stop a script at its first failure; `set +e` goes on, as without it

    Examples:
      set output fold
      set connect_timeout 5
    """
    if e or key == "+e":
        if value is not None:
            raise UsageError("set +e takes no value")
        dust.set("errexit", "on" if e else "off")
        return
    name = key.replace("-", "_")
    if value is not None:
        if name in _AT_START:
            raise UsageError(f"set {name}: this holds from the start ({_AT_START[name]})")
        dust.set(name, value)
        return
    if name and name not in KEYS:
        dust.set(name, "")  # refuses it and names the nearest
    dust.table([_row(dust, each) for each in ([name] if name else KEYS)])


def _row(dust: Dust, key: str) -> list[str]:
    allowed = f" ({', '.join(choices(key))})" if choices(key) else ""
    return [key, shown(dust.settings, key), about(key) + allowed]


@command
def history(dust: Dust, n: str = "") -> None:
    """Show the lines that were typed, oldest first.

    Usage: history [<n>]

    With a number, only so many of the newest.
    """
    typed = dust.history()
    if n and not (n.isascii() and n.isdecimal()):
        raise UsageError(f"history {n}: this is no number of lines")
    first = max(0, len(typed) - int(n)) if n else 0
    for number, text in enumerate(typed[first:], first + 1):
        lines = [printable(line) for line in text.split("\n")]
        dust.print(f"{number:>5}  " + "\n       ".join(lines))
