"""What makes clusters for a backend."""

from __future__ import annotations

from dust.backend import Backend
from dust.backends.ec2 import Ec2Backend
from dust.backends.local import LocalBackend
from dust.errors import BackendError
from dust.stack import Stacks


def stacks_of(backend: Backend) -> Stacks:
    """The clusters of a backend that can make some. Raises `BackendError` for another."""
    if isinstance(backend, LocalBackend):
        from dust.backends.localstacks import LocalStacks  # only what is used

        return LocalStacks(backend)
    if isinstance(backend, Ec2Backend):
        from dust.backends.ec2stacks import Ec2Stacks

        return Ec2Stacks(backend.cloud, backend.label, changing=backend.forget)
    raise BackendError(f"{backend.label} makes no clusters: `--backend ec2` and `local` do")
