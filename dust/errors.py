"""What can go wrong, each error carrying what a person needs to act on it."""

from __future__ import annotations

from pathlib import Path


class DustError(Exception):
    """Anything a user, a file, a node or a network can cause; its text is shown as it is."""

    status = 1


class Interrupted(Exception):
    """Not a failure: the user does not want to wait any longer (Ctrl-C)."""


class Ending(SystemExit):
    """A signal ends Dust, as nothing else does that a command raises; `code` is 128 + its number.

    It passes whatever takes a SystemExit for a mistake of a plugin's.
    """


class UsageError(DustError, ValueError):
    """A command, option or line that cannot be understood."""

    status = 2


class TargetError(UsageError):
    """A target that is malformed or selects nothing.

    `position` is the offset in the target where it is malformed, or None.
    """

    def __init__(self, message: str, position: int | None = None) -> None:
        super().__init__(message)
        self.position = position


class ConfigError(DustError, ValueError):
    """A file of the user's that cannot be read; `path` and `line` (from 1) say where."""

    def __init__(self, message: str, path: Path | None = None, line: int | None = None) -> None:
        where = ":".join(str(part) for part in (path, line) if part is not None)
        super().__init__(f"{where}: {message}" if where else message)
        self.path = path
        self.line = line


class BackendError(DustError):
    """A source of nodes that cannot do what was asked."""


class AbsentError(BackendError):
    """A cluster that is not there."""


class SessionError(DustError):
    """A session that cannot be opened or was lost: the node's name, and why as `message`."""

    def __init__(self, node: str, message: str) -> None:
        super().__init__(f"{node}: {message}")
        self.node = node
        self.message = message


class PluginError(DustError):
    """A plugin that cannot be loaded or that failed; `path` and `line` say where."""

    def __init__(self, message: str, path: Path | None = None, line: int | None = None) -> None:
        where = ":".join(str(part) for part in (path, line) if part is not None)
        super().__init__(f"{where}: {message}" if where else message)
        self.path = path
        self.line = line
