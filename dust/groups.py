"""Node groups of an existing ClusterShell configuration: `rack1`, `slurm:compute` to names.

A source of groups is a section of `groups.conf` (or of a file in its `confdir`), whose `map`
command prints the nodes of a group, or a mapping in a YAML file of its `autodir`. What the files
say is trusted as ClusterShell trusts it: the commands are the user's own. What is typed is not.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from configparser import ConfigParser
from configparser import Error as ParserError
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from string import Template

from dust.errors import ConfigError, TargetError
from dust.nodeset import MOST, expand, split

#: Groups within each other at most.
_DEEPEST = 20
#: Seconds that a command of a source may take.
_PATIENCE = 60.0
#: A group's name stands in a shell command as it is, perhaps where an option could.
_SAFE = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._-]*")
_MAIN = "Main"


@dataclass(frozen=True)
class _Source:
    """One source: what a file lists (`groups`), or commands that are run in `folder`."""

    name: str
    folder: Path
    mapping: str = ""
    listing: str = ""
    groups: Mapping[str, str] | None = None

    def nodes(self, group: str) -> str | None:
        """The nodes of a group as they are written, or None where there is no such group."""
        if self.groups is not None:
            return self.groups.get(group)
        return self._run(self.mapping, {"GROUP": group}) or None

    def known(self) -> list[str]:
        """The names of its groups, as far as it can tell."""
        if self.groups is not None:
            return list(self.groups)
        try:
            return self._run(self.listing, {}).split() if self.listing else []
        except TargetError:
            return []

    def _run(self, command: str, words: dict[str, str]) -> str:
        """What a command prints. Raises TargetError where it fails."""
        words |= {"SOURCE": self.name, "CFGDIR": str(self.folder)}
        line = Template(command).safe_substitute(words)
        try:
            done = subprocess.run(
                ["/bin/sh", "-c", line],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_PATIENCE,
            )
        except subprocess.TimeoutExpired as error:
            raise TargetError(f"{line} took longer than {_PATIENCE:.0f} s") from error
        except (OSError, ValueError) as error:
            raise TargetError(f"{line} cannot be run: {error}") from error
        if done.returncode:
            said = done.stderr.decode(errors="replace").split("\n")
            why = next((text.strip() for text in reversed(said) if text.strip()), "no reason given")
            raise TargetError(f"{line} ended with status {done.returncode}: {why}")
        return done.stdout.decode(errors="replace").strip()


class Groups:
    """The node groups that ClusterShell knows on this machine; read when first asked for.

    `folders` are where `groups.conf` may be, the one that prevails first; by default those where
    ClusterShell looks.
    """

    def __init__(self, folders: Sequence[Path] | None = None) -> None:
        self._folders = folders
        self._sources: dict[str, _Source] = {}
        self._default = ""
        self._members: dict[tuple[str, str], list[str]] = {}

    def members(self, name: str) -> list[str]:
        """The names of the nodes in a group, `rack1` of the default source or `slurm:compute`.

        Raises TargetError on an unknown group, ConfigError on a file that cannot be understood.
        """
        if not self._sources:
            self._read()
        source, _, group = name.rpartition(":")
        return list(self._resolved(source or self._default, group, ()))

    def forget(self) -> None:
        """Have files read and commands run again when groups are next asked for."""
        self._sources, self._default, self._members = {}, "", {}

    def _resolved(self, source: str, group: str, above: tuple[tuple[str, str], ...]) -> list[str]:
        key = source, group
        if key in self._members:
            return self._members[key]
        if key in above or len(above) >= _DEEPEST:
            raise TargetError(f"@{source}:{group}: the group contains itself, or too many others")
        names: dict[str, None] = {}
        for item in split(",".join(self._written(source, group).split())):
            names.update(dict.fromkeys(self._expanded(item, source, (*above, key))))
            if len(names) > MOST:
                raise TargetError(f"@{source}:{group}: more than {MOST:,} names")
        self._members[key] = list(names)
        return self._members[key]

    def _expanded(self, item: str, source: str, above: tuple[tuple[str, str], ...]) -> list[str]:
        """The names that an item of a group's nodes stands for; `@group` is of the same source."""
        where = "@{}:{}".format(*above[-1])
        if wrong := next((char for char in "&!^" if char in item), None):
            raise TargetError(f"{where}: {wrong} in {item} is not understood; only , is")
        if not item.startswith("@"):
            return expand(item)
        names: list[str] = []
        for reference in expand(item[1:]):
            other, _, group = reference.rpartition(":")
            names += self._resolved(other or source, group, above)
        return names

    def _written(self, source: str, group: str) -> str:
        """The nodes of a group as its source has them."""
        for part in (source, group):
            if not _SAFE.fullmatch(part):
                raise TargetError(
                    f"@{part}: a group's name has letters, digits, dots, _ and - only, "
                    "and starts with no -"
                )
        if source not in self._sources:
            there = ", ".join(self._sources)
            close = get_close_matches(source, self._sources, 1)
            hint = f"did you mean @{close[0]}:{group}?" if close else f"there are {there}"
            raise TargetError(f"@{source}:{group}: there is no source {source} of groups; {hint}")
        why = f"{source} has no such group"
        try:
            nodes = self._sources[source].nodes(group)
        except TargetError as error:
            nodes, why = None, str(error)
        if nodes is None:
            raise TargetError(f"@{source}:{group}: {why}{self._near(source, group)}")
        return nodes

    def _near(self, source: str, group: str) -> str:
        """A hint at the groups that an unknown one may have meant."""
        known = self._sources[source].known()
        others = [
            f"{other.name}:{name}"
            for other in self._sources.values()
            if other.name != source
            for name in other.groups or ()
        ]
        close = get_close_matches(group, known + others, 3)
        if close:
            return f"; did you mean {' or '.join('@' + name for name in close)}?"
        return f"; there are {', '.join('@' + name for name in known[:5])}" if known else ""

    def _read(self) -> None:
        folders = _places() if self._folders is None else self._folders
        files = [folder / "groups.conf" for folder in folders]
        found = [path for path in files if os.path.isfile(path)]  # False where it may not look
        if not found:
            raise TargetError(
                "there are no node groups: no groups.conf of ClusterShell in "
                + ", ".join(str(folder) for folder in folders)
            )
        # What stands in more than one file is taken from that which prevails.
        conf = _parsed(found[::-1])
        home = found[0].parent
        sources: list[_Source] = []
        for folder in _listed(conf, "groupsdir", home) or _listed(conf, "confdir", home):
            for path in sorted(folder.glob("*.conf")):
                if os.access(path, os.R_OK):  # others' sources are left out, as ClusterShell does
                    sources += _sections(_parsed([path]), folder)
        for folder in _listed(conf, "autodir", home):
            for path in sorted(folder.glob("*.yaml")):
                sources += _mappings(path)
        sources += _sections(conf, home)
        if not sources:
            raise TargetError(f"there are no node groups: {found[0]} names no source of groups")
        self._sources = {source.name: source for source in sources}
        self._default = conf.get(_MAIN, "default", fallback="") or sources[0].name


def _places() -> list[Path]:
    """Where ClusterShell looks for its configuration, that which prevails first."""
    home = Path.home()
    own = os.environ.get("CLUSTERSHELL_CFGDIR")
    user = os.environ.get("XDG_CONFIG_HOME") or home / ".config"
    return [
        *([Path(own)] if own else []),
        Path(user, "clustershell"),
        *([home / ".config/clustershell"] if Path(user) != home / ".config" else []),
        home / ".local/etc/clustershell",
        Path("/etc/clustershell"),
    ]


def _parsed(paths: Sequence[Path]) -> ConfigParser:
    # A % in a command is no variable of the file's.
    conf = ConfigParser(interpolation=None)
    for path in paths:
        try:
            with path.open(encoding="utf-8") as file:
                conf.read_file(file)
        except (ParserError, UnicodeDecodeError) as error:
            raise ConfigError(" ".join(str(error).split()), path) from error
        except OSError as error:
            raise ConfigError(f"cannot be read: {error.strerror}", path) from error
    return conf


def _listed(conf: ConfigParser, option: str, home: Path) -> list[Path]:
    """The folders that an option of `[Main]` lists."""
    text = conf.get(_MAIN, option, fallback="")
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ConfigError(f"{option} is {text!r}: {error}", home / "groups.conf") from error
    paths = (home / Template(word).safe_substitute(CFGDIR=str(home)) for word in words)
    return list(dict.fromkeys(paths))


def _sections(conf: ConfigParser, folder: Path) -> list[_Source]:
    """The sources that the sections of a file describe; one section may be for several."""
    sources = []
    for section in conf.sections():
        for name in section.split(","):
            if name == _MAIN:
                continue
            if not conf.has_option(section, "map"):
                raise ConfigError(f"the source [{name}] of groups has no map command", folder)
            listing = conf.get(section, "list", fallback="")
            sources.append(_Source(name.strip(), folder, conf.get(section, "map"), listing))
    return sources


def _mappings(path: Path) -> list[_Source]:
    """The sources in a YAML file: `source: {group: nodes}`."""
    import yaml  # most shells never read such a file

    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        why = getattr(error, "problem", None) or str(error)
        raise ConfigError(why, path, mark.line + 1 if mark else None) from error
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", path) from error
    if not isinstance(data, dict) or not all(isinstance(each, dict) for each in data.values()):
        raise ConfigError("there is not a mapping of sources to groups and nodes", path)
    return [
        _Source(
            str(source),
            path.parent,
            groups={str(group): _text(nodes, path) for group, nodes in groups.items()},
        )
        for source, groups in data.items()
    ]


def _text(nodes: object, path: Path) -> str:
    if isinstance(nodes, list):
        return ",".join(_text(each, path) for each in nodes)
    if nodes is None:
        return ""
    if isinstance(nodes, (str, int)) and not isinstance(nodes, bool):
        return str(nodes)
    raise ConfigError(f"{nodes!r} is no list of nodes", path)
