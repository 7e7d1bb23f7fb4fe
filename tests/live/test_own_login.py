"""ssh is the user's own: who logs in and by what, in sessions, in dust-at and in copies."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from dust.backends.local import LocalBackend
from live.ownssh import WAYS, Place, begun, configured, keygen, new_key

PASSPHRASE = "open sesame"
#: Nodes that let in a password alone.
BY_PASSWORD = "AuthenticationMethods password\nPasswordAuthentication yes\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The key of those who sign keys."""
    return new_key(tmp_path_factory.mktemp("authority") / "ca")


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory, authority: Path) -> Iterator[LocalBackend]:
    root = tmp_path_factory.mktemp("own") / "local"
    signs = f'TrustedUserCAKeys "{authority}.pub"\n'
    signed = f'HostCertificate "{authority.parent}/host-cert.pub"\n'
    lines = {"n1": signs + signed, "n3": BY_PASSWORD, "n4": BY_PASSWORD}
    with configured(lines), begun(root, "n1", "n2", "n3", "n4") as backend:
        (node,) = [node for node in backend.nodes() if node.name == "n1"]
        key = Path(node.details["home"]).parent / "sshd" / "host_key.pub"
        sign(authority, key, "web1", authority.parent / "host-cert.pub", "-h")
        backend.reboot([node.id])
        yield backend


ways = pytest.mark.parametrize("way", WAYS)


def sign(authority: Path, key: Path, whom: str, certificate: Path, *more: str) -> None:
    """Have the authority certify that a key is somebody's; the certificate is put there."""
    copy = certificate.with_name("signed.pub")
    shutil.copy(key, copy)
    keygen("-s", authority, "-I", "test", "-n", whom, *more, copy)
    copy.with_name("signed-cert.pub").rename(certificate)


# --- certificates


@ways
def test_a_certificate_lets_in(place: Place, authority: Path, way: str) -> None:
    key = new_key(place.here / "key")
    me = pwd.getpwuid(os.geteuid()).pw_name
    sign(authority, key.with_suffix(".pub"), me, place.here / "mine")
    text = f"Host web1\n{place.at('n1')}{place.login(key)}"
    place.configure(text)
    assert "Permission denied" in place.refused(way, "web1")
    place.configure(f"{text}  CertificateFile {place.here}/mine\n")
    place.reach(way, "web1")


@ways
def test_a_host_is_known_by_its_certificate(place: Place, authority: Path, way: str) -> None:
    text = f"Host web1\n  HostKeyAlias web1\n{place.at('n1')}{place.login()}"
    place.configure(text)
    place.known.write_text("")
    assert "host key" in place.refused(way, "web1")
    public = authority.with_suffix(".pub").read_text()
    place.known.write_text(f"@cert-authority web* {public}")
    place.reach(way, "web1")


# --- keys that somebody keeps


@pytest.fixture
def agent(place: Place) -> Iterator[Path]:
    """The socket of an agent that alone has a key which n1 takes."""
    with TemporaryDirectory(prefix="a") as folder:
        path = Path(folder) / "agent"
        process = subprocess.Popen(
            ["ssh-agent", "-D", "-a", path], stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout and process.stdout.readline()  # it listens
            key = new_key(place.here / "key")
            env = {**os.environ, "SSH_AUTH_SOCK": str(path)}
            subprocess.run(["ssh-add", "-q", key], env=env, check=True)
            key.unlink()
            admit(place, key.with_suffix(".pub"), "n1")
            yield path
        finally:
            process.terminate()
            process.wait()


def admit(place: Place, public: Path, *names: str) -> None:
    """Have nodes take a further key."""
    for name in names:
        with (place.sshd(name) / "authorized_keys").open("a") as file:
            file.write(public.read_text())


@ways
def test_an_agent_logs_in(place: Place, agent: Path, way: str) -> None:
    place.configure(f"Host web1\n{place.at('n1')}  IdentityFile none\n")
    assert "Permission denied" in place.refused(way, "web1")
    place.env["SSH_AUTH_SOCK"] = str(agent)
    place.reach(way, "web1")


@ways
def test_an_agent_of_the_configuration_logs_in(place: Place, agent: Path, way: str) -> None:
    place.configure(f"Host web1\n{place.at('n1')}  IdentityFile none\n  IdentityAgent {agent}\n")
    place.reach(way, "web1")


# --- what is asked


def program(place: Place, *answers: str) -> Path:
    """Have a program answer for the user, the last answer for ever; returns where it writes down
    what it was asked.
    """
    path, asked = place.here / "answers.sh", place.here / "asked"
    said = "".join(f"{at}) echo '{answer}';;\n" for at, answer in enumerate(answers, 1))
    path.write_text(
        f'#!/bin/sh\necho "$1" | head -n 1 >>{asked}\n'
        f"case $(grep -c . {asked}) in\n{said}*) echo '{answers[-1]}';;\nesac\n"
    )
    path.chmod(0o700)
    asked.write_text("")
    place.env |= {"SSH_ASKPASS": str(path), "SSH_ASKPASS_REQUIRE": "force"}
    return asked


def times(asked: Path) -> int:
    """How often a program was asked."""
    return len(asked.read_text().splitlines())


def all_reached(place: Place, way: str, target: str, count: int) -> str:
    """Go to several hosts at once; returns what was said, or raises AssertionError with it."""
    (place.here / "file").write_text("text\n")
    calls = {
        "shell": ("dust", "-c", f"@{target} echo in"),
        "dust-at": ("dust-at", target, "echo in"),
        "copy": ("dust", "-c", f"put file {target}"),
    }
    program, *words = calls[way]
    done = place.call(program, *words)
    came = f"{count} files to" in done.stdout if way == "copy" else done.stdout.count("] in")
    assert done.returncode == 0 and came in (True, count), done.stdout
    return done.stdout


@pytest.fixture
def locked(place: Place) -> str:
    """The lines of web1 and web2, which take a key that has a passphrase."""
    key = place.here / "locked"
    keygen("-t", "ed25519", "-N", PASSPHRASE, "-f", key)
    admit(place, key.with_suffix(".pub"), "n1", "n2")
    return (
        f"Host web1\n{place.at('n1')}Host web2\n{place.at('n2')}"
        f"Host *\n  BatchMode no\n{place.login(key)}"
    )


@ways
def test_a_passphrase_is_asked_once_for_all(place: Place, locked: str, way: str) -> None:
    place.configure(locked)
    asked = program(place, PASSPHRASE)
    assert PASSPHRASE not in all_reached(place, way, "web*", 2)
    assert times(asked) == 1


@ways
def test_a_wrong_passphrase_is_asked_again(place: Place, locked: str, way: str) -> None:
    place.configure(locked)
    asked = program(place, "no", PASSPHRASE)
    all_reached(place, way, "web*", 2)
    assert times(asked) == 2


@ways
def test_a_passphrase_that_is_always_wrong_comes_to_an_end(
    place: Place, locked: str, way: str
) -> None:
    place.configure(f"{locked}  NumberOfPasswordPrompts 2\n")
    program(place, "no")
    assert "Permission denied" in place.refused(way, "web1")


@ways
def test_a_passphrase_of_the_way_and_of_the_end_is_one(place: Place, locked: str, way: str) -> None:
    place.configure(f"Host web1\n  ProxyJump web2\n{locked}")
    asked = program(place, PASSPHRASE)
    place.reach(way, "web1")
    assert times(asked) == (2 if way == "copy" else 1)  # there and back are two copies


@ways
def test_nobody_to_be_asked_is_said(place: Place, locked: str, way: str) -> None:
    place.configure(locked)
    said = place.refused(way, "web1")
    if way == "dust-at":
        assert "Permission denied" in said
    else:
        assert "Enter passphrase for key" in said
        assert "there is no terminal to ask on" in said


@ways
def test_batch_mode_asks_nothing(place: Place, locked: str, way: str) -> None:
    place.configure(f"BatchMode yes\n{locked}")
    asked = program(place, PASSPHRASE)
    assert "Permission denied" in place.refused(way, "web1")
    assert asked.read_text() == ""


# --- passwords


@pytest.fixture(scope="module")
def stranger() -> Iterator[tuple[str, str]]:
    """An account of this machine and its password."""
    if os.geteuid() != 0 or not shutil.which("useradd") or not shutil.which("chpasswd"):
        pytest.skip("only root can make an account that has a password")
    name, password = f"dust-test-{os.getpid()}", os.urandom(9).hex()
    with TemporaryDirectory(prefix="d") as home:
        os.chmod(home, 0o755)
        subprocess.run(["useradd", "-M", "-d", f"{home}/in", "-s", "/bin/sh", name], check=True)
        try:
            subprocess.run(["chpasswd"], input=f"{name}:{password}", text=True, check=True)
            account = pwd.getpwnam(name)
            os.mkdir(f"{home}/in")
            os.chown(f"{home}/in", account.pw_uid, account.pw_gid)
            yield name, password
        finally:
            subprocess.run(["userdel", name], check=True, stderr=subprocess.DEVNULL)


@pytest.fixture
def by_password(place: Place, stranger: tuple[str, str]) -> str:
    """Configures web3 and web4, which ask for a password; returns it."""
    name, password = stranger
    place.configure(
        f"Host web3\n{place.at('n3')}Host web4\n{place.at('n4')}"
        f"Host *\n  BatchMode no\n  User {name}\n  PubkeyAuthentication no\n"
    )
    return password


@ways
def test_a_password_is_asked_once_for_all(place: Place, by_password: str, way: str) -> None:
    asked = program(place, by_password)
    assert by_password not in all_reached(place, way, "web*", 2)
    assert times(asked) == 1


@ways
def test_a_wrong_password_is_asked_again(place: Place, by_password: str, way: str) -> None:
    asked = program(place, "no", by_password)
    all_reached(place, way, "web*", 2)
    assert times(asked) == 2
