"""A program in a tmux of its own: a terminal that has two screens, a scroll region and modes."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

#: What a program may change about a terminal, and how tmux has it by itself.
_MODES = {
    "alternate_on": "0",
    "cursor_flag": "1",
    "insert_flag": "0",
    "keypad_cursor_flag": "0",
    "keypad_flag": "0",
    "mouse_any_flag": "0",
    "mouse_sgr_flag": "0",
    "origin_flag": "0",
    "scroll_region_upper": "0",
    "scroll_region_lower": "23",
    "wrap_flag": "1",
}


class Tmux:
    """Runs a shell on 24 lines of 80 columns; waits for what is to be seen there."""

    def __init__(self, socket: Path, env: Mapping[str, str]) -> None:
        self._socket = str(socket)
        settings = [word for pair in env.items() for word in ("-e", "=".join(pair))]
        size = ["-x", "80", "-y", "24"]
        self._do("new-session", "-d", *size, *settings, "PS1='% ' exec dash")
        self.wait_for("% ")

    def _do(self, *words: str) -> str:
        argv = ["tmux", "-S", self._socket, "-f", "/dev/null", *words]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout

    def close(self) -> None:
        """End it and what runs in it."""
        self._do("kill-server")

    @property
    def text(self) -> str:
        """What stands there, with what has scrolled away, without empty lines at the end."""
        return self._do("capture-pane", "-p", "-S", "-").rstrip()

    @property
    def changed(self) -> dict[str, str]:
        """The modes that are not as they were."""
        form = " ".join(f"#{{{name}}}" for name in _MODES)
        now = dict(zip(_MODES, self._do("display-message", "-p", form).split(), strict=True))
        return {name: value for name, value in now.items() if value != _MODES[name]}

    @property
    def child(self) -> int:
        """The process that the shell runs."""
        shell = self._do("display-message", "-p", "#{pane_pid}").strip()
        ps = ["ps", "-o", "pid=", "--ppid", shell]
        return int(subprocess.run(ps, check=True, capture_output=True, text=True).stdout)

    def send(self, text: str) -> None:
        """Type."""
        self._do("send-keys", "-H", *(f"{byte:x}" for byte in os.fsencode(text)))

    def line(self, text: str) -> None:
        """Type a line."""
        self.send(text + "\r")

    def until(self, true: Callable[[], object], seconds: float = 30) -> None:
        """Wait until something is true."""
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, f"not so within {seconds} s:\n{self.text}"
            time.sleep(0.02)

    def wait(self, seen: Callable[[str], object], seconds: float = 30) -> str:
        """Wait until `seen` is true of the text; returns that."""
        self.until(lambda: seen(self.text), seconds)
        return self.text

    def wait_for(self, text: str, count: int = 1) -> str:
        """Wait until a text stands there that many times."""
        return self.wait(lambda seen: (seen + " ").count(text) >= count)
