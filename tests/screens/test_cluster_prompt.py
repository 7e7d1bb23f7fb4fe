"""cluster create at the prompt, with nodes that ssh never reaches."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import _cloud  # noqa: F401  (it adds to moto)
import pytest
from cloud import account, serving
from conftest import ROOT
from screen import Screen

SPEC = """\
cloud: {provider: ec2}
cluster: {name: slurm1}
nodes:
- {nodename: worker, instance_type: t3.nano, count: 2}
"""


def test_ctrl_c_ends_waiting_for_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ssh_config").write_text("Host *\n  ProxyCommand sleep 600\n")
    (tmp_path / "slurm1.yaml").write_text(SPEC)
    argv = [sys.executable, str(ROOT / "bin" / "dust"), "--backend", "ec2", "-F"]
    with serving() as endpoint:
        account(monkeypatch, endpoint, tmp_path)
        env = {**os.environ, "AWS_REGION": "us-east-1"}
        with Screen([*argv, str(tmp_path / "ssh_config")], env, 40, 150) as screen:
            screen.wait_for("dust:ec2 us-east-1$")
            screen.line(f"cluster create {tmp_path}/slurm1.yaml")
            screen.wait_for("[y/N]")
            screen.line("y")
            # said while it waits, not after
            text = screen.wait_for("slurm1: waiting for ssh to answer; Ctrl-C ends waiting")
            assert "slurm1: create complete" in text
            assert "timed out" not in text
            screen.send("\x03")
            screen.wait_for("interrupted")
            screen.line("cluster list")
            text = screen.wait_for("made")
            assert "does not answer" not in text
            screen.line("exit")
            screen.wait_for_end()
