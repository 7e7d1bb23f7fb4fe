"""What a command does that it should not, told with the file and line, so that the prompt lives."""

from __future__ import annotations

import os
import sys
import traceback

from dust import config
from dust.errors import DustError
from dust.printer import Printer

#: The module that calls a command's function.
_CALLER = "dust.command"


def tell(error: Exception, printer: Printer) -> int:
    """A bug, of a plugin's or ours: a message, and a log of the details. Returns the status."""
    printer.error(f"{type(error).__name__}: {error} ({_place(error)})")
    try:
        log = config.folder("logs") / "errors"
        with open(log, "a", encoding="utf-8", opener=_private) as file:
            traceback.print_exception(error, file=file)
    except (OSError, DustError) as problem:
        printer.error(f"cannot keep the details: {problem}")
    return 1


def tell_exit(error: SystemExit, printer: Printer) -> int:
    """A call of `sys.exit()`, which ends the command that it is in. Returns the status."""
    if sys.stdin.closed:  # `exit()` does that too
        sys.stdin = open(0, closefd=False)
    code = error.code
    said = code if isinstance(code, str) else f"a command ended by sys.exit({error})"
    printer.error(f"{said} ({_place(error)})")
    return code if isinstance(code, int) and 0 < code < 256 else 1


def _place(error: BaseException) -> str:
    """The last line of the command's own file on the way to where it was raised.

    Where no command is at work, or is only being called, the line that raised it.
    """
    trace = error.__traceback__
    frames = traceback.extract_tb(trace)
    callers = [frame.f_globals.get("__name__") for frame, _ in traceback.walk_tb(trace)]
    inside = frames[callers.index(_CALLER) + 1 :] if _CALLER in callers else []
    where = [each for each in inside if each.filename == inside[0].filename] or frames
    return f"{where[-1].filename}:{where[-1].lineno}"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
