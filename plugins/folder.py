"""folder - the local directory that dust is in."""

from __future__ import annotations

import os

from dust.command import Dust, UsageError, command


@command
def cd(dust: Dust, directory: str = "~") -> None:
    """Change the local directory.

    Usage: cd [<directory>]
    """
    try:
        os.chdir(os.path.expanduser(directory))
    except OSError as error:
        raise UsageError(f"cd: {directory}: {error.strerror}") from error
