"""copy - files to nodes and from nodes."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence

from dust.command import Copied, Dust, UsageError, command
from dust.copies import amount, problems, remarks
from dust.errors import TargetError
from dust.lines import unquote
from dust.transfers import chosen, typed
from dust.upload import MISSING


@command
def put(dust: Dust, path: Sequence[str]) -> None:
    """Copy files and directories to nodes.

    Usage: put <path> <path>...

      put FILE... TARGET [DIR]
      put TARGET FILE [DIR]

    DIR is a directory there that exists; without one it is the login directory. Which word is the
    target is told by what exists here and what selects nodes. Times and modes are kept, symbolic
    links left out, and a file there is replaced once the new one is whole.

    Examples:
      put data.dat worker* /opt/data
      put *.conf site/ web[1-3]
      put worker1 'a name with spaces' ~/in
    """
    files, target, directory = _understood(dust, path)
    results = dust.put(files, target, directory)
    _tell(dust, "put", results)
    if any(result.error.endswith(MISSING) for result in results):
        dust.error(f"put: this makes the directory: @{target} mkdir -p {_at_login(directory)}")


@command
def get(dust: Dust, target: str, path: Sequence[str]) -> None:
    """Copy files and directories from nodes, to DIR/NODE/FILE.

    Usage: get <target> <path>...

      get TARGET FILE... [DIR]

    The last word is DIR if it is not the only one and is a directory here, or ends with a slash;
    else DIR is the current directory. FILE begins at the login directory and may have wildcards
    (not in quotes). Times and modes are kept, symbolic links left out.

    Examples:
      get worker* /var/log/syslog
      get web[1-3] /etc/nginx/*.conf /etc/hosts copies/
    """
    directory = "."
    words = list(path)
    if len(words) > 1 and (found := _directory(words[-1])):
        directory = found
        words.pop()
    results = dust.get(target, [_pattern(word) for word in words], directory)
    _tell(dust, "get", results)
    if len(words) > 1 and _nowhere(words[-1], results):
        dust.error(f"get: to copy into a new directory here, write {words[-1]}/")


def _understood(dust: Dust, words: Sequence[str]) -> tuple[list[str], str, str]:
    """Files, target and directory: the one reading of the words in which all of them exist."""
    last = len(words) - 1
    readings = [(words[:last], words[last], "")]
    if last > 1:
        readings.append((words[: last - 1], words[last - 1], words[last]))
    if last <= 2:
        readings.append((words[1:2], words[0], words[2] if last == 2 else ""))
    found = []
    for names, target, directory in readings:
        if all(chosen(name) for name in names) and _selects(dust, target):
            found.append((names, target, directory))
    if len(found) == 1:
        names, target, directory = found[0]
        files = [path for name in names for path in chosen(name)]
        return files, target, unquote(directory)
    if found:
        meant = " or ".join(
            f"{' '.join(names)} to {target}{directory and ':'}{directory}"
            for names, target, directory in found
        )
        raise UsageError(f"put: this may mean {meant}; write ./NAME for a file of this name")
    missing = [word for word in words if not chosen(word)]
    targets = [word for word in words if _selects(dust, word)]
    if not targets:
        dust.select(missing[0] if missing else words[last])  # says what is near
    names = [word for word in missing if word not in targets]
    what = f"there is no file {names[0]} here" if names else "no word is a file here"
    raise UsageError(f"put: {what}")


def _selects(dust: Dust, target: str) -> bool:
    try:
        return bool(dust.select(target))
    except TargetError:
        return False


def _directory(word: str) -> str:
    """The local directory that a word names, or ""."""
    found = chosen(word)
    if len(found) == 1 and os.path.isdir(found[0]):
        return found[0]
    return os.path.expanduser(typed(word)) if word.endswith("/") else ""


def _at_login(directory: str) -> str:
    """A directory of a node as its shell takes it, wherever the session is."""
    if directory.startswith("/"):
        return shlex.quote(directory)
    return f"~/{shlex.quote(directory.removeprefix('~/'))}"


def _nowhere(word: str, results: Sequence[Copied]) -> bool:
    """Whether a plain name is all that every node lacks: it was meant for a directory here."""
    reached = [result.failures for result in results if not result.error]
    return bool(reached) and all(
        [(count, name) for _, count, name in failures] == [(1, word)] for failures in reached
    )


def _pattern(word: str) -> str:
    """The pattern on a node that a word stands for."""
    pattern = typed(word)
    if pattern.startswith("~") and not word.startswith("~"):
        pattern = f"./{pattern}"  # it was quoted
    return pattern


def _tell(dust: Dust, verb: str, results: Sequence[Copied]) -> None:
    for line in remarks(results, dust.cluster.label):
        dust.print(line)
    for line in problems(results, dust.cluster.label):
        dust.error(line)
    done = [result for result in results if result.files]
    if done:
        seconds = max(result.seconds for result in results)
        files = sum(result.files for result in results)
        size = sum(result.size for result in results)
        where = f"{'to' if verb == 'put' else 'from'} {dust.cluster.labels(r.node for r in done)}"
        rate = f"{amount(size / max(seconds, 0.001))}/s"
        count = f"{files:,} file{'s' if files != 1 else ''}"
        dust.print(f"{count} {where}: {amount(size)}, {seconds:.1f} s, {rate}")
    elif all(result.ok for result in results):
        dust.print("there was nothing to copy")
