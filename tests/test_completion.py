"""What may follow what is typed."""

from __future__ import annotations

from pathlib import Path

import pytest
from recording import Recorder, node

from dust.completion import complete

NODES = [
    node("master", cluster="slurm1", tags={"env": "dev", "Name": "my node"}),
    node("my node", cluster="web test"),
    node("a=b:c*"),
    node("it's"),
    node("-rf"),
]


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("@ma", ["@master"]),
        ("@my", ["@'my node'"]),
        ("@'my n", ["@'my node'"]),
        ("@it", ['@"it\'s"']),
        ("@-", ["@'-rf'"]),
        ("@master,a", ["@master,'a=b:c*'"]),
        ("@slurm1&m", ["@slurm1&master", "@slurm1&'my node'"]),
        ("show -v my", ["show -v 'my node'"]),
        ("stop 'my n", ["stop 'my node'"]),
        ("stop name=my", ["stop name='my node'"]),
        ("stop tags=Na", ["stop tags='Name:my node'"]),
        ("use s", ["use slurm1"]),
        ("use w", ["use web test"]),
        ("@%un", ["@%unreachable"]),
        ("@master,%ti", ["@master,%timeout"]),
        ("@master ech", []),
        ("stop --d", ["stop --dry-run"]),
    ],
)
def test_complete(typed: str, found: list[str], tmp_path: Path) -> None:
    dust = Recorder(NODES, tmp_path)
    dust.cluster.nodes()
    start, words = complete(typed, dust.registry, dust.cluster)
    assert [typed[:start] + word for word in words] == found


def test_what_completes_a_target_selects_it(tmp_path: Path) -> None:
    dust = Recorder(NODES, tmp_path)
    dust.cluster.nodes()
    start, words = complete("@", dust.registry, dust.cluster)
    names = {each.name for word in words for each in dust.select(word)}
    assert names == {each.name for each in NODES}
