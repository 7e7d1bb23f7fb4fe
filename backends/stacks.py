"""What makes clusters for a backend."""

from __future__ import annotations

from dust.backend import Backend
from dust.backends.local import LocalBackend
from dust.errors import BackendError
from dust.stack import Stacks


def stacks_of(backend: Backend) -> Stacks:
    """The clusters of a backend that can make some. Raises `BackendError` for another."""
    if isinstance(backend, LocalBackend):
        from dust.backends.localstacks import LocalStacks  # only what is used

        return LocalStacks(backend)
    raise BackendError(f"{backend.label} makes no clusters: `--backend local` does")
