from __future__ import annotations

import os
from pathlib import Path

import pytest

from dust.errors import ConfigError, TargetError
from dust.groups import Groups

LOCAL = r"""
[Main]
default: local
confdir: $CFGDIR/groups.conf.d "$CFGDIR/not there"
autodir: $CFGDIR/groups.d

[local]
map: sed -n 's/^$GROUP:\(.*\)/\1/p' $CFGDIR/groups
list: sed -n 's/^\([0-9A-Za-z_-]*\):.*/\1/p' $CFGDIR/groups
"""
FLAT = "rack1: n[1-3] n7\nrack2: n[08-10],m1\nboth: @rack[1-2],x\nfar: @slurm:compute\n"
SHARED = """
[first,second]
map: echo $SOURCE-$GROUP-$$HOME-${GROUP}%
[failing]
map: echo no >&2; exit 3
"""
YAML = """
slurm:
  compute: "c[1-3], @login"
  login: l1
  listed: [a1, "a[2-3]"]
  number: 12
  none: ""
  loop: "@loop"
  minus: "c[1-3]!c2"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for path, text in {
        "groups.conf": LOCAL,
        "groups": FLAT,
        "groups.conf.d/shared.conf": SHARED,
        "groups.conf.d/ignored.txt": "not read",
        "groups.d/cluster.yaml": YAML,
    }.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("rack1", "n1 n2 n3 n7"),
        ("local:rack1", "n1 n2 n3 n7"),
        ("rack2", "n08 n09 n10 m1"),
        ("both", "n1 n2 n3 n7 n08 n09 n10 m1 x"),
        ("far", "c1 c2 c3 l1"),
        ("slurm:compute", "c1 c2 c3 l1"),
        ("slurm:listed", "a1 a2 a3"),
        ("slurm:number", "12"),
        ("slurm:none", ""),
        ("second:g", "second-g-$HOME-g%"),
    ],
)
def test_members_of_groups(
    folder: Path, name: str, names: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "$HOME")
    assert Groups([folder]).members(name) == names.split()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("rack3", "local has no such group; did you mean @rack2 or @rack1?"),
        ("compute", "did you mean @slurm:compute?"),
        ("zzz", "there are @rack1, @rack2, @both, @far"),
        ("slrm:compute", "no source slrm of groups; did you mean @slurm:compute?"),
        ("slurm:compte", "did you mean @compute?"),
        ("slurm:loop", "contains itself"),
        ("slurm:minus", "! in c[1-3]!c2 is not understood"),
        ("failing:x", "ended with status 3: no"),
    ],
)
def test_what_cannot_be_resolved_says_why(folder: Path, name: str, message: str) -> None:
    with pytest.raises(TargetError) as caught:
        Groups([folder]).members(name)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "group",
    [
        "",
        "-p",
        "a;b",
        "$(touch made)",
        "a b",
        "a\nb",
        "a\n",
        "`x`",
        "a'b",
        "ä",
        "*",
        "first:",
        ":a:b",
    ],
)
def test_names_that_a_shell_or_a_command_could_misread_are_refused(
    folder: Path, group: str
) -> None:
    (folder / "groups.conf").write_text("[first]\nmap: touch made; echo n1\n")
    groups = Groups([folder])
    with pytest.raises(TargetError):
        groups.members(group)
    assert not (folder / "made").exists()
    assert groups.members("good") == ["n1"]
    assert (folder / "made").exists()


def test_groups_within_each_other_are_bounded(folder: Path) -> None:
    chain = "".join(f"  g{at}: '@g{at + 1}'\n" for at in range(1000))
    (folder / "groups.d/cluster.yaml").write_text(f"deep:\n{chain}  g1000: n1\n")
    groups = Groups([folder])
    with pytest.raises(TargetError, match="too many others"):
        groups.members("deep:g0")
    assert groups.members("deep:g995") == ["n1"]


def test_the_first_source_is_the_default_where_none_is_named(folder: Path) -> None:
    (folder / "groups.conf").write_text("[one]\nmap: echo a1\n[two]\nmap: echo b1\n")
    assert Groups([folder]).members("x") == ["a1"]


def test_the_folder_that_comes_first_prevails_and_the_others_add(tmp_path: Path) -> None:
    for name, text in {
        "user": "[Main]\ndefault: two\n[two]\nmap: echo user; pwd\n",
        "system": "[Main]\ndefault: one\n[one]\nmap: echo system\n[two]\nmap: echo hidden\n",
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "groups.conf").write_text(text)
    groups = Groups([tmp_path / "none", tmp_path / "user", tmp_path / "system"])
    assert groups.members("x") == ["user", str(tmp_path / "user")]
    assert groups.members("one:x") == ["system"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_what_may_not_be_read_is_passed_over(folder: Path, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    (folder / "groups.conf.d/shared.conf").chmod(0)
    closed.chmod(0)
    try:
        groups = Groups([closed, folder])
        assert groups.members("slurm:login") == ["l1"]
        with pytest.raises(TargetError, match="no source second"):
            groups.members("second:g")
    finally:
        closed.chmod(0o700)


def test_without_a_file_it_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(TargetError) as caught:
        Groups([tmp_path / "a", tmp_path / "b"]).members("x")
    assert f"{tmp_path / 'a'}, {tmp_path / 'b'}" in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "below"), [("CLUSTERSHELL_CFGDIR", ""), ("XDG_CONFIG_HOME", "clustershell")]
)
def test_the_environment_says_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, below: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CLUSTERSHELL_CFGDIR", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv(variable, str(tmp_path / "it"))
    (tmp_path / "it" / below).mkdir(parents=True)
    (tmp_path / "it" / below / "groups.conf").write_text("[main]\nmap: echo found\n")
    assert Groups().members("main:x") == ["found"]


def test_nothing_is_read_before_and_again_only_when_forgotten(folder: Path) -> None:
    groups = Groups([folder])
    (folder / "groups").write_text("rack1: late\n")
    assert groups.members("rack1") == ["late"]
    (folder / "groups").write_text("rack1: later\n")
    assert groups.members("rack1") == ["late"]
    groups.forget()
    assert groups.members("rack1") == ["later"]


def test_what_is_returned_is_the_callers_own(folder: Path) -> None:
    groups = Groups([folder])
    groups.members("rack1").clear()
    assert groups.members("rack1") == ["n1", "n2", "n3", "n7"]


@pytest.mark.parametrize(
    ("path", "text", "where"),
    [
        ("groups.conf", "no section", "groups.conf"),
        ("groups.conf", "[Main]\nautodir: 'open\n[a]\nmap: x\n", "groups.conf"),
        ("groups.conf", "[a]\nlist: x\n", "no map command"),
        ("groups.conf.d/shared.conf", "[a\n", "shared.conf"),
        ("groups.d/cluster.yaml", "a: {b: c\nd", "cluster.yaml:2"),
        ("groups.d/cluster.yaml", "- a\n", "cluster.yaml"),
        ("groups.d/cluster.yaml", "a: {b: {c: d}}", "cluster.yaml"),
        ("groups.d/cluster.yaml", "[" * 5000, "cluster.yaml"),
    ],
)
def test_files_that_cannot_be_understood_are_named(
    folder: Path, path: str, text: str, where: str
) -> None:
    (folder / path).write_text(text)
    with pytest.raises(ConfigError) as caught:
        Groups([folder]).members("rack1")
    assert where in str(caught.value)
