"""What ends a command at the prompt, and neither dust nor its sessions."""

from __future__ import annotations

from pathlib import Path

from conftest import Start
from screen import Screen


def started(dust: Start, *arguments: str) -> Screen:
    screen = dust(*arguments, rows=30, columns=100)
    screen.wait_for("$")
    screen.line("set progress off")
    screen.wait_for("$", 2)
    return screen


# --- a plugin that ends by itself


ENDS = '''
"""ends - commands that end as a program does."""

import sys

from dust.command import Dust, command


@command
def ends(dust: Dust, how: str) -> None:
    """End.

    Usage: ends <how>
    """
    if how == "message":
        sys.exit("there is no more")
    if how == "exit":
        exit()
    sys.exit(int(how))
'''


def test_a_plugin_that_exits_ends_its_command_alone(dust: Start, home: Path) -> None:
    plugin = home / "plugins" / "ends.py"
    plugin.parent.mkdir(exist_ok=True)
    plugin.write_text(ENDS)
    try:
        screen = started(dust)
        screen.line("@worker1 cd /tmp")
        screen.wait_for("1 ready$")
        screen.line("ends 3")
        screen.wait_for(f"sys.exit(3) ({plugin}:19)")
        screen.line("ends message")
        screen.wait_for(f"there is no more ({plugin}:16)")
        screen.line("ends exit")
        screen.wait_for(f"({plugin}:18)")
        screen.line("@worker1 pwd")
        screen.wait_for("[worker1] /tmp")
        script = dust("-c", "ends 3", "-c", "!echo went on")
        assert script.wait_for_end() == 3
        assert "went on" in script.text
    finally:
        plugin.unlink()
