"""cluster - clusters made whole from a spec, and removed whole."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dust.command import Dust, UsageError, command
from dust.errors import Interrupted

if TYPE_CHECKING:
    from dust.clusterspec import Spec
    from dust.stack import Follow, Stack, Stacks


@command
def cluster(
    dust: Dust,
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

    A spec is a file in YAML:

      cloud:   {provider: local}
      cluster: {name: demo1}
      nodes:
      - {nodename: master}
      - {nodename: worker, count: 4}

    Usage: cluster create [-y] [--no-wait] <file>
           cluster status [--no-wait] [<cluster>]
           cluster list
           cluster delete [-y] [--no-wait] <cluster>

    Options:
      -y         do not ask
      --no-wait  do not follow it until it is there, or gone

    Examples:
      cluster create slurm1.yaml
      cluster status slurm1
      cluster delete slurm1
    """
    if create:
        _create(dust, Path(file).expanduser(), y, not no_wait)
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
        """How far it is by now."""
        return f"{self._doing} ... {time.monotonic() - self._begun:.0f} s"


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
    from dust.specfile import read  # only what is used

    spec = read(path)
    stacks = _stacks(dust, spec)
    plan = dust.aside(lambda: stacks.plan(spec), lambda: f"checking {spec.name} ...")
    dust.table(plan.rows, headers=plan.headers)
    for remark in plan.remarks:
        dust.print(remark)
    count = len(spec.names)
    nodes = f"{count} node{'' if count == 1 else 's'}"
    if not yes and not dust.ask(f"make the cluster {spec.name}, {nodes}, in {stacks.label}?"):
        dust.error("cluster: nothing was made")
        return
    stack = _followed(dust, "making", spec.name, wait, lambda follow: stacks.create(plan, follow))
    dust.cluster.update()
    _report(dust, stack)


def _stacks(dust: Dust, spec: Spec) -> Stacks:
    from dust.backends.stacks import stacks_of

    if spec.provider != dust.backend.name:
        raise UsageError(
            f"cluster: the spec is for {spec.provider}, and this is {dust.backend.label}: "
            f"start `dust --backend {spec.provider}` for it"
        )
    return stacks_of(dust.backend)


def _status(dust: Dust, name: str, wait: bool) -> None:
    from dust.backends.stacks import stacks_of

    stacks = stacks_of(dust.backend)
    _report(dust, _followed(dust, "asking for", name, wait, lambda f: stacks.status(name, f)))


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
    stack = dust.aside(lambda: stacks.status(name, lambda stack: False))
    dust.table([[part.name, part.kind, part.state] for part in stack.parts])
    if not yes and not dust.ask(f"remove all of {name} in {stacks.label}, for ever?", name):
        dust.error("cluster: nothing was removed")
        return
    stack = _followed(dust, "removing", name, wait, lambda f: stacks.delete(name, f))
    dust.cluster.update()
    if dust.cluster.working_set == name and stack.gone:
        dust.cluster.use("*")
    _report(dust, stack)


def _report(dust: Dust, stack: Stack) -> None:
    """Say what a cluster is by now."""
    told = [part for part in stack.parts if part.reason] if stack.failed else stack.parts
    if told:
        dust.table([[part.name, part.kind, part.state, part.reason] for part in told])
    if stack.failed:
        dust.error(f"{stack.name}: {stack.failed}")
    else:
        dust.print(f"{stack.name}: {'gone' if stack.gone else stack.state}")
