"""The form in which dust-at prints what a run gives, as its options have it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dust.config import Settings
from dust.node import Node
from dust.printer import Labels, Printer, in_colour, is_dumb
from dust.report import Bytes, Kept, Lines, Progress, Report, Stream
from dust.run import Run


def report(
    options: Mapping[str, Any],
    settings: Settings,
    run: Run,
    name: Callable[[Node], str],
    program: str,
) -> Report:
    """The report of a run in the form that was asked for. Raises DustError for a bad folder."""
    printer = Printer(colour=in_colour(settings.colour, 1), label=name, program=program)

    def stream(fd: int, folder: str | None) -> Stream:
        if folder is not None:
            from dust.nodefiles import Files  # few calls write any

            return Files(Path(folder), run, name)
        if options["-N"]:
            return Bytes(fd)
        return Lines(fd, Labels(name, colour=in_colour(settings.colour, fd)))

    out: Stream
    errors: Stream
    folded = options["-b"] and options["-o"] is None
    if options["--json"]:
        from dust.objects import Objects

        out, errors = Kept(), Objects(run, name)
    else:
        out = Kept() if folded else stream(1, options["-o"])
        errors = stream(2, options["-e"])
    shown = not options["--quiet"] and os.isatty(2) and not is_dumb()
    progress = Progress(run, name) if shown else None
    return Report(run, out, errors, progress, printer, folded=folded, quiet=options["--quiet"])
