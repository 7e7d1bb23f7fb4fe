"""Run a command of Dust from a checkout, without installing it."""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
#: What a Python must have to run Dust.
NEEDED = ("boto3", "docopt", "pexpect", "prompt_toolkit", "tabulate", "yaml")


def run(module: str) -> int:
    """Call `main()` of this module of the checkout and return its exit status.

    A Python that lacks what Dust needs gives way to the one of the checkout's environment.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # which would print where this is while it starts
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    if sys.version_info < (3, 10) or not all(map(find_spec, NEEDED)):
        python = VENV / "bin" / "python"
        if python.exists() and Path(sys.prefix) != VENV:
            os.execv(python, [str(python), *sys.argv])
        name = Path(sys.argv[0]).name
        sys.exit(f"{name}: what Dust needs is not installed; type this first: {ROOT}/bin/setup")
    # Replaces the folder of this file, whose names are no modules of Dust.
    sys.path[0] = str(ROOT)
    main = import_module(module).main
    signal.signal(signal.SIGINT, before)
    status: int = main()
    return status
