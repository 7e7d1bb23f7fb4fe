"""The wheel, the sdist and the editable install, each in a clean environment."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

import dust

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {"dust": "dust", "backends": "dust/backends", "plugins": "dust/plugins"}
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv*", "build", "dist", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis"
)
DIST_INFO = f"dustcluster-{dust.__version__}.dist-info"


def run(*command: str | Path, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def modules() -> set[str]:
    """Every module of the checkout, by its path in an installation."""
    return {
        f"{package}/{file.name}"
        for folder, package in PACKAGES.items()
        for file in (ROOT / folder).glob("*.py")
    }


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, since builds leave files behind."""
    path = tmp_path_factory.mktemp("source") / "a checkout"
    shutil.copytree(ROOT, path, symlinks=True, ignore=LEFT_OUT)
    return path


@pytest.fixture(scope="module")
def built(source: Path) -> Path:
    """A directory with the sdist, and with the wheel that was built from the sdist."""
    run(sys.executable, "-m", "build", "--no-isolation", cwd=source)
    return source / "dist"


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (path,) = built.glob("*.whl")
    return path


def environment(path: Path) -> Path:
    """Make an environment that has what Dust needs, but not Dust; return its site-packages."""
    run(sys.executable, "-m", "venv", "--without-pip", path, cwd=path.parent)
    (site,) = path.glob("lib/python*/site-packages")
    # Makes the packages of this Python importable. The .pth files among them are not read, so
    # an editable Dust in there is not seen.
    (site / "needs.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return site


def install(env: Path, *arguments: str | Path) -> None:
    pip: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        env / "bin" / "python",
        "install",
    ]
    run(*pip, "--quiet", "--no-index", "--no-deps", *arguments, cwd=env)


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel in it."""
    env = tmp_path_factory.mktemp("installed") / "env"
    environment(env)
    install(env, wheel)
    return env


@pytest.fixture(scope="module")
def editable(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with an editable install of the copy in it."""
    env = tmp_path_factory.mktemp("editable") / "env"
    environment(env)
    install(env, "--no-build-isolation", "--editable", source)
    return env


@pytest.fixture(params=["installed", "editable"])
def env(request: pytest.FixtureRequest) -> Path:
    path = request.getfixturevalue(request.param)
    assert isinstance(path, Path)
    return path


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        return Parser().parsestr(archive.read(f"{DIST_INFO}/METADATA").decode())


def test_wheel_has_every_module_and_no_other(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    inside = {name for name in names if not name.startswith(f"{DIST_INFO}/")}
    assert inside == modules() | {"dust/py.typed"}
    assert f"{DIST_INFO}/licenses/LICENSE" in names


def test_metadata(wheel: Path) -> None:
    found = metadata(wheel)
    assert found["Name"] == "dustcluster"
    assert found["Version"] == dust.__version__
    assert found["License-Expression"] == "Apache-2.0"
    assert found["Requires-Python"] == ">=3.10"
    assert found["Provides-Extra"] == "test"


def test_dependencies_are_bounded_below(wheel: Path) -> None:
    needs = metadata(wheel).get_all("Requires-Dist", [])
    ordinary = {re.split(r"[^\w-]", need)[0] for need in needs if "extra ==" not in need}
    assert ordinary == {
        "boto3",
        "docopt-ng",
        "pexpect",
        "prompt_toolkit",
        "PyYAML",
        "tabulate",
    }
    assert [need for need in needs if ">=" not in need] == []


def test_sdist_has_what_a_build_needs(built: Path) -> None:
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    sources = {
        f"{folder}/{file.name}" for folder in PACKAGES for file in (ROOT / folder).glob("*.py")
    }
    wanted = {
        "CHANGELOG.md",
        "LICENSE",
        "README.md",
        "dust/py.typed",
        "pyproject.toml",
        "setup.cfg",
    }
    assert sources | wanted <= names
    # Each module once: not by the links in dust/ too.
    assert {name for name in names if name.endswith(".py")} == sources


@pytest.mark.parametrize("name", ["dust", "dust-at"])
def test_commands_run(env: Path, name: str) -> None:
    assert run(env / "bin" / name, "--version", cwd=env) == f"{name} {dust.__version__}\n"


def test_modules_import_from_where_they_were_installed(env: Path, source: Path) -> None:
    code = (
        "import dust.backends.local as b, dust.plugins as p; print(b.__file__); print(p.__file__)"
    )
    files = run(env / "bin" / "python", "-c", code, cwd=env).splitlines()
    root = source if env.parent.name.startswith("editable") else env
    assert [Path(file).is_relative_to(root) for file in files] == [True, True]


def test_no_bare_names(env: Path) -> None:
    code = "import importlib.util as u; print([u.find_spec(n) for n in ('backends', 'plugins')])"
    assert run(env / "bin" / "python", "-c", code, cwd=env) == "[None, None]\n"
    (site,) = env.glob("lib/python*/site-packages")
    assert not [path for path in site.iterdir() if path.name in ("backends", "plugins")]


def test_start_up_imports_no_cloud_library(installed: Path) -> None:
    code = "import sys, dust.cli, dust.at; print(sorted({'boto3', 'botocore'} & set(sys.modules)))"
    assert run(installed / "bin" / "python", "-c", code, cwd=installed) == "[]\n"
