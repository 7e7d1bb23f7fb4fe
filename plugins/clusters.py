"""cluster - clusters made whole from a spec, and removed whole."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from dust.command import Dust, UsageError, command
from dust.errors import AbsentError, Interrupted
from dust.nodeset import fold
from dust.run import INTERRUPTED

if TYPE_CHECKING:
    from dust.backend import Backend
    from dust.clusterspec import Spec
    from dust.stack import Follow, Stack

#: Seconds for which nodes may boot until ssh answers, and between the first two tries.
PATIENCE, PAUSE = 300.0, 5.0


@command
def cluster(
    dust: Dust,
    new: bool = False,
    create: bool = False,
    status: bool = False,
    list: bool = False,
    delete: bool = False,
    y: bool = False,
    no_wait: bool = False,
    file: str = "",
    cluster: str = "",
) -> None:
    """Make a cluster from a spec, follow it, list all, remove it.

    A spec is a file in YAML, which `cluster new` asks for and writes:

      cloud:   {provider: ec2, region: us-east-1}    # region: closest measures and picks
      cluster: {name: slurm1, use_placement_group: yes, spot: yes, max_price: 0.05}
      nodes:
      - {nodename: master, instance_type: c7i.large, spot: no}
      - {nodename: worker, instance_type: c7i.xlarge, count: 4}

    Also for the cluster or a group of nodes: image (ubuntu, amazon-linux, a name or an id),
    username, key, volume (GiB), user_data, tags, subnet_id; for the cluster vpc_id, create_vpc,
    allow_ssh_from. With `provider: local` the nodes are made on this machine.

    On EC2 it is one CloudFormation stack, made whole or rolled back. A cluster that names no key
    gets one of its own, in keys/ of Dust's folder. `delete` removes all that `create` made.

    Usage: cluster new [<file>]
           cluster create [-y] [--no-wait] <file>
           cluster status [--no-wait] [<cluster>]
           cluster list
           cluster delete [-y] [--no-wait] <cluster>

    Options:
      -y         do not ask
      --no-wait  do not follow it until it is there and ssh answers, or gone

    Examples:
      cluster create slurm1.yaml
      cluster status slurm1
      cluster delete slurm1
    """
    if new:
        _new(dust, file)
    elif create:
        _create(dust, Path(os.path.expanduser(file)), y, not no_wait)
    elif status:
        _status(dust, cluster or _in_use(dust), not no_wait)
    elif list:
        _list(dust)
    else:
        _delete(dust, cluster, y, not no_wait)


class _Following:
    """Follows a cluster to its end, as long as somebody waits for it."""

    def __init__(self, doing: str, wait: bool) -> None:
        self.wait = wait
        self._doing = doing
        self._stack: Stack | None = None
        self._begun = time.monotonic()

    def __call__(self, stack: Stack) -> bool:
        self._stack = stack
        return self.wait

    def progress(self) -> str:
        """How far it is by now: how many parts are there, and which are on their way."""
        parts = self._stack.parts if self._stack else ()
        under_way = [part.name for part in parts if part.state.endswith("in progress")]
        there = sum(part.state == "create complete" for part in parts)
        told = [f"{self._doing}: {there} parts" if parts else f"{self._doing} ..."]
        told += [f"now {fold(under_way)}"] if under_way else []
        return ", ".join([*told, f"{time.monotonic() - self._begun:.0f} s"])


def _followed(
    dust: Dust, doing: str, name: str, wait: bool, work: Callable[[Follow], Stack]
) -> Stack:
    if not dust.backend.region:  # it is this machine, which is quick
        return work(lambda stack: True)
    following = _Following(f"{doing} {name}", wait)
    try:
        return dust.aside(lambda: work(following), following.progress)
    except Interrupted:
        dust.error(f"{name} is no longer followed; `cluster status {name}` goes on")
        raise
    finally:
        following.wait = False


def _create(dust: Dust, path: Path, yes: bool, wait: bool) -> None:
    from dust.backends.stacks import stacks_of
    from dust.specfile import read  # only what is used

    spec = read(path)
    backend = _where(dust, spec)
    stacks = stacks_of(backend)
    plan = dust.aside(lambda: stacks.plan(spec), lambda: f"checking {spec.name} ...")
    dust.table(plan.rows, headers=plan.headers)
    for remark in plan.remarks:
        dust.print(remark)
    count = len(spec.names)
    nodes = f"{count} node{'' if count == 1 else 's'}"
    if not yes and not dust.ask(f"make the cluster {spec.name}, {nodes}, in {stacks.label}?"):
        dust.error("cluster: nothing was made")
        return
    stack = _followed(dust, "making", spec.name, wait, lambda f: stacks.create(plan, f))
    if backend is dust.backend:
        dust.cluster.update()
    _report(dust, stack)
    if backend is not dust.backend:
        dust.print(f"`use {backend.region}` shows its nodes")
    elif wait and backend.region and not (stack.gone or stack.failed):
        _wait_for_ssh(dust, spec.name)


def _where(dust: Dust, spec: Spec) -> Backend:
    """The backend that a spec is for: this one, or the same in another region."""
    if spec.provider != dust.backend.name:
        raise UsageError(
            f"cluster: the spec is for {spec.provider}, and this is {dust.backend.label}: "
            f"start `dust --backend {spec.provider}` for it"
        )
    region = spec.region if dust.backend.region else ""
    if region == "closest":
        region = _closest(dust)
    if region in ("", dust.backend.region):
        return dust.backend
    if region not in (known := dust.aside(dust.backend.regions)):
        close = get_close_matches(region, known, 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise UsageError(f"cluster: no region {region}{hint}")
    return dust.backend.elsewhere(region)


def _closest(dust: Dust) -> str:
    from dust.backends.ec2 import cloud_of
    from dust.backends.ec2closest import closest

    cloud = cloud_of(dust.backend, "regions")
    region = dust.aside(lambda: closest(cloud), lambda: "measuring which region is closest ...")
    dust.print(f"closest region: {region}")
    return region


def _wait_for_ssh(dust: Dust, name: str) -> None:
    """Open a session on each node, again and again while they boot."""
    dust.print(f"{name}: waiting for ssh to answer; Ctrl-C ends waiting")
    before, dust.cluster.working_set = dust.cluster.working_set, ""
    begun, pause = time.monotonic(), PAUSE
    try:
        while late := [r for r in dust.run(f"cluster={name}", ":") if not r.ok]:
            if any(result.state == INTERRUPTED for result in late):
                raise Interrupted
            if time.monotonic() - begun > PATIENCE:
                break
            dust.aside(partial(time.sleep, pause), lambda: f"{name}: waiting for ssh ...")
            pause = min(6 * PAUSE, pause * 2)
    finally:
        dust.cluster.working_set = before
    for result in late:
        dust.error(f"{dust.cluster.label(result.node)}: ssh does not answer: {result.error}")
    if not late:
        dust.print(f"{name}: ssh answers on all nodes")


def _new(dust: Dust, file: str) -> None:
    from dust.config import write_whole
    from dust.specfile import parse

    name = _asked(dust, "Name of the cluster", "cluster1")
    cloud, kind = f"provider: {dust.backend.name}", ""
    if dust.backend.region:
        cloud += f", region: {_asked(dust, 'Region, or `closest`', dust.backend.region)}"
        kind = f", instance_type: {_asked(dust, 'Instance type', 't3.small')}"
    workers = _asked(dust, "Workers beside the master", "2")
    text = (
        f"cloud:   {{{cloud}}}\ncluster: {{name: {name}}}\nnodes:\n"
        f"- {{nodename: master{kind}}}\n- {{nodename: worker{kind}, count: {workers}}}\n"
    )
    path = Path(os.path.expanduser(file or f"{name}.yaml"))
    parse(text, path)
    if os.path.lexists(path) and not dust.ask(f"{path} is there already. Replace it?"):
        dust.error("cluster: nothing was written")
        return
    write_whole(path, text, 0o644)
    dust.print(f"{path} is written: `cluster create {quote(str(path))}` makes it")


def _asked(dust: Dust, question: str, otherwise: str) -> str:
    answer = dust.ask_line(question, otherwise)
    if answer is None:
        raise Interrupted
    return answer


def _status(dust: Dust, name: str, wait: bool) -> None:
    from dust.backends.stacks import stacks_of

    stacks = stacks_of(dust.backend)
    with _assigned(dust, name):
        stack = _followed(dust, "asking for", name, wait, lambda f: stacks.status(name, f))
    _report(dust, stack)


def _in_use(dust: Dust) -> str:
    if not dust.cluster.working_set:
        raise UsageError("cluster: status of which cluster? `cluster list` has their names")
    return dust.cluster.working_set


def _list(dust: Dust) -> None:
    from dust.backends.stacks import stacks_of

    stacks = stacks_of(dust.backend)
    found = dust.aside(stacks.stacks, lambda: f"asking {stacks.label} ...")
    if not found:
        dust.print(f"no clusters in {stacks.label}")
        return
    rows = [[each.name, each.state, each.made, "dust" if each.ours else ""] for each in found]
    dust.table(rows, headers=["cluster", "state", "made", "by"])


def _delete(dust: Dust, name: str, yes: bool, wait: bool) -> None:
    from dust.backends.stacks import stacks_of

    stacks = stacks_of(dust.backend)
    with _assigned(dust, name):
        stack = dust.aside(lambda: stacks.status(name, lambda stack: False))
    if stack.gone:
        dust.print(f"{name}: gone already")
        return
    if not stack.ours:
        dust.error(f"cluster: Dust did not make {name}: remove it by what made it")
        return
    dust.table([[part.name, part.kind, part.state] for part in stack.parts])
    if not yes and not dust.ask(f"remove all of {name} in {stacks.label}, for ever?", name):
        dust.error("cluster: nothing was removed")
        return
    dust.sessions.close([node for node in dust.cluster.nodes() if node.cluster == name])
    stack = _followed(dust, "removing", name, wait, lambda f: stacks.delete(name, f))
    dust.cluster.update()
    if dust.cluster.working_set == name and stack.gone:
        dust.cluster.use("*")
    _report(dust, stack)


@contextmanager
def _assigned(dust: Dust, name: str) -> Iterator[None]:
    """Say of a cluster that `show` has and `create` did not make how it is removed."""
    try:
        yield
    except AbsentError as error:
        if all(name not in node.clusters for node in dust.cluster.nodes()):
            raise
        what = f"its nodes were assigned: `assign --remove {name}` forgets it"
        raise AbsentError(f"{error}; {what}") from error


def _report(dust: Dust, stack: Stack) -> None:
    """Say what a cluster is by now."""
    told = [part for part in stack.parts if part.reason] if stack.failed else stack.parts
    if told:
        dust.table([[part.name, part.kind, part.state, part.reason] for part in told])
    if stack.failed:
        dust.error(f"{stack.name}: {stack.failed}")
    else:
        dust.print(f"{stack.name}: {'gone' if stack.gone else stack.state}")
