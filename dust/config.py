"""Files under the home of Dust, and the settings that are kept there."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

from dust.errors import ConfigError, UsageError
from dust.near import near


def home() -> Path:
    """Where the user's files are: `$DUST_HOME`, or `~/.dustcluster`. It need not exist yet."""
    chosen = os.path.expanduser(os.environ.get("DUST_HOME") or "~/.dustcluster")
    if chosen.startswith("~"):
        raise ConfigError("there is no home directory; set DUST_HOME to a folder for Dust's files")
    return Path(os.path.abspath(chosen))


def folder(*names: str) -> Path:
    """A folder under the home, such as `folder("cache")`, made with mode 0700 if it is missing."""
    path = home().joinpath(*names)
    make_folder(path)
    return path


def make_folder(path: Path) -> None:
    """Make a folder with mode 0700, and those above it, unless it is there. Raises ConfigError."""
    try:
        if path.is_dir():
            return
        make_folder(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot make the folder: {error.strerror or error}", path) from error


def write_whole(path: Path, content: str | bytes, mode: int = 0o600) -> None:
    """Write a file whole or not at all, readers seeing the old one or the new one.

    Missing folders are made with mode 0700; a symbolic link stays and its file is replaced.
    Raises `ConfigError`, the old file being as it was.
    """
    data = content.encode() if isinstance(content, str) else content
    target = Path(os.path.realpath(path))
    make_folder(target.parent)
    temporary = target.with_name(f".{target.name}.{os.urandom(6).hex()}")
    try:
        try:
            _write_new(temporary, data, mode)
            os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ConfigError(f"cannot write the file: {error.strerror or error}", path) from error
    with suppress(OSError):  # the file is there; some file systems cannot promise it for a crash
        _sync_folder(target.parent)


def _write_new(path: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# Settings: each is parsed from text, for the file and for `set` alike.

_FORM = "settings are written as `key: value`, one a line"
_NULL = "tag:yaml.org,2002:null"
_ON = ("on", "yes", "true", "1")
_OFF = ("off", "no", "false", "0")


def _switch(text: str) -> bool:
    if text.lower() in _ON + _OFF:
        return text.lower() in _ON
    raise ValueError(f"{text!r} is neither on nor off")


def _number(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if text.isascii() and text.isdigit() and len(text) <= 9 and int(text) >= least:
            return int(text)
        raise ValueError(f"{text!r} is not a whole number from {least} to 999999999")

    return parse


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not isfinite(value) or value <= 0:
        raise ValueError(f"{text!r} is not a number of seconds above 0")
    return value


class _Setting(NamedTuple):
    """What it is for, how it is read from text, and the values that it allows ((): any other)."""

    about: str
    parse: Callable[[str], Any] = str
    choices: tuple[str, ...] = ()


def _chosen(about: str, *choices: str) -> _Setting:
    def parse(text: str) -> str:
        if text in choices:
            return text
        raise ValueError(f"{text!r} is not one of {', '.join(choices)}{_nearest(text, choices)}")

    return _Setting(about, parse, choices)


def _switched(about: str) -> _Setting:
    return _Setting(about, _switch, ("on", "off"))


class Settings(NamedTuple):
    """What the user can set, in `config.yaml` and with `set`."""

    backend: str = "local"
    fanout: int = 32
    connect_timeout: float = 15.0
    persist: int = 60
    output: str = "stream"
    colour: str = "auto"
    history_size: int = 10000
    progress: bool = True
    errexit: bool = False
    use: str = ""
    inventory: str = ""
    ssh_config: str = ""
    profile: str = ""
    region: str = ""
    address: str = "auto"


_SETTINGS: Mapping[str, _Setting] = {
    "backend": _chosen("where nodes come from", "local", "ssh", "ec2"),
    "fanout": _Setting("connections that are opened at the same time, at most", _number(1)),
    "connect_timeout": _Setting("seconds until a connection is given up", _seconds),
    "persist": _Setting("seconds that dust-at keeps a connection for its next call", _number(0)),
    "output": _chosen(
        "line by line, a block a node, or identical outputs once", "stream", "block", "fold"
    ),
    "colour": _chosen(
        "colours: auto is on a terminal, and not in scripts", "auto", "always", "never"
    ),
    "history_size": _Setting("lines that the history keeps", _number(0)),
    "progress": _switched("how far the last line is, above the prompt"),
    "errexit": _switched("stop a script at its first failure"),
    "use": _Setting("the working set at the start; empty or * is everything"),
    "inventory": _Setting("a file of hosts for the ssh backend"),
    "ssh_config": _Setting("an ssh configuration file in place of the user's own"),
    "profile": _Setting("the AWS profile; empty is AWS_PROFILE, or the default one"),
    "region": _Setting("the AWS region; empty is the one of the AWS configuration"),
    "address": _chosen(
        "how EC2 nodes are reached: auto is by the private address within their VPC only",
        "auto",
        "public",
        "private",
    ),
}
#: The names of all settings.
KEYS = Settings._fields


def about(key: str) -> str:
    """Describe a setting in one line."""
    return _SETTINGS[key].about


def choices(key: str) -> tuple[str, ...]:
    """The values that a setting allows, or () if it takes other text or a number."""
    return _SETTINGS[key].choices


def parse_value(key: str, text: str) -> Any:
    """Read one setting's value from text; raises `ValueError` that names what is allowed."""
    return _SETTINGS[key].parse(text)


def shown(settings: Settings, key: str) -> str:
    """Write one setting's value as text that `changed` would read."""
    value = getattr(settings, key)
    if isinstance(value, bool):
        return "on" if value else "off"
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def changed(settings: Settings, key: str, text: str, said: str = "") -> Settings:
    """Set one setting from text; raises `UsageError` that names what is allowed.

    `said` is how the setting was named, `set KEY` if it is not given.
    """
    name = key.replace("-", "_")
    if name not in KEYS:
        raise UsageError(f"no setting {key!r}{_nearest(name, KEYS)}")
    try:
        return settings._replace(**{name: parse_value(name, text)})
    except ValueError as error:
        raise UsageError(f"{said or f'set {name}'}: {error}") from error


def _nearest(text: str, names: tuple[str, ...]) -> str:
    close = near(text, names)
    return f"; did you mean {close[0]}?" if close else ""


def load(path: Path) -> tuple[Settings, list[ConfigError]]:
    """Read `config.yaml`: its settings, and what is wrong with it, which is left out.

    A missing file means the defaults. The file is never changed.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Settings(), []
    except OSError as error:
        return Settings(), [ConfigError(f"cannot read the file: {error.strerror or error}", path)]
    pairs, problems = _pairs(data, path)
    values: dict[str, Any] = {}
    for key, value, line in pairs:
        try:
            if key not in KEYS:
                raise ValueError(f"no setting {key!r}{_nearest(key, KEYS)}")
            if key in values:
                raise ValueError(f"{key} is here a second time")
            if value is None:
                raise ValueError("a setting has one plain value")
            values[key] = _parsed(key, value)
        except ValueError as error:
            problems.append(ConfigError(str(error), path, line))
    return Settings(**values), sorted(problems, key=lambda problem: problem.line or 0)


def _parsed(key: str, text: str) -> Any:
    try:
        return parse_value(key, text)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from error


#: A key, its value as written (None if that is no plain one) and their line, from 1.
_Pair = tuple[str, str | None, int]


def _pairs(data: bytes, path: Path) -> tuple[list[_Pair], list[ConfigError]]:
    """The file's keys and values; where it is no YAML as a whole, those of its good lines."""
    with suppress(ConfigError):
        return _read(data, path, 1), []
    pairs: list[_Pair] = []
    problems: list[ConfigError] = []
    for number, line in enumerate(data.splitlines(), 1):
        try:
            if line[:1].isspace() and line.split(b"#")[0].strip():  # of the one before
                raise ConfigError(_FORM, path, number)
            pairs += _read(line, path, number)
        except ConfigError as error:
            problems.append(error)
    return pairs, problems


def _read(data: bytes, path: Path, first: int) -> list[_Pair]:
    """Read YAML that begins at that line. Raises `ConfigError`."""
    import yaml  # 20 ms that a start without a file does not pay

    try:
        document = yaml.compose(data.decode(), Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        raise ConfigError("this is not UTF-8 text", path, first) from error
    except yaml.MarkedYAMLError as error:
        problem = error.problem or error.context or "this is not YAML"
        raise ConfigError(problem, path, first) from error
    except yaml.YAMLError as error:
        raise ConfigError("this is not YAML text", path, first) from error
    if document is None or document.tag == _NULL:
        return []
    if not isinstance(document, yaml.MappingNode):
        raise ConfigError(_FORM, path, first)
    pairs: list[_Pair] = []
    for key, value in document.value:
        name = key.value if isinstance(key, yaml.ScalarNode) else "?"
        text = value.value if isinstance(value, yaml.ScalarNode) else None
        text = "" if value.tag == _NULL else text
        pairs.append((name, text, first + key.start_mark.line))
    return pairs
