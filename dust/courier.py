"""Files carried to and from nodes: checked here, told to a worker a node, waited for."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from dust import askpass, config, messages, transfers
from dust.approach import Reach
from dust.cluster import Cluster
from dust.config import Settings
from dust.copies import Copied
from dust.errors import ConfigError, UsageError
from dust.node import Node
from dust.routes import Routes
from dust.waiter import Waiter


class Courier:
    """Copies to and from the nodes of a cluster, over the connections that there are to them."""

    def __init__(self, cluster: Cluster, routes: Routes, waiter: Waiter) -> None:
        self._cluster = cluster
        self._routes = routes
        self._waiter = waiter

    def put(
        self, files: Sequence[str], target: str, directory: str, settings: Settings
    ) -> list[Copied]:
        """Copy files and directories of this machine into a directory of nodes."""
        names = transfers.local_names(files)
        where = transfers.remote_directory(directory)
        nodes = self._cluster.addressed(target)
        return self._copy(nodes, True, names, lambda node: where, settings)

    def get(
        self, target: str, files: Sequence[str], directory: str, settings: Settings
    ) -> list[Copied]:
        """Copy what patterns match on nodes into `directory/NODE` here."""
        nodes = self._cluster.addressed(target)
        folders = transfers.folders(nodes, directory, self._cluster.label)
        patterns = transfers.remote_patterns(files)
        return self._copy(nodes, False, patterns, lambda node: folders[node.id], settings)

    def _copy(
        self,
        nodes: list[Node],
        put: bool,
        names: list[str],
        where: Callable[[Node], str],
        settings: Settings,
    ) -> list[Copied]:
        try:
            folder = os.getcwd()
        except OSError as error:
            raise UsageError(f"the directory that dust is in is gone: {error.strerror}") from error
        timeout = settings.connect_timeout
        try:
            program = askpass.program(config.folder("cache"))
        except ConfigError:  # a home that cannot be written: no copy can ask
            program = ""

        def order(node: Node, reach: Reach) -> messages.Copy:
            def argv(command: str, subsystem: bool) -> list[str]:
                backend = self._cluster.backend
                return reach.call(node, self._routes.other(backend, node, command, subsystem))

            path = self._routes.askpass() if program else ""
            asking = [program, path] if path else []
            return transfers.order(node, argv, put, names, where(node), folder, timeout, asking)

        return self._waiter.copy(nodes, order, settings.fanout)
