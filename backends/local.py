"""Nodes that are real sshd processes of this machine."""

from __future__ import annotations

import inspect
import itertools
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

from dust.backend import Change, Follow, to_the_end
from dust.backends import launch
from dust.backends.localstore import Record, Store, now, write
from dust.backends.processes import Anchor, Process, alive, end
from dust.backends.sshd import Sshd, isolated_config, plain_config, user
from dust.errors import BackendError
from dust.node import Node
from dust.ssh import quoted

# A host name in Linux has at most 64 bytes, and a file name cannot begin with a dot unseen.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}")

# What sshd says of a port that somebody else has, and how often another one is tried.
_TAKEN, _TRIES = "Address already in use", 5


class LocalBackend:
    """Nodes that are sshd processes of this machine, all their files under one directory.

    On Linux each node has its own host name, where the system allows it, and as root its own home;
    elsewhere nodes differ by address or port, by `$DUST_NODE` and by `$HOME`, where each login
    begins. Several processes may use one directory at once, and what one leaves behind, however it
    ended, another one finds and ends.
    """

    name = "local"
    label = "local"
    region = ""
    ssh_config: Path | None = None
    ssh_defaults: Mapping[str, str] = MappingProxyType({"StrictHostKeyChecking": "accept-new"})

    def __init__(self, root: Path) -> None:
        """Use the nodes under `root`; nothing is made there before `create`."""
        self._store = Store(Path(os.path.abspath(root)))

    def nodes(self) -> list[Node]:
        """Return all nodes, in the natural order of their clusters and names."""
        records = self._store.records()
        login = user().pw_name if records else ""
        processes = {record.id: self._store.process(record) for record in records}
        living = alive(process for process in processes.values() if process)
        found = []
        for record in sorted(records, key=lambda record: _natural(record.cluster, record.name)):
            process = processes[record.id]
            found.append(self._node(record, process if process in living else None, login))
        return found

    def kept(self) -> None:
        """Return nothing: asking takes no time."""
        return None

    def regions(self) -> list[str]:
        """Return none: it is all this machine."""
        return []

    def elsewhere(self, region: str) -> NoReturn:
        """Raise `BackendError`: it is all this machine."""
        raise BackendError("local nodes are on this machine, which has no regions")

    def create(
        self, names: Sequence[str], cluster: str = "", tags: Mapping[str, str] | None = None
    ) -> list[Change]:
        """Make and start new nodes.

        Raises `BackendError`, with nothing made, if a name is malformed or exists already. Of a
        node that does not start nothing is left either; its `Change.error` says why.
        """
        _check_names(names)
        quoted(str(self._store.root))
        sshd = Sshd.find()
        with self._store.changing():
            existing = {record.name for record in self._store.records()}
            if clash := [name for name in names if name in existing]:
                raise BackendError(f"a local node has this name already: {', '.join(clash)}")
            records = self._store.draft(names, cluster, tags or {})
            try:
                self._store.publish(records)
                errors = self._launch(sshd, records)
            except BaseException:
                self._remove(records)
                raise
            self._remove([record for record in records if record.id in errors])
        return _changes([record.id for record in records], "running", errors, "terminated")

    def check(self, verb: str, ids: Sequence[str]) -> None:
        """Do nothing: the nodes of this machine are the user's own."""

    def start(self, ids: Sequence[str], follow: Follow = to_the_end) -> list[Change]:
        """Start these nodes and wait until they listen; one that runs stays as it is."""
        sshd = Sshd.find()
        with self._store.changing():
            records = self._chosen(ids)
            living = alive(process for r in records if (process := self._store.process(r)))
            idle = [record for record in records if self._store.process(record) not in living]
            errors = self._unknown(ids, records) | self._launch(sshd, self._renewed(idle))
        return _changes(ids, "running", errors, "stopped")

    def stop(self, ids: Sequence[str], follow: Follow = to_the_end) -> list[Change]:
        """End the sshd of these nodes and everything that runs on them."""
        with self._store.changing():
            records = self._chosen(ids)
            errors = self._unknown(ids, records) | self._end(records)
        return _changes(ids, "stopped", errors, "stopping")

    def reboot(self, ids: Sequence[str], follow: Follow = to_the_end) -> list[Change]:
        """Stop these nodes and start them again; one that cannot be stopped stays as it is."""
        ended = self.stop(ids)
        left = [change for change in ended if change.error]
        begun = self.start([change.id for change in ended if not change.error])
        by_id = {change.id: change for change in (*left, *begun)}
        return [by_id[id] for id in ids]

    def terminate(self, ids: Sequence[str], follow: Follow = to_the_end) -> list[Change]:
        """End everything that runs on these nodes and remove their files."""
        with self._store.changing():
            records = self._chosen(ids)
            errors = self._unknown(ids, records) | self._remove(records)
        return _changes(ids, "terminated", errors, "stopping")

    def tag(self, ids: Sequence[str], tags: Mapping[str, str]) -> list[Change]:
        """Write these tags into what is kept of these nodes."""
        return self._retag(ids, lambda before: {**before, **tags})

    def untag(self, ids: Sequence[str], keys: Sequence[str]) -> list[Change]:
        """Remove the tags of these keys."""
        return self._retag(
            ids, lambda before: {key: text for key, text in before.items() if key not in keys}
        )

    def _retag(
        self, ids: Sequence[str], changed: Callable[[dict[str, str]], dict[str, str]]
    ) -> list[Change]:
        with self._store.changing():
            records = self._chosen(ids)
            for record in records:
                self._store.save(replace(record, tags=changed(record.tags)))
        states = {node.id: node.state for node in self.nodes()}
        errors = self._unknown(ids, records)
        return [Change(id, states.get(id, "unknown"), errors.get(id, "")) for id in ids]

    def _chosen(self, ids: Sequence[str]) -> list[Record]:
        return [record for record in self._store.records() if record.id in set(ids)]

    def _unknown(self, ids: Sequence[str], records: Sequence[Record]) -> dict[str, str]:
        known = {record.id for record in records}
        return {i: f"no local node has the id {i}" for i in ids if i not in known}

    def _node(self, record: Record, process: Process | None, login: str) -> Node:
        key = str(self._store.key)
        details = {
            "launch_time": record.launch_time,
            "port": str(record.port),
            "username": login,
            "key": key,
            "home": str(self._store.directory(record) / "home"),
        }
        if process:
            details["pid"] = str(process.pid)
        return Node(
            name=record.name,
            id=record.id,
            backend=self.name,
            state="running" if process else "stopped",
            type="local",
            ip=record.address,
            cluster=record.cluster,
            tags=record.tags,
            details=details,
            ssh={
                "HostName": record.address,
                "Port": str(record.port),
                "User": login,
                "IdentityFile": quoted(key, tokens=True),
                "IdentitiesOnly": "yes",
                "HostKeyAlias": record.id,
                "UserKnownHostsFile": quoted(str(self._store.known_hosts), tokens=True),
            },
        )

    def _renewed(self, records: Sequence[Record]) -> list[Record]:
        """Nodes about to start, with a new time, and a new port where theirs is taken."""
        renewed = []
        for record in records:
            record = replace(record, port=self._store.free_port(record), launch_time=now())
            self._store.save(record)
            renewed.append(record)
        return renewed

    def _launch(self, sshd: Sshd, records: Sequence[Record]) -> dict[str, str]:
        """Start the sshd of these nodes; returns why some do not listen, by id.

        A port that was free may be taken by the time sshd asks for it: then another is tried.
        """
        errors = self._try(sshd, records)
        for _ in range(_TRIES):
            taken = [record for record in records if _TAKEN in errors.get(record.id, "")]
            if not taken:
                break
            for record in taken:
                del errors[record.id]
            errors |= self._try(sshd, self._renewed(taken))
        return errors

    def _try(self, sshd: Sshd, records: Sequence[Record]) -> dict[str, str]:
        if not records:
            return {}
        if os.geteuid() == 0 and launch.LINUX:
            os.makedirs("/run/sshd", 0o755, exist_ok=True)  # what Debian's sshd insists on
        _run_launcher([self._prepared(sshd, record) for record in records])
        errors = self._wait(records)
        self._end([record for record in records if record.id in errors])
        return errors

    def _prepared(self, sshd: Sshd, record: Record) -> launch.Launch:
        """Write what the sshd of a node reads; returns how to start it."""
        directory = self._store.directory(record)
        inside, home = directory / "sshd", str(directory / "home")
        login_home = os.path.realpath(user().pw_dir)
        for name in "listening", "log":
            (inside / name).unlink(missing_ok=True)
        where = record.name, record.address, record.port
        write(inside / "plain.conf", plain_config(sshd, *where, str(inside), home))
        plain = [sshd.path, "-D", "-e", "-f", f"{inside}/plain.conf"]
        isolated = []
        if launch.LINUX and os.geteuid():
            isolated = plain  # with a host name of its own, and its home by the login
        elif launch.LINUX and login_home != "/":
            write(inside / "isolated.conf", isolated_config(sshd, *where, launch.SSHD_DIR))
            isolated = [sshd.path, "-D", "-e", "-f", f"{launch.SSHD_DIR}/isolated.conf"]
        return launch.Launch(
            name=record.name,
            isolated=isolated,
            plain=plain,
            home=home,
            login_home=login_home,
            sshd=str(inside),
            log=str(inside / "log"),
            record=str(directory / "process"),
        )

    def _wait(self, records: Sequence[Record]) -> dict[str, str]:
        """Wait until these nodes listen; returns why some do not, by id."""
        errors: dict[str, str] = {}
        waiting = {self._store.directory(record) / "sshd": record for record in records}
        deadline = time.monotonic() + 20 + len(waiting) / 5
        for attempt in itertools.count():
            processes = {record.id: self._store.process(record) for record in waiting.values()}
            living = alive(process for process in processes.values() if process)
            late = time.monotonic() > deadline
            for inside, record in list(waiting.items()):
                if (inside / "listening").exists():
                    del waiting[inside]
                elif late or processes[record.id] not in living:
                    reason = "sshd does not listen" if late else "sshd ended"
                    errors[record.id] = f"{record.name}: {reason}: {_tail(inside / 'log')}"
                    del waiting[inside]
            if not waiting:
                break
            time.sleep(min(0.05, 0.002 * 1.3**attempt))
        return errors

    def _end(self, records: Iterable[Record]) -> dict[str, str]:
        """End all processes of these nodes; returns what remains, by id."""
        directories = {record.id: self._store.directory(record) for record in records}
        anchors = {
            record.id: Anchor(
                self._store.process(record),
                directories[record.id] / "home",
                directories[record.id] / "sshd",
            )
            for record in records
        }
        left = end(anchors)
        for key, directory in directories.items():
            if key not in left:
                (directory / "process").unlink(missing_ok=True)
        return {
            key: "processes remain: " + ", ".join(str(process.pid) for process in processes)
            for key, processes in left.items()
        }

    def _remove(self, records: Iterable[Record]) -> dict[str, str]:
        """End these nodes and remove them; returns what went wrong, by id."""
        existing = [record for record in records if self._store.directory(record).exists()]
        errors = self._end(existing)
        return errors | self._store.withdraw([r for r in existing if r.id not in errors])


def _changes(ids: Sequence[str], done: str, errors: Mapping[str, str], failed: str) -> list[Change]:
    return [Change(i, failed if i in errors else done, errors.get(i, "")) for i in ids]


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        if not _NAME.fullmatch(name):
            raise BackendError(
                f"{name!r} cannot be a node's name: use letters, digits, '_', '-' and '.',"
                " a letter, a digit or '_' first, at most 63"
            )
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise BackendError(f"named twice: {', '.join(twice)}")


def _natural(*words: str) -> list[list[tuple[int, str]]]:
    """A sort key that has `w2` before `w10`."""
    return [
        [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", word)]
        for word in words
    ]


def _run_launcher(launches: Sequence[launch.Launch]) -> None:
    """Run `dust.backends.launch` in a process that has nothing of ours."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", inspect.getsource(launch)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    _, errors = process.communicate(json.dumps(list(launches)))
    if process.returncode:
        raise BackendError(f"cannot start nodes: {errors.strip() or process.returncode}")


def _tail(log: Path, lines: int = 4) -> str:
    """The end of a log, in one line."""
    try:
        return "; ".join(log.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return "it has logged nothing"
