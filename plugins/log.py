"""log - what sessions print, in a file for each."""

from __future__ import annotations

import os
import time
from pathlib import Path

from dust import config
from dust.command import Dust, command


@command
def log(dust: Dust, on: bool = False, off: bool = False, dir: str = "") -> None:
    """Write what sessions print and are sent into files.

    Usage: log
           log on [<dir>]
           log off

    Each session has a file of its own, NODE.log, in the directory, by default a new one under
    logs/ in dust's home. The text is what the screen gets, without colours; the lines that were
    sent stand behind the time. Raw mode and what `secret` sends are not written.

    Examples:
      log on
      log on ~/rollout
    """
    if on:
        named = Path(os.path.expanduser(dir)).absolute() if dir else None
        folder = named or config.home() / "logs" / time.strftime("%Y-%m-%d-%H%M%S")
        dust.log_to(folder)
    elif off and dust.logged:
        dust.log_to(None)
        dust.print("sessions are no longer logged")
        return
    dust.print(f"sessions are logged in {dust.logged}" if dust.logged else "there is no log")
