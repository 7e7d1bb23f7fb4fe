"""Finds the commands: Dust's own plugins, the user's folder, installed packages."""

from __future__ import annotations

import os
import pkgutil
import sys
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import dust.plugins
from dust.command import Command
from dust.config import home
from dust.errors import DustError, Ending, PluginError, UsageError

_GROUP = "dust.plugins"
# No file in the user's folder can have the import name of anything else.
_PRIVATE = "_dust_user_plugins"


@dataclass
class _Plugin:
    """One file with commands: where it is from, and what it had when it was last read."""

    name: str
    module: str
    path: Path | None = None
    attribute: str = ""
    seen: tuple[int, int] | None = None
    commands: list[Command] = field(default_factory=list)
    problem: PluginError | None = None

    @property
    def changed(self) -> bool:
        """Whether its file is another than it was; one without a known file may be if it failed."""
        return self.seen != _stamp(self) or (self.path is None and self.problem is not None)

    @property
    def own(self) -> bool:
        return self.module.startswith(f"{dust.plugins.__name__}.")

    @property
    def user(self) -> bool:
        return self.module.startswith(f"{_PRIVATE}.")


class Registry:
    """All commands by name.

    A user's command takes the name of a built-in one, which is then in `overridden`; else the
    first of a name has it. What is wrong with a plugin is in `problems`, and stops nothing else:
    one that cannot be read again keeps the commands that it had.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Read no plugin yet; `folder` stands for the user's own, `plugins` under the home."""
        self._folder = folder
        self._plugins: dict[str, _Plugin] = {}
        self._names: dict[str, Command] = {}
        self._clashes: list[PluginError] = []
        #: The commands by name, in the order in which they were found; aliases left out.
        self.commands: dict[str, Command] = {}
        #: The built-in commands that a user's plugin replaces, by name.
        self.overridden: dict[str, Command] = {}

    @property
    def problems(self) -> list[PluginError]:
        """What is wrong with the plugins, as of the last `load` or `reload`."""
        failed = [each.problem for each in self._plugins.values() if each.problem]
        return failed + self._clashes

    def find(self, name: str) -> Command:
        """The command of a name or an alias; a `UsageError` names the nearest."""
        if name in self._names:
            return self._names[name]
        close = get_close_matches(name, self._names, 1)
        raise UsageError(f"no command {name}" + (f"; did you mean {close[0]}?" if close else ""))

    def load(self) -> None:
        """Find all plugins and read them; never raises for what a plugin does."""
        self.reload()

    def reload(self, name: str | None = None) -> list[str]:
        """Take up new, changed and removed files; return the names of their plugins.

        With the name of a plugin, read that one again, changed or not. A `UsageError` if there
        is none.
        """
        found = {each.module + each.attribute: each for each in self._find()}
        gone = [key for key in self._plugins if key not in found]
        again = [each.name for each in map(self._plugins.pop, gone)]
        plugins = {key: self._plugins.get(key, each) for key, each in found.items()}
        if name is not None and name not in {each.name for each in plugins.values()}:
            close = get_close_matches(name, [each.name for each in plugins.values()], 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise UsageError(f"no plugin {name}{hint}")
        for key, plugin in plugins.items():
            known = key in self._plugins
            if not known or plugin.name == name or plugin.changed:
                _read(plugin, known)
                again.append(plugin.name)
        self._plugins = plugins
        self._collect()
        return again

    def _find(self) -> Iterator[_Plugin]:
        for found in pkgutil.iter_modules(dust.plugins.__path__):
            path = Path(getattr(found.module_finder, "path", ""), f"{found.name}.py")
            yield _Plugin(found.name, f"{dust.plugins.__name__}.{found.name}", path)
        yield from _in_folder(self._folder or home() / "plugins")
        yield from _installed()

    def _collect(self) -> None:
        """Give each command its names."""
        self._names = {}
        self._clashes = []
        self.overridden = {}
        for plugin in self._plugins.values():
            for command in plugin.commands:
                self._admit(command, plugin.user)
        self.commands = {
            name: command for name, command in self._names.items() if name == command.name
        }

    def _admit(self, command: Command, from_user: bool) -> None:
        holder = self._names.get(command.name)
        if holder is not None and from_user and self._is_own(holder):
            del self._names[command.name]
            if holder.name == command.name:
                self.overridden[holder.name] = holder
                for alias in holder.aliases:
                    if self._names.get(alias) is holder:
                        del self._names[alias]
        for name in (command.name, *command.aliases):
            holder = self._names.setdefault(name, command)
            if holder is not command:
                problem = f"the name {name} is taken by {holder.path}:{holder.line}"
                self._clashes.append(PluginError(problem, command.path, command.line))
                if name == command.name:
                    return

    def _is_own(self, command: Command) -> bool:
        own = (each.commands for each in self._plugins.values() if each.own)
        return any(command is each for commands in own for each in commands)


def _in_folder(folder: Path) -> Iterator[_Plugin]:
    try:
        paths = sorted(folder.glob("*.py"))
    except OSError:  # a folder that cannot be listed has no plugins to offer
        return
    for path in paths:
        if not path.name.startswith((".", "_")):
            yield _Plugin(path.stem, f"{_PRIVATE}.{path.stem.replace('.', '_')}", path)


def _installed() -> Iterator[_Plugin]:
    """The entry points of installed packages."""
    if not any(map(_offers_plugins, _entry_point_files())):
        return
    from importlib.metadata import entry_points  # 20 ms that most starts do not need

    for entry in entry_points(group=_GROUP):
        yield _Plugin(entry.name, entry.module, attribute=entry.attr or "")


def _entry_point_files() -> Iterator[str]:
    for folder in dict.fromkeys(sys.path):
        try:
            with os.scandir(folder or ".") as entries:
                names = [each.name for each in entries]
        except OSError:  # sys.path may name archives and what does not exist
            continue
        for name in names:
            if name.endswith((".dist-info", ".egg-info")):
                yield os.path.join(folder, name, "entry_points.txt")


def _offers_plugins(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return f"[{_GROUP}]".encode() in file.read()
    except OSError:  # most packages have no such file
        return False


def _stamp(plugin: _Plugin) -> tuple[int, int] | None:
    """What changes when the plugin's file does."""
    if plugin.path is None:
        return None
    try:
        found = plugin.path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _read(plugin: _Plugin, again: bool) -> None:
    """Run a plugin's file, for the first time or again, and take its commands."""
    plugin.seen = _stamp(plugin)
    try:
        module = _import_again(plugin) if again or plugin.user else import_module(plugin.module)
        commands = list(_commands_of(module, plugin.attribute))
    except Ending:
        raise
    except (Exception, SystemExit) as error:
        plugin.problem = _problem(plugin, error)
        return
    plugin.problem = None
    plugin.commands = commands
    if not (commands or plugin.own):
        what = f"plugin {plugin.name}: there is no command in it"
        plugin.problem = PluginError(what, plugin.path)
    if plugin.path is None and module.__file__:
        plugin.path = Path(module.__file__)
        plugin.seen = _stamp(plugin)


def _import_again(plugin: _Plugin) -> ModuleType:
    module = sys.modules.get(plugin.module)
    if plugin.path is None or (module is None and not plugin.user):
        return import_module(plugin.module)
    if module is None or plugin.user:
        spec = spec_from_file_location(plugin.module, plugin.path)
        assert spec is not None
        module = module_from_spec(spec)
    _run(module, plugin.path)
    return module


def _run(module: ModuleType, path: Path) -> None:
    """Run a file as a module from its source: byte code may be older than a change just made."""
    code = compile(path.read_bytes(), path, "exec", dont_inherit=True)
    names = module.__dict__
    before, had = sys.modules.get(module.__name__), dict(names)
    for name in had:
        if not name.startswith("__"):
            del names[name]
    sys.modules[module.__name__] = module
    try:
        exec(code, names)
    except BaseException:
        names.clear()
        names.update(had)
        sys.modules.pop(module.__name__, None)
        if before is not None:
            sys.modules[module.__name__] = before
        raise


def _commands_of(module: ModuleType, attribute: str) -> Iterable[Command]:
    if attribute:
        found = getattr(module, attribute)
        if not isinstance(found, Command):
            raise PluginError(f"{attribute} is no command", Path(module.__file__ or ""))
        return [found]
    return [
        each
        for each in vars(module).values()
        if isinstance(each, Command)
        and f"{each.function.__module__}.".startswith(f"{module.__name__}.")
    ]


def _problem(plugin: _Plugin, error: BaseException) -> PluginError:
    """Say where a plugin failed: the place in its own file, if there is one."""
    if isinstance(error, PluginError):
        return error
    text = str(error) if isinstance(error, DustError) else f"{type(error).__name__}: {error}"
    path, line = plugin.path, None
    if isinstance(error, SyntaxError) and error.filename:
        path, line, text = Path(error.filename), error.lineno, f"SyntaxError: {error.msg}"
    else:
        frames = traceback.extract_tb(error.__traceback__)
        inside = [each for each in frames if _belongs(each.filename, plugin)]
        if inside:
            path, line = Path(inside[-1].filename), inside[-1].lineno
    problem = PluginError(f"plugin {plugin.name}: {text}", path, line)
    problem.__cause__ = error
    return problem


def _belongs(filename: str, plugin: _Plugin) -> bool:
    if plugin.path is not None:
        return filename == str(plugin.path)
    return Path(filename).stem == plugin.module.rpartition(".")[2]
