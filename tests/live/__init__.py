"""Tests of sessions on real nodes: sshd processes of this machine."""
