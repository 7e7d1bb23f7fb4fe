"""The context that a command receives, as plugins know it: they have it from `dust.command`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from dust.backend import Backend
from dust.cluster import Cluster
from dust.config import Settings
from dust.coordinator import Coordinator
from dust.copies import Copied
from dust.node import Node
from dust.run import Result, Run

if TYPE_CHECKING:
    from dust.fullscreen import View

T = TypeVar("T")


class Dust(Protocol):
    """The context that a command receives: the nodes, the sessions, the terminal, the settings.

    Every method may raise a `DustError`, which a command lets pass: it is shown as a message.
    """

    @property
    def settings(self) -> Settings:
        """The settings as they are now."""
        ...

    @property
    def backend(self) -> Backend:
        """Where the nodes come from."""
        ...

    @property
    def cluster(self) -> Cluster:
        """The nodes, the clusters and the working set."""
        ...

    @property
    def sessions(self) -> Coordinator:
        """The sessions; asking for them opens none."""
        ...

    @property
    def last(self) -> Run | None:
        """The last line that was sent to nodes, and what became of it."""
        ...

    @property
    def registry(self) -> Any:
        """All commands (a `dust.registry.Registry`)."""
        ...

    @property
    def assume_yes(self) -> bool:
        """Whether `ask` is answered yes without asking."""
        ...

    @property
    def state(self) -> dict[str, Any]:
        """What this plugin keeps between its calls, as long as the shell lives."""
        ...

    @property
    def logged(self) -> Path | None:
        """The folder in which sessions are logged."""
        ...

    def log_to(self, folder: Path | None) -> None:
        """Log sessions in that folder, or no more. Raises DustError."""
        ...

    def select(self, target: str = "") -> list[Node]:
        """The nodes of a target in any state; an empty one is the working set."""
        ...

    def running(self, target: str = "") -> list[Node]:
        """The nodes of a target that run; a `TargetError` if none does."""
        ...

    def run(self, target: str, line: str, timeout: float | None = None) -> list[Result]:
        """Run a line in the sessions of a target's running nodes and wait for all to end.

        After `timeout` seconds, results of nodes that are not done have no status and an error.
        A line after which a shell would wait for more is a `UsageError`.
        """
        ...

    def put(self, files: Sequence[str], target: str, directory: str = "") -> list[Copied]:
        """Copy files and directories of this machine to a target's running nodes.

        `directory` is one there that exists, by default the login directory. A result that is not
        `ok` says `why`.
        """
        ...

    def get(self, target: str, files: Sequence[str], directory: str = ".") -> list[Copied]:
        """Copy files and directories from a target's running nodes, to `directory`/NODE/FILE.

        `files` are paths there, which may have wildcards (`[*]` is a star, not a wildcard). A
        result that is not `ok` says `why`.
        """
        ...

    def aside(self, work: Callable[[], T], progress: Callable[[], str] = str) -> T:
        """What `work` returns, which waits for a network: done in a thread, the sessions go on.

        `progress` says in a line how far it is. Ctrl-C ends waiting, not the work.
        """
        ...

    def print(self, text: str = "") -> None:
        """Write a text and a newline to the output."""
        ...

    def table(self, rows: Sequence[Sequence[object]], headers: Sequence[str] = ()) -> None:
        """Write a table with aligned columns to the output."""
        ...

    def error(self, text: str) -> None:
        """Report a failure that does not end the command; the line's status is then not 0."""
        ...

    def ask(self, question: str, word: str = "") -> bool:
        """Ask a question for yes or no; False without a terminal, unless yes is assumed.

        With a word, such as a name, nothing but this word is a yes.
        """
        ...

    def ask_line(self, question: str, otherwise: str = "") -> str | None:
        """Ask for a line; `otherwise` if it is empty or there is no terminal, None if given up."""
        ...

    def ask_secret(self, question: str) -> str | None:
        """Ask for a line that is not shown; None without a terminal, or if given up."""
        ...

    def set(self, key: str, text: str) -> None:
        """Change a setting of this shell, from text. Raises `UsageError`."""
        ...

    def history(self) -> list[str]:
        """What was typed at the prompt, oldest first."""
        ...

    def leave(self, status: int = 0) -> None:
        """End the shell after this command."""
        ...

    def show_run(self, run: Run, nodes: Sequence[Node], form: str) -> None:
        """Print what a run printed on these nodes: as `stream`, `block` or `fold`."""
        ...

    def full_screen(self, view: View, running: Callable[[], bool]) -> None:
        """Give a view (a `dust.fullscreen.View`) the terminal until a key leaves it.

        The sessions go on, and what they print is shown afterwards. While `running`, the view is
        drawn every second, else only when something happens.
        """
        ...
