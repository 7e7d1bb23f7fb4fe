"""Nodes with names of any characters, as instances have them, on a real sshd."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dust.backends import ec2kept
from dust.backends.local import LocalBackend

DUST = Path(__file__).resolve().parents[2] / "bin" / "dust"
NAMES = [
    "my node",
    "a=b:c*",
    "\N{PILE OF POO}",
    "two\\nlines",
    "-rf",
    "-oProxyCommand=touch x",
    "root@elsewhere",
    "it's",
    "$(touch x)",
    "a,b[1-2]",
    "%h",
    "x" * 300,
]
TWIN = "twin"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home whose kept listing has one sshd under many names; what is no fact is a guess."""
    home = tmp_path_factory.mktemp("odd")
    backend = LocalBackend(home / "local")
    backend.create(["n1"])
    (node,) = backend.nodes()
    facts = dict(node.ssh)
    guessed = {key: facts.pop(key) for key in ("Port", "User")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DUST_HOME", str(home))
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        path = ec2kept.path_of("", "us-east-1")
    nodes = [
        node._replace(name=name, id=f"i-{at:017x}", backend="ec2", ssh=facts, ssh_defaults=guessed)
        for at, name in enumerate([*NAMES, TWIN, TWIN])
    ]
    ec2kept.keep(path, nodes)
    yield home
    backend.terminate([node.id])


def typed(home: Path, *lines: str) -> str:
    argv = [sys.executable, str(DUST), "--region", "us-east-1"]
    for line in lines:
        argv += ["-c", line]
    clean = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    done = subprocess.run(
        argv, cwd=home, env={**clean, "DUST_HOME": str(home)}, text=True, timeout=60,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


def quoted(name: str) -> str:
    return f'"{name}"' if "'" in name else f"'{name}'"


def test_each_is_reached_by_what_show_prints(home: Path) -> None:
    lines = [f"@{quoted(name)} echo $((40 + 2))" for name in NAMES]
    assert typed(home, *lines).splitlines() == [f"[{name}] 42" for name in NAMES]
    assert not (home / "x").exists()


def test_all_are_reached_at_once_and_told_apart(home: Path) -> None:
    said = typed(home, "@ echo $((40 + 2))").splitlines()
    ids = [f"i-{len(NAMES) + at:017x}" for at in (0, 1)]
    assert sorted(said) == sorted(f"[{n}] 42" for n in [*NAMES, *(f"twin~{id}" for id in ids)])


def test_each_is_found_by_a_filter_and_by_its_number(home: Path) -> None:
    assert typed(home, "@name='a=b:c*' echo 1", "@2 echo 2", "@id=i-*1 echo 3") == (
        "[a=b:c*] 1\n[a=b:c*] 2\n[a=b:c*] 3\n"
    )


def test_each_has_a_folder_of_its_own(home: Path) -> None:
    typed(home, "@name=my* echo text > odd-file", "get * odd-file got/")
    folders = list((home / "got").iterdir())
    assert len(folders) == len(NAMES) + 2
    assert all((folder / "odd-file").read_text() == "text\n" for folder in folders)


def test_each_can_be_assigned_and_renamed(home: Path) -> None:
    typed(home, "assign name='my node',name='-rf' odd --names web[1-2]")
    try:
        said = typed(home, "@odd echo {name}")
        assert sorted(said.splitlines()) == ["[web1] web1", "[web2] web2"]
    finally:
        (home / "clusters" / "odd.yaml").unlink()


def test_a_name_in_a_line_is_one_word(home: Path) -> None:
    names = [name for name in NAMES if not name.startswith("-")]
    lines = [f"@{quoted(name)} printf '%s\\n' {{name}}" for name in names]
    assert typed(home, *lines).splitlines() == [f"[{name}] {name}" for name in names]
    assert not (home / "x").exists()


def test_a_name_that_would_be_an_option_runs_nowhere(home: Path) -> None:
    lines = ["@ true", "@ touch ran; touch {name}", "@'my node' test -e ran || echo none"]
    argv = [sys.executable, str(DUST), "--region", "us-east-1"]
    argv += [word for line in lines for word in ("-c", line)]
    clean = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    env = {**clean, "DUST_HOME": str(home)}
    done = subprocess.run(argv, cwd=home, env=env, text=True, capture_output=True, timeout=60)
    assert done.returncode == 2
    assert "{name} is '-rf' here, which is not safe in a line of shell" in done.stderr
    assert done.stdout == "[my node] none\n"


def test_dust_at_reaches_each(home: Path) -> None:
    argv = [sys.executable, str(DUST.with_name("dust-at")), "--region", "us-east-1", "*", "echo 42"]
    clean = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    env = {**clean, "DUST_HOME": str(home)}
    done = subprocess.run(argv, cwd=home, env=env, text=True, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    said = sorted(
        line.removesuffix(": 42").removesuffix("] 42") for line in done.stdout.splitlines()
    )
    assert len(said) == len(NAMES) + 2
