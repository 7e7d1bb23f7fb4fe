"""What the README prints works as printed."""

from __future__ import annotations

import re
from pathlib import Path

from conftest import ROOT, Start
from screen import Screen

README = (ROOT / "README.md").read_text()


def block(after: str, language: str = "") -> str:
    """The first block of code after a text."""
    found = re.search(rf"{re.escape(after)}.*?```{language}\n(.*?)```", README, re.S)
    assert found, after
    return found[1]


def settled(screen: Screen, typed: str = "") -> None:
    """Wait until what was typed stands there, the prompt is below it and nothing runs."""
    prompt = re.compile(r"dust:local( \d+ (ready|down))*\$")
    screen.wait_for(f"$ {typed}" if typed else "$")
    screen.wait(lambda text: prompt.fullmatch(text.rpartition("\n")[2].strip()))


def test_the_tour(dust: Start) -> None:
    screen = dust(rows=100, columns=120)
    settled(screen)
    done, before = 0, ""
    for line in block("Within `bin/demo`:").splitlines():
        typed = line.partition(" #")[0].strip()
        screen.line(line)
        if "sleep" in typed:
            screen.wait_for("2 busy")
            done += 1
            continue
        elif typed == "interrupt":
            screen.wait_for("worker[1-2]: exit 130")
        elif typed == "board":
            before = screen.text  # the other screen of a terminal is none of pyte's
            screen.wait_for("q leave")
            screen.send("q")
            settled(screen)
            done += 1
            continue
        elif typed == "@worker1":
            screen.wait(lambda text: re.search(r"worker1:/tmp[#$]$", text))
            screen.send("\x03\x03\x03")
            screen.wait_for("left as it is")
        elif typed.startswith(("stop", "start")):
            screen.wait(lambda text: text.endswith("[y/N]"))
            screen.line("y")
        elif typed == "exit":
            assert screen.wait_for_end() == 0
            break
        settled(screen, typed)
        done += 1
    text = before + screen.text
    assert done >= 18
    assert "dust: " not in text
    for seen in (
        "[worker1] /tmp",
        "[worker2] not the master",
        "[worker1] worker1 is 1 of 3",
        "worker1: exit 1",
        "master,worker[1-2] (3)",
    ):
        assert seen in text, seen


def test_the_plugin(dust: Start, home: Path) -> None:
    folder = home / "plugins"
    folder.mkdir(exist_ok=True)
    plugin = folder / "df.py"
    source = block("## Writing a plugin", "python")
    assert len(source.splitlines()) <= 13
    plugin.write_text(source)
    try:
        screen = dust()
        settled(screen)
        screen.line("df worker*")
        settled(screen, "df worker*")
        assert re.search(r"node +free\nworker1 +\S+\nworker2 +\S+\n", screen.text)
        screen.line("help df")
        screen.wait_for("Show the free space of each node.")
        plugin.write_text(source.replace('"free"', '"unused"'))
        screen.line("reload")
        settled(screen, "reload")
        screen.line("df")
        screen.wait_for("unused")
    finally:
        plugin.unlink()


def test_the_plugin_that_copies(dust: Start, home: Path, tmp_path: Path) -> None:
    folder = home / "plugins"
    folder.mkdir(exist_ok=True)
    plugin = folder / "release.py"
    plugin.write_text(block("`dust.put(files, target, directory)`", "python"))
    try:
        screen = dust(columns=160)
        settled(screen)
        screen.line(f"cd {tmp_path}")
        settled(screen, f"cd {tmp_path}")
        screen.line("release worker*")
        settled(screen, "release worker*")
        first = Path("/etc/os-release").read_text().splitlines()[0]
        assert f"worker1: {first}\nworker2: {first}\n" in screen.text
        plugin.write_text(plugin.read_text().replace("/usr/lib/", "/nowhere/"))
        screen.line("reload")
        settled(screen, "reload")
        screen.line("release worker*")
        screen.wait_for("worker2: /nowhere/os-release: no such file or directory")
    finally:
        plugin.unlink()


def test_the_configuration_is_valid(tmp_path: Path) -> None:
    from dust.config import load

    path = tmp_path / "config.yaml"
    path.write_text(block("## Configuration", "yaml"))
    settings, problems = load(path)
    assert problems == []
    assert (settings.backend, settings.fanout, settings.output) == ("ssh", 32, "fold")
