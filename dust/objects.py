"""The results of a run as JSON, an object for each node."""

from __future__ import annotations

import json
from collections.abc import Callable

from dust.node import Node
from dust.report import Bytes
from dust.run import KEPT_EACH, Result, Run, Transcript


class Objects(Bytes):
    """One JSON object a line for each node, as it ends; this takes standard error, Kept the rest.

    Output that is no UTF-8 is there twice: as text that says so (U+FFFD), and whole in base64.
    """

    def __init__(self, run: Run, name: Callable[[Node], str]) -> None:
        super().__init__(1)
        self._name = name
        self._errors = {id: Transcript(KEPT_EACH, whole=True) for id in run.results}

    def write(self, result: Result, data: bytes) -> None:
        """Keep what came on standard error."""
        self._errors[result.node.id].append(data)

    def ended(self, result: Result) -> None:
        """Gather its object."""
        text = json.dumps(
            {
                "node": self._name(result.node),
                "status": None if result.error else result.status,
                **_texts("stdout", result.transcript.data()),
                **_texts("stderr", self._errors.pop(result.node.id).data()),
                "seconds": None if result.seconds is None else round(result.seconds, 3),
                "error": result.error,
            }
        )
        self.add(result.node, f"{text}\n".encode())


def _texts(key: str, data: bytes) -> dict[str, str]:
    try:
        return {key: data.decode()}
    except UnicodeDecodeError:
        from base64 import b64encode  # most output is text

        whole = b64encode(data).decode()
        return {key: data.decode("utf-8", "replace"), f"{key}_base64": whole}
