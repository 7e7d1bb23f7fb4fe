"""ssh is the user's own: which hosts it trusts, in sessions, in dust-at and in copies."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dust.backends.local import LocalBackend
from live.ownssh import WAYS, Place, begun, new_key


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBackend]:
    with begun(tmp_path_factory.mktemp("own") / "local", "n1", "n2") as backend:
        yield backend


ways = pytest.mark.parametrize("way", WAYS)


def configure(place: Place, policy: str) -> None:
    """web1 and web2 under that policy for hosts that are not known."""
    checked = f"  StrictHostKeyChecking {policy}\n" if policy else ""
    place.configure(
        f"Host web1\n{place.at('n1')}Host web2\n{place.at('n2')}"
        f"Host *\n{place.login()}{checked}  BatchMode no\n"
    )


def typed(said: str) -> list[str]:
    """The line that somebody is told to type."""
    line = said.partition("right: ")[2].partition("\n")[0]
    return shlex.split(line.rpartition(")")[0])


# --- a key that has changed


@ways
@pytest.mark.parametrize("policy", ["yes", "accept-new"])
def test_a_changed_key_is_refused_with_the_line_to_type(
    place: Place, way: str, policy: str
) -> None:
    place.known = place.here / "known $(touch x)"
    other = new_key(place.here / "other").with_suffix(".pub").read_text()
    rest = place.line("n2")
    place.known.write_text(f"{place.known_as('n1')} {other}{rest}\n")
    configure(place, policy)
    said = place.refused(way, "web1")
    assert f"it has changed; the key known so far is in {place.known}:1" in said
    subprocess.run(typed(said), check=True, capture_output=True, cwd=place.here)
    assert place.known.read_text().splitlines() == [rest]
    if policy == "accept-new":
        place.reach(way, "web1")
    assert not (place.here / "x").exists()


@ways
def test_the_changed_key_of_a_jump_is_named(place: Place, way: str) -> None:
    other = new_key(place.here / "other").with_suffix(".pub").read_text()
    place.known.write_text(f"{place.known_as('n2')} {other}{place.line('n1')}\n")
    place.configure(
        f"Host bastion\n{place.at('n2')}Host web1\n  ProxyJump bastion\n{place.at('n1')}"
        f"Host *\n{place.login()}"
    )
    assert typed(place.refused(way, "web1"))[-1] == place.known_as("n2")


# --- a key that is not known


@ways
def test_an_unknown_key_is_refused_if_the_user_has_it_so(place: Place, way: str) -> None:
    place.known.write_text("")
    configure(place, "yes")
    assert "No ED25519 host key is known for" in place.refused(way, "web1")
    assert place.known.read_text() == ""


@ways
@pytest.mark.parametrize("policy", ["accept-new", "no"])
def test_an_unknown_key_is_taken_if_the_user_has_it_so(place: Place, way: str, policy: str) -> None:
    place.known.write_text("")
    configure(place, policy)
    place.reach(way, "web1")
    assert place.known.read_text().startswith(f"{place.known_as('n1')} ")


@ways
@pytest.mark.parametrize("answer", ["yes", "no"])
def test_an_unknown_key_is_asked_about_if_the_user_has_it_so(
    place: Place, way: str, answer: str
) -> None:
    place.known.write_text("")
    configure(place, "ask")
    program, asked = place.here / "answers.sh", place.here / "asked"
    program.write_text(f'#!/bin/sh\necho "$1" >>{asked}\necho {answer}\n')
    program.chmod(0o700)
    place.env |= {"SSH_ASKPASS": str(program), "SSH_ASKPASS_REQUIRE": "force"}
    if answer == "yes":
        place.reach(way, "web1")
    else:
        assert "host key" in place.refused(way, "web1")
    assert "SHA256:" in asked.read_text()
    assert bool(place.known.read_text()) == (answer == "yes")


@ways
def test_an_unknown_key_is_not_taken_without_an_answer(place: Place, way: str) -> None:
    place.known.write_text("")
    configure(place, "ask")
    place.refused(way, "web1")
    assert place.known.read_text() == ""


# --- nodes that Dust makes itself


@pytest.fixture
def own(tmp_path: Path) -> Iterator[tuple[Place, LocalBackend]]:
    """A home with a node of its own, and a file that stands for the user's known hosts."""
    home = tmp_path / "home"
    with begun(home / "local", "n1") as backend:
        place = Place(tmp_path, home, backend.nodes())
        yield place, backend


def local(place: Place, way: str) -> str:
    """Go that way to a node by its own name, and return what was said."""
    (place.here / "file").write_text("text\n")
    calls = {
        "shell": ("dust", "-c", "@n1 echo in"),
        "dust-at": ("dust-at", "n1", "echo in"),
        "copy": ("dust", "-c", "put file n1"),
    }
    program, *words = calls[way]
    done = place.call(program, *words, config=False)
    assert ("[n1] in" in done.stdout or "1 file to n1" in done.stdout) == (not done.returncode)
    return "" if done.returncode == 0 else done.stdout


@ways
def test_a_node_is_known_by_its_id(own: tuple[Place, LocalBackend], way: str) -> None:
    place, backend = own
    known = place.home / "local" / "known_hosts"
    (first,) = backend.nodes()
    assert local(place, way) == ""
    assert known.read_text().split()[0] == first.id
    backend.terminate([first.id])
    backend.create(["n1"])
    (second,) = backend.nodes()
    assert second.ip == first.ip
    assert local(place, way) == ""  # another node at the address of the first
    assert second.id in [line.split()[0] for line in known.read_text().splitlines()]


@ways
def test_another_key_of_the_same_node_is_an_alarm(
    own: tuple[Place, LocalBackend], way: str
) -> None:
    place, backend = own
    assert local(place, way) == ""
    (node,) = backend.nodes()
    other = new_key(place.here / "other")
    for end in ("", ".pub"):
        shutil.copy(f"{other}{end}", place.sshd("n1") / f"host_key{end}")
    backend.reboot([node.id])
    said = local(place, way)
    assert "it has changed" in said
    assert typed(said)[-1] == node.id
    subprocess.run(typed(said), check=True, capture_output=True)
    assert local(place, way) == ""
