import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

import dust.plugins
from dust.errors import UsageError
from dust.registry import Registry


def write(path: Path, name: str, body: str = "pass", alias: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        textwrap.dedent(f'''\
            """The {path.stem} plugin."""
            from dust.command import Dust, command

            @command(aliases={(alias,) if alias else ()!r})
            def {name.replace("-", "_")}(dust: Dust) -> None:
                """Do {name}.

                Usage: {name}
                """
                {body}
            ''')
    )
    return path


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that stands for Dust's own plugins."""
    folder = tmp_path / "own"
    folder.mkdir()
    before = dict(sys.modules)
    attributes = dict(vars(dust.plugins))
    monkeypatch.setattr(dust.plugins, "__path__", [str(folder)])
    for name in [name for name in sys.modules if name.startswith("dust.plugins.")]:
        del sys.modules[name]
    yield folder
    for name in set(sys.modules) - set(before):
        del sys.modules[name]
    sys.modules.update(before)
    for name in set(vars(dust.plugins)) - set(attributes):
        delattr(dust.plugins, name)


@pytest.fixture
def user(tmp_path: Path) -> Path:
    (tmp_path / "user").mkdir()
    return tmp_path / "user"


def loaded(folder: Path) -> Registry:
    registry = Registry(folder)
    registry.load()
    return registry


def said(registry: Registry) -> list[str]:
    return [str(problem) for problem in registry.problems]


def test_commands_of_every_source(own: Path, user: Path) -> None:
    path = write(own / "nodes.py", "show", alias="ls")
    write(user / "df.py", "df")
    registry = loaded(user)
    assert said(registry) == []
    assert list(registry.commands) == ["show", "df"]
    show = registry.find("show")
    assert (show.plugin, show.plugin_summary, show.path) == ("nodes", "The nodes plugin.", path)
    assert registry.find("ls") is show
    assert (registry.find("df").plugin, registry.find("df").path) == ("df", user / "df.py")


def test_the_home_is_where_the_users_plugins_are(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUST_HOME", str(tmp_path / "home"))
    registry = Registry()
    registry.load()
    assert registry.commands == {}
    write(tmp_path / "home/plugins/df.py", "df")
    assert registry.reload() == ["df"]
    assert list(registry.commands) == ["df"]


def test_an_unknown_command_names_the_nearest(own: Path, user: Path) -> None:
    write(own / "nodes.py", "show")
    registry = loaded(user)
    with pytest.raises(UsageError, match="no command shwo; did you mean show?"):
        registry.find("shwo")


def test_only_plain_files_are_plugins(own: Path, user: Path) -> None:
    for name in ("_a.py", ".b.py", "c.txt", "d.py~"):
        write(user / name, "x")
    write(user / "sub/e.py", "x")
    assert loaded(user).commands == {}


@pytest.mark.parametrize("name", ["os", "json", "dust", "my-plugin", "nodes"])
def test_a_users_file_never_hides_a_module(own: Path, user: Path, name: str) -> None:
    write(own / "nodes.py", "show")
    write(user / f"{name}.py", "df")
    before = sys.modules.get(name)
    registry = loaded(user)
    assert set(registry.commands) == {"show", "df"}
    assert registry.find("df").plugin == name
    assert sys.modules.get(name) is before


def test_nothing_is_written_into_the_users_folder(own: Path, user: Path) -> None:
    write(user / "df.py", "df")
    loaded(user)
    assert [path.name for path in user.iterdir()] == ["df.py"]


def test_a_dataclass_in_a_users_plugin_works(own: Path, user: Path) -> None:
    text = write(user / "df.py", "df").read_text()
    (user / "df.py").write_text(
        "from __future__ import annotations\nimport dataclasses\n"
        "@dataclasses.dataclass\nclass A:\n    a: int\n" + text
    )
    assert said(loaded(user)) == []


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("x = 1\nimport nowhere_at_all\n", 2, "ModuleNotFoundError: No module named"),
        ("\n\ndef f(:\n", 3, "SyntaxError: "),
        ("def f():\n    1 / 0\nf()\n", 2, "ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit(3)\n", 2, "SystemExit: 3"),
        ("import json\njson.loads('{')\n", 2, "JSONDecodeError: "),
        ("\0", None, ""),
        (
            "from dust.command import command\n\n@command\ndef f(dust):\n    'Do it.'\n",
            3,
            "f: its docstring has no section `Usage:`",
        ),
    ],
)
@pytest.mark.parametrize("where", ["own", "user"])
def test_a_broken_plugin_hurts_nothing_else(
    own: Path, user: Path, where: str, text: str, line: int | None, message: str
) -> None:
    folder = own if where == "own" else user
    (folder / "broken.py").write_text(text)
    write(folder / "good.py", "good")
    registry = loaded(user)
    assert list(registry.commands) == ["good"]
    (problem,) = registry.problems
    assert problem.path == folder / "broken.py"
    if line is not None:
        assert problem.line == line
    assert message in str(problem)


def test_a_user_may_replace_a_command(own: Path, user: Path) -> None:
    write(own / "nodes.py", "show", alias="ls")
    write(user / "mine.py", "show")
    registry = loaded(user)
    assert said(registry) == []
    assert registry.find("show").plugin == "mine"
    assert registry.overridden["show"].plugin == "nodes"
    with pytest.raises(UsageError):
        registry.find("ls")


def test_a_file_without_a_command_is_named(own: Path, user: Path) -> None:
    (own / "parts.py").write_text("x = 1\n")
    (user / "parts.py").write_text("x = 1\n")
    registry = loaded(user)
    assert said(registry) == [f"{user / 'parts.py'}: plugin parts: there is no command in it"]
    write(user / "parts.py", "df")
    assert registry.reload() == ["parts"]
    assert said(registry) == []


def test_a_user_may_take_over_an_alias(own: Path, user: Path) -> None:
    write(own / "nodes.py", "show", alias="ls")
    write(user / "mine.py", "ls")
    registry = loaded(user)
    assert registry.find("ls").plugin == "mine"
    assert registry.find("show").plugin == "nodes"
    assert registry.overridden == {}


@pytest.mark.parametrize("where", ["own", "user"])
def test_elsewhere_the_first_of_a_name_has_it(own: Path, user: Path, where: str) -> None:
    folder = own if where == "own" else user
    first, second = write(folder / "a.py", "show"), write(folder / "b.py", "show", alias="list")
    registry = loaded(user)
    assert registry.find("show").plugin == "a"
    assert said(registry) == [f"{second}:4: the name show is taken by {first}:4"]
    assert list(registry.commands) == ["show"]


def test_an_alias_that_is_taken_is_left_out(own: Path, user: Path) -> None:
    write(own / "a.py", "show")
    write(user / "b.py", "list", alias="show")
    registry = loaded(user)
    assert registry.find("show").plugin == "a"
    assert registry.find("list").plugin == "b"
    assert len(registry.problems) == 1


def test_a_command_imported_from_another_plugin_is_not_found_twice(own: Path, user: Path) -> None:
    write(own / "a.py", "show")
    (own / "b.py").write_text("from dust.plugins.a import show\n")
    registry = loaded(user)
    assert said(registry) == []
    assert registry.find("show").plugin == "a"


@pytest.mark.parametrize("where", ["own", "user"])
def test_reload_takes_up_what_changed(own: Path, user: Path, where: str) -> None:
    folder = own if where == "own" else user
    write(folder / "a.py", "one")
    write(folder / "b.py", "two")
    registry = loaded(user)
    kept = registry.find("two")
    assert registry.reload() == []
    write(folder / "a.py", "three")
    write(folder / "c.py", "four")
    assert sorted(registry.reload()) == ["a", "c"]
    assert set(registry.commands) == {"two", "three", "four"}
    assert registry.find("two") is kept
    (folder / "a.py").unlink()
    assert registry.reload() == ["a"]
    assert set(registry.commands) == {"two", "four"}


@pytest.mark.parametrize("where", ["own", "user"])
def test_a_change_of_the_same_size_and_second_is_seen(own: Path, user: Path, where: str) -> None:
    folder = own if where == "own" else user
    write(folder / "a.py", "one", body="print(1)")
    registry = loaded(user)
    write(folder / "a.py", "one", body="print(2)")
    registry.reload("a")
    assert 2 in registry.find("one").function.__code__.co_consts


@pytest.mark.parametrize("where", ["own", "user"])
def test_what_cannot_be_read_again_keeps_its_commands(own: Path, user: Path, where: str) -> None:
    folder = own if where == "own" else user
    write(folder / "a.py", "one")
    registry = loaded(user)
    (folder / "a.py").write_text("broken(\n")
    assert registry.reload() == ["a"]
    assert "one" in registry.commands
    assert len(registry.problems) == 1
    write(folder / "a.py", "fixed")
    assert registry.reload() == ["a"]
    assert list(registry.commands) == ["fixed"]
    assert registry.problems == []


@pytest.mark.parametrize("where", ["own", "user"])
def test_a_plugin_that_never_worked_is_read_once_it_is_mended(
    own: Path, user: Path, where: str
) -> None:
    folder = own if where == "own" else user
    (folder / "a.py").write_text("broken(\n")
    registry = loaded(user)
    assert registry.reload() == []
    write(folder / "a.py", "one")
    assert registry.reload() == ["a"]
    assert list(registry.commands) == ["one"]


def test_reload_of_one_by_name(own: Path, user: Path) -> None:
    write(user / "a.py", "one")
    registry = loaded(user)
    before = registry.find("one")
    assert registry.reload("a") == ["a"]
    assert registry.find("one") is not before
    with pytest.raises(UsageError, match="no plugin aa; did you mean a?"):
        registry.reload("aa")


def test_installed_packages_offer_plugins(
    own: Path, user: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    write(site / "dust_df_module.py", "df")
    write(site / "dust_du_module.py", "du")
    write(own / "a.py", "show")
    write(site / "dust_show_module.py", "show")
    information = site / "dust_df-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: dust-df\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(
        "[dust.plugins]\ndf = dust_df_module\ndu = dust_du_module:du\nshow = dust_show_module\n"
        "gone = dust_gone_module\nodd = dust_df_module:Dust\n"
    )
    monkeypatch.syspath_prepend(str(site))
    registry = loaded(user)
    assert set(registry.commands) == {"show", "df", "du"}
    assert registry.find("show").plugin == "a"
    problems = "\n".join(sorted(said(registry)))
    assert len(registry.problems) == 3
    assert "plugin gone: ModuleNotFoundError: No module named 'dust_gone_module'" in problems
    assert "Dust is no command" in problems
    assert "the name show is taken" in problems
    write(site / "dust_df_module.py", "df2")
    assert "df" in registry.reload()
    assert "df2" in registry.commands
    monkeypatch.setattr(sys, "path", sys.path[1:])
    registry.reload()
    assert set(registry.commands) == {"show"}


def test_the_commands_that_dust_comes_with_load(tmp_path: Path) -> None:
    registry = loaded(tmp_path)
    assert said(registry) == []
    assert all(command.plugin_summary for command in registry.commands.values())
