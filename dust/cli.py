"""Dust, an ssh cluster shell: one prompt, many machines.

Usage:
  dust [options] [-c LINE]...
  dust [options] FILE

Without a line or a file the shell starts; lines piped into it are a script.

Options:
  -c LINE             run this line and leave, with the worst status; may be given again
  --backend NAME      where nodes come from: local, ssh or ec2
  --profile NAME      the AWS profile (alone: the ec2 backend)
  --region NAME       the AWS region (alone: the ec2 backend)
  --cluster NAME      the working set; '*' is all nodes
  -F FILE             the ssh configuration to use (alone: the ssh backend, with its hosts)
  -i FILE             an inventory or a file of hosts, - for standard input (the ssh backend)
  -y, --yes           answer yes where a command asks
  -h, --help          show this
  --version           show the version
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from errno import EISDIR
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dust import __version__

if TYPE_CHECKING:
    from dust.backend import Backend
    from dust.config import Settings
    from dust.prompt import Prompt
    from dust.shell import Shell
    from dust.teletype import Teletype

#: The exit status after Ctrl-C, as in any shell.
INTERRUPTED = 130
#: How lines begin that need sessions or copies.
_CONNECTING = ("@", "put ", "get ")
#: An option as a usage text describes it: short, long, value.
_OPTION = r"(?m)^  (-\w)?(?:, )?(--[\w-]+)?(?: ([A-Z]+))?(?:  |$)"
#: Which setting an option of the command line is.
_SETTINGS = {
    "--backend": "backend",
    "--cluster": "use",
    "--profile": "profile",
    "--region": "region",
    "-F": "ssh_config",
    "-i": "inventory",
    "-f": "fanout",
    "--connect-timeout": "connect_timeout",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run dust with these arguments (the process's own if None); returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    return guarded(lambda: _run(parse(__doc__, words, "dust")))


def guarded(run: Callable[[], int], failed: int = 0, name: str = "dust") -> int:
    """The status of `run`, with what ends a program turned into a message and a status.

    That is `failed`, if given, for every error of Dust's own; `name` is the program's.
    """
    from dust.errors import DustError
    from dust.printer import OutputClosed, write

    _open_standard()
    try:
        try:
            return run()
        except HelpWanted as help:
            write(1, f"{str(help).strip()}\n".encode())
            return 0
    except OutputClosed as closed:
        return _output_closed(closed, name, failed or 1)
    except DustError as error:
        from dust.plain import legible  # which names do not drive

        print(f"{name}: {legible(str(error))}", file=sys.stderr)
        return failed or error.status
    except FileNotFoundError:
        if _has_directory():
            raise
        print(f"{name}: the directory that {name} is in is gone", file=sys.stderr)
        return failed or 1
    except KeyboardInterrupt:
        return INTERRUPTED


def _has_directory() -> bool:
    """Whether there is a working directory, which names of files may begin at."""
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True


def parse(doc: str, words: list[str], name: str, *, options_first: bool = False) -> dict[str, Any]:
    """The arguments by name. Raises HelpWanted, or UsageError naming the nearest option."""
    version = f"{name} {__version__}"
    if words == ["--version"]:  # at once
        raise HelpWanted(version)
    from docopt import DocoptExit, docopt

    from dust.errors import UsageError

    try:
        found = docopt(doc, words, default_help=False, options_first=options_first)
    except DocoptExit as error:
        if "-h" in words or "--help" in words:
            raise HelpWanted(doc) from error
        if unknown := unknown_option(doc, words, options_first):
            raise UsageError(f"no option {unknown}") from error
        usage = doc.partition("Usage:")[2].partition("\n\n")[0].rstrip()
        raise UsageError(f"cannot understand these arguments\nUsage:{usage}") from error
    if found["--help"]:
        raise HelpWanted(doc)
    for option, value in found.items():
        if option.startswith("-") and value == "":  # a script's variable that is not set
            raise UsageError(f"the value of {option} is empty")
    if found["--version"]:
        raise HelpWanted(version)
    return dict(found)


def unknown_option(doc: str, words: list[str], options_first: bool = False) -> str:
    """The first option that the usage does not have, with the nearest one, or ""."""
    import re  # only a mistake needs it

    from dust.near import near

    valued = {
        name: bool(value)
        for short, long, value in re.findall(_OPTION, doc)
        for name in (short, long)
        if name
    }
    rest = iter(words)
    for word in rest:
        if word == "--" or (options_first and not word.startswith("-")):
            return ""
        name, equals, _ = word.partition("=")
        if word.startswith("--"):
            meant = [known for known in valued if known.startswith(name)]
            if not meant:
                close = near(name, valued)
                return name + (f"; did you mean {close[0]}?" if close else "")
            if valued[meant[0]] and not equals:
                next(rest, None)
        elif word.startswith("-"):
            for place, letter in enumerate(word[1:], 2):
                if f"-{letter}" not in valued:
                    return f"-{letter}"
                if valued[f"-{letter}"]:
                    if place == len(word):
                        next(rest, None)
                    break
    return ""


class HelpWanted(Exception):
    """The arguments ask for this help, or for the version."""


def settled(options: dict[str, Any], name: str = "dust") -> Settings:
    """The settings of the user's file with what the command line says."""
    from dust import config

    settings, problems = config.load(config.home() / "config.yaml")
    for problem in problems:  # the file is left alone, and all else works
        print(f"{name}: {problem} (left out)", file=sys.stderr)
    if (options["-F"] or options["-i"]) and not options["--backend"]:
        settings = config.changed(settings, "backend", "ssh")
    elif (options.get("--profile") or options.get("--region")) and not options["--backend"]:
        settings = config.changed(settings, "backend", "ec2")
    for option, key in _SETTINGS.items():
        if options.get(option) is not None:
            settings = config.changed(settings, key, options[option], said=option)
    return settings


def backend(settings: Settings) -> Backend:
    """The source of nodes that the settings name."""
    from dust import config

    if settings.backend == "local":
        from dust.backends.local import LocalBackend

        return LocalBackend(config.home() / "local")
    ssh_config = Path(os.path.expanduser(settings.ssh_config)) if settings.ssh_config else None
    if settings.backend == "ec2":
        from dust.backends.ec2 import Ec2Backend
        from dust.backends.ec2client import Cloud

        cloud = Cloud(settings.profile, settings.region)
        own = ssh_config.absolute() if ssh_config else None
        return Ec2Backend(cloud, ssh_config=own, address=settings.address)
    from dust.backends.ssh import SshBackend

    return SshBackend.from_options(ssh_config, settings.inventory or None)


def _run(options: dict[str, Any]) -> int:
    from dust import config
    from dust.context import Context
    from dust.errors import UsageError
    from dust.shell import Shell, is_script, read_lines

    settings = settled(options)
    script = options["FILE"]
    source = _opened(script) if script else 0
    if options["-i"] == "-" and not (options["-c"] or script):
        raise UsageError("-i - reads the hosts from standard input: give the lines with -c")
    scripted = bool(script) or (not options["-c"] and is_script())
    if scripted and settings.colour == "auto":
        settings = config.changed(settings, "colour", "never")
    # What a script has open ends unasked: it is nobody else's.
    context = Context(settings, backend(settings), lends=not scripted and not options["-c"])
    context.assume_yes = options["--yes"]
    end_on_signals()
    try:
        if scripted or any(line.lstrip().startswith(_CONNECTING) for line in options["-c"]):
            context.sessions.prepare()  # it starts while plugins are loaded
        shell = Shell(context)
        if options["-c"]:
            return shell.script(options["-c"])
        if scripted:
            return shell.script(read_lines(shell, source))
        return _prompt(shell).run()
    finally:
        context.close()


def _prompt(shell: Shell) -> Prompt | Teletype:
    """What reads lines from this terminal; a script does not pay for it."""
    from dust.printer import is_dumb

    if is_dumb():
        from dust.teletype import Teletype

        return Teletype(shell)
    from dust.prompt import Prompt

    return Prompt(shell)


def _open_standard() -> None:
    """Open what is closed of the standard descriptors on nothing, so that no file gets in there.

    Writing to an output that was closed fails all the same.
    """
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)


def _opened(name: str) -> int:
    from dust.errors import UsageError

    try:
        if os.path.isdir(name):
            raise IsADirectoryError(EISDIR, os.strerror(EISDIR))
        return os.open(name, os.O_RDONLY)
    except OSError as error:
        raise UsageError(f"{name}: {error.strerror}") from error


def end_on_signals() -> None:
    """Let SIGTERM and SIGHUP end the program by an exception, so that it tidies up."""

    from dust.errors import Ending

    def end(number: int, _frame: object) -> None:
        raise Ending(128 + number)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGHUP, end)


def _output_closed(closed: Exception, name: str, failed: int) -> int:
    """Nobody reads on: end quietly, as a program that SIGPIPE ends; a full disk is said."""
    if str(closed):
        print(f"{name}: {closed}", file=sys.stderr)
        return failed
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1)
    return 128 + signal.SIGPIPE
