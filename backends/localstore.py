"""The files of local nodes: what there is, where it listens, and changes that are whole or not."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import secrets
import shutil
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

from dust.backends.launch import LINUX
from dust.backends.processes import Process
from dust.backends.sshd import enter_script, make_keys
from dust.errors import ConfigError

PORT = 2222  # where the node has an address of its own


@dataclass(frozen=True)
class Record:
    """What the file `node.json` says of a node; `host_key` is the public one."""

    id: str
    name: str
    address: str
    port: int
    launch_time: str
    host_key: str
    cluster: str
    tags: dict[str, str]


class Store:
    """The directory that holds the local nodes.

    `nodes/NAME/` has `node.json`, `process` (the sshd started last), `home/` and `sshd/`. Only
    what is complete is there; what a killed process left half-done lies in `unfinished/`. Reading
    needs no lock, changing is done inside `changing`.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.key = root / "id"
        self.known_hosts = root / "known_hosts"
        self._unfinished = root / "unfinished"

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold off every other change while this one lasts."""
        for directory in self.root, self.root / "nodes", self._unfinished:
            directory.mkdir(0o700, parents=True, exist_ok=True)
        lock = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._sweep()
            yield
            self._sweep()
        finally:
            os.close(lock)

    def directory(self, record: Record) -> Path:
        """Return where the files of a node are."""
        return self.root / "nodes" / record.name

    def records(self) -> list[Record]:
        """Return all nodes, in no order; raises `ConfigError` for a damaged file."""
        try:
            names = os.listdir(self.root / "nodes")
        except FileNotFoundError:
            return []
        found = (_read(self.root / "nodes" / name / "node.json") for name in names)
        return [record for record in found if record]

    def process(self, record: Record) -> Process | None:
        """Return the sshd that was last started for a node, dead or alive."""
        try:
            text = (self.directory(record) / "process").read_text()
        except FileNotFoundError:
            return None
        pid, _, mark = text.strip().partition(" ")
        return Process(int(pid), mark) if pid.isdigit() else None

    def save(self, record: Record) -> None:
        """Write what has changed about a node."""
        _write_record(self.directory(record), record)

    def draft(self, names: Sequence[str], cluster: str, tags: Mapping[str, str]) -> list[Record]:
        """Make the files of new nodes, which are no nodes before `publish`."""
        self._make_login_key()
        drafts = [self._unfinished / name for name in names]
        for draft in drafts:
            for directory in draft, draft / "home", draft / "sshd":
                directory.mkdir(0o700)
            shutil.copyfile(self.key.with_suffix(".pub"), draft / "sshd" / "authorized_keys")
            write(draft / "sshd" / "enter", enter_script())
        make_keys([draft / "sshd" / "host_key" for draft in drafts])
        records = []
        for draft, (address, port) in zip(drafts, self._places(), strict=False):
            record = Record(
                id="l-" + secrets.token_hex(6),
                name=draft.name,
                address=address,
                port=port,
                launch_time=now(),
                host_key=(draft / "sshd" / "host_key.pub").read_text().strip(),
                cluster=cluster,
                tags=dict(tags),
            )
            _write_record(draft, record)
            records.append(record)
        return records

    def publish(self, records: Sequence[Record]) -> None:
        """Turn drafts into nodes."""
        for record in records:
            os.rename(self._unfinished / record.name, self.directory(record))
        self._write_known_hosts()

    def withdraw(self, records: Sequence[Record]) -> dict[str, str]:
        """Remove nodes and their files; returns why files remain, by id."""
        removed = {record.id: self._unfinished / record.id for record in records}
        for record in records:
            os.rename(self.directory(record), removed[record.id])
        self._write_known_hosts()
        errors = {}
        for key, path in removed.items():
            try:
                _remove_tree(path)
            except OSError as error:
                errors[key] = f"its files remain: {error}"
        return errors

    def free_port(self, record: Record) -> int:
        """Return the node's port, or another one where something else listens there."""
        if _bindable(record.address, record.port):
            return record.port
        taken = {(other.address, other.port) for other in self.records()}
        return _any_port(record.address, taken)

    def _make_login_key(self) -> None:
        if not self.key.exists():
            made = self._unfinished / "id"
            make_keys([made], comment="dust local nodes")
            os.replace(made.with_suffix(".pub"), self.key.with_suffix(".pub"))
            os.replace(made, self.key)

    def _places(self) -> Iterator[tuple[str, int]]:
        """Addresses and ports for new nodes, without end."""
        taken = {(record.address, record.port) for record in self.records()}
        addresses = {address for address, _ in taken}
        own = LINUX and _bindable("127.9.0.1", 0)
        index = 0
        while True:
            address = f"127.9.{index // 250 % 256}.{index % 250 + 1}" if own else "127.0.0.1"
            index += 1
            if own and address in addresses and index < 256 * 250:
                continue
            free = (address, PORT) not in taken and own and _bindable(address, PORT)
            port = PORT if free else _any_port(address, taken)
            taken.add((address, port))
            yield address, port

    def _write_known_hosts(self) -> None:
        lines = sorted(f"{record.id} {record.host_key}\n" for record in self.records())
        write(self.known_hosts, "".join(lines))

    def _sweep(self) -> None:
        """Remove what was left half-done; what cannot be removed is in nobody's way."""
        for path in self._unfinished.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()


def write(path: Path, text: str) -> None:
    """Write a file of the user's own whole or not at all."""
    made = path.with_name(path.name + ".new")
    with open(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    os.replace(made, path)


def now() -> str:
    """Return the time, ISO 8601, UTC, to the second."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _write_record(directory: Path, record: Record) -> None:
    write(directory / "node.json", json.dumps(asdict(record), indent=1) + "\n")


def _read(path: Path) -> Record | None:
    """The node that a file describes; None if it was removed meanwhile."""
    remedy = f"to forget the node, stop it and remove {path.parent}"
    try:
        with open(path) as file:
            return Record(**json.load(file))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except json.JSONDecodeError as error:
        raise ConfigError(f"damaged: {error.msg}; {remedy}", path, error.lineno) from None
    except (TypeError, UnicodeDecodeError) as error:
        raise ConfigError(f"damaged: {error}; {remedy}", path) from None


def _bindable(address: str, port: int) -> bool:
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((address, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES):
                return False
            raise
    return True


def _any_port(address: str, taken: set[tuple[str, int]]) -> int:
    while True:
        with socket.socket() as trial:
            trial.bind((address, 0))
            port: int = trial.getsockname()[1]
        if (address, port) not in taken:
            return port


def _remove_tree(path: Path) -> None:
    """Remove a directory, even one that holds write-protected ones."""
    try:
        shutil.rmtree(path)
    except PermissionError:
        for directory, _, _ in os.walk(path):
            os.chmod(directory, 0o700)
        shutil.rmtree(path)
