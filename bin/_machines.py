"""The cloud of bin/demo: a moto server, and for each of its instances a real sshd node."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import _cloud  # noqa: F401  (it adds to moto)
from moto.ec2.models.instances import Instance, InstanceBackend
from moto.server import ThreadedMotoServer

from dust import config
from dust.backends.local import LocalBackend
from dust.backends.sshd import user
from dust.errors import BackendError
from dust.node import Node

REGION = "us-east-1"
#: What leads to the nodes; `ssh_config` is what `sshconfig write` writes.
SSH_CONFIG = "cloud_ssh_config"
#: What there is at the beginning: instances that nobody has made a cluster of.
EXISTING = ("web1", "web2")
SPEC = f"""\
cloud:   {{provider: ec2, region: {REGION}}}
cluster: {{name: slurm1, spot: yes, max_price: 0.05}}
nodes:
- {{nodename: master, instance_type: t2.small, spot: no}}
- {{nodename: worker, instance_type: t3.nano, count: 2}}
"""


class Machines:
    """The nodes behind the instances, called by their ids; changed from any thread."""

    def __init__(self, home: Path) -> None:
        """Make nodes under `home`, and keep a file for ssh there that leads to them."""
        self.ssh_config = home / SSH_CONFIG
        self._backend = LocalBackend(home / "local")
        self._lock = threading.Lock()

    def begin(self, instance: Any) -> None:
        """Make the node of a new instance, or start that of a stopped one."""
        with self._lock:
            there = {node.name: node for node in self._backend.nodes()}
            if instance.id in there:
                changes = self._backend.start([there[instance.id].id])
            else:
                changes = self._backend.create([instance.id])
            if changes[0].error:
                raise BackendError(changes[0].error)
            nodes = {node.name: node for node in self._backend.nodes()}
            config.write_whole(self.ssh_config, _ssh_config(nodes.values()))
        self._let_in(instance, nodes[instance.id])
        instance.nics[0].public_ip = nodes[instance.id].ip

    def end(self, instance: Any, change: Callable[[LocalBackend, list[str]], Any]) -> None:
        """Stop or terminate the node of an instance."""
        with self._lock:
            ids = [node.id for node in self._backend.nodes() if node.name == instance.id]
            change(self._backend, ids)

    def _let_in(self, instance: Any, node: Node) -> None:
        """Let the key in that the instance was started with, as its image would."""
        pair = instance.ec2_backend.key_pairs.get(instance.key_name)
        path = Path(node.details["home"]).parent / "sshd" / "authorized_keys"
        if pair and pair.public_key not in path.read_text():
            with path.open("a") as file:
                file.write(f"{pair.public_key}\n")


def _ssh_config(nodes: Any) -> str:
    """How ssh gets to these nodes: none can be an instance's port 22 or have a user of its own."""
    lines = []
    for node in nodes:
        lines += [
            f"Match host {node.ip}",
            f"  Port {node.ssh['Port']}",
            f"  User {user().pw_name}",
            f"  IdentityFile {node.ssh['IdentityFile']}",
        ]
    return "\n".join([*lines, ""])


@contextmanager
def serving(home: Path) -> Iterator[dict[str, str]]:
    """A cloud as long as it lasts; yields the environment in which dust finds it."""
    machines = Machines(home)
    _stand_behind(machines)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it tells each call
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        environment = _environment(home, f"http://{host}:{port}")
        _begin(environment)
        config.write_whole(home / "slurm1.yaml", SPEC)
        yield environment
    finally:
        server.stop()


def _environment(home: Path, endpoint: str) -> dict[str, str]:
    kept = {key: text for key, text in os.environ.items() if not key.startswith("AWS_")}
    return {
        **kept,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "demo",
        "AWS_SECRET_ACCESS_KEY": "demo",
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(home / "aws.conf"),
        "AWS_SHARED_CREDENTIALS_FILE": str(home / "aws.credentials"),
        "DUST_HOME": str(home),
    }


def _begin(environment: dict[str, str]) -> None:
    """Start the instances that are there at the beginning."""
    import boto3

    client = boto3.client(
        "ec2",
        region_name=REGION,
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id="demo",
        aws_secret_access_key="demo",
    )
    images = client.describe_images(Filters=[{"Name": "name", "Values": ["al2023-ami-2023*"]}])
    for name in EXISTING:
        tags = [{"Key": "Name", "Value": name}, {"Key": "cluster-name", "Value": "webtest"}]
        client.run_instances(
            ImageId=images["Images"][0]["ImageId"],
            InstanceType="t2.micro",
            MinCount=1,
            MaxCount=1,
            TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
        )


def _stand_behind(machines: Machines) -> None:
    """Have what becomes of instances become of their nodes."""
    launch, start, stop, terminate, reboot = (
        InstanceBackend.run_instances,
        Instance.start,
        Instance.stop,
        Instance.terminate,
        Instance.reboot,
    )

    def launched(backend: Any, *given: Any, **more: Any) -> Any:
        reservation = launch(backend, *given, **more)
        for instance in reservation.instances:
            machines.begin(instance)
        return reservation

    def started(instance: Instance) -> Any:
        state = start(instance)
        machines.begin(instance)
        return state

    def stopped(instance: Instance) -> Any:
        machines.end(instance, LocalBackend.stop)
        return stop(instance)

    def terminated(instance: Instance) -> Any:
        machines.end(instance, LocalBackend.terminate)
        return terminate(instance)

    def rebooted(instance: Instance) -> None:
        machines.end(instance, LocalBackend.reboot)
        reboot(instance)

    for owner, name, change in (
        (InstanceBackend, "run_instances", launched),
        (Instance, "start", started),
        (Instance, "stop", stopped),
        (Instance, "terminate", terminated),
        (Instance, "reboot", rebooted),
    ):
        setattr(owner, name, change)
