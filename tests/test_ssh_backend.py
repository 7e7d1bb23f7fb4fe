"""Hosts of ssh's configuration, of plain files and of Ansible's inventories."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dust.backends import sshconfig
from dust.backends.hostnames import expand
from dust.backends.ssh import SshBackend
from dust.cluster import Cluster
from dust.errors import BackendError, ConfigError
from dust.node import Node
from dust.ssh import argv
from dust.targets import View, select

ROOT = Path(__file__).resolve().parent.parent
Inventory = Callable[..., list[Node]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with an empty ~/.ssh, and a system without a configuration."""
    folder = tmp_path / "home"
    (folder / ".ssh").mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setattr(sshconfig, "SYSTEM", tmp_path / "etc" / "ssh_config")
    monkeypatch.setattr(sshconfig, "SYSTEM_FOLDER", tmp_path / "etc")
    return folder


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    """The nodes of an inventory with this text."""

    def read(text: str | bytes, name: str = "hosts") -> list[Node]:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return SshBackend.from_options(None, str(path)).nodes()

    return read


def configured(path: Path, text: str) -> dict[str, str]:
    """The IP of each host that a file for -F names."""
    path.write_text(text)
    return {node.name: node.ip for node in SshBackend.from_options(path, None).nodes()}


def names(nodes: list[Node]) -> list[str]:
    return [node.name for node in nodes]


# --- ssh_config


@pytest.mark.parametrize(
    "text, hosts",
    [
        ("", {}),
        ("# nothing\n\nUser x\nHost *\n  HostName 10.0.0.1\n", {}),
        ("Host a\n", {"a": ""}),
        ("Host a\n  HostName 10.0.0.1\n  HostName 10.0.0.2\n", {"a": "10.0.0.1"}),
        ("Host a b\n\tHostName 10.0.0.1\n", {"a": "10.0.0.1", "b": "10.0.0.1"}),
        ("host=a\n hostname = 10.0.0.1\n", {"a": "10.0.0.1"}),
        ("HOST a # b\n HOSTNAME 10.0.0.1 # why\n", {"a": "10.0.0.1"}),
        ('Host "a" \'b\'\n HostName "10.0.0.1"\n', {"a": "10.0.0.1", "b": "10.0.0.1"}),
        ("Host a !b c* d? *\n", {"a": ""}),
        ("Host a\nHost b\nHost a\n HostName 10.0.0.1\n", {"a": "10.0.0.1", "b": ""}),
        ("Host a\n HostName %h.example.com\n", {"a": ""}),
        ("Host a\n HostName web.example.com\n", {"a": ""}),
        ("Host a\n HostName fe80::1\n", {"a": "fe80::1"}),
        ("Host 10.0.0.7\n", {"10.0.0.7": "10.0.0.7"}),
        ("Host a\nMatch host a\n HostName 10.0.0.1\n", {"a": ""}),
        ("Match host b\nHost a\n HostName 10.0.0.1\n", {"a": "10.0.0.1"}),
        ("Host a\r\n  HostName 10.0.0.1\r\n", {"a": "10.0.0.1"}),
        ("Host a\n  HostName\n", {"a": ""}),
        ("Hostile a\nHostKeyAlias b\n", {}),
    ],
)
def test_hosts_of_a_configuration(
    home: Path, tmp_path: Path, text: str, hosts: dict[str, str]
) -> None:
    assert configured(tmp_path / "config", text) == hosts


@pytest.mark.parametrize(
    "line, words",
    [
        ("", []),
        ("a  b\tc", ["a", "b", "c"]),
        ("a#b #c d", ["a#b"]),
        ("'a b' \"c'd\"", ["a b", "c'd"]),
        (r"a\ b \"c\" d\e", ["a b", '"c"', r"d\e"]),
        (r'"a\ b"', [r"a\ b"]),
        ('a"b c"d', ["ab cd"]),
        ('""', [""]),
    ],
)
def test_words_are_split_as_ssh_does(line: str, words: list[str]) -> None:
    assert sshconfig.words(line) == words


def test_a_host_of_a_configuration_is_left_to_ssh(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "my config"
    path.write_text("Host a\n  HostName 10.0.0.1\n  Port 2222\n  User u\n  ProxyJump b\n")
    backend = SshBackend.from_options(path, None)
    assert backend.nodes() == [Node("a", "a", "ssh", ip="10.0.0.1")]
    assert backend.nodes()[0].ssh == {}
    assert (backend.ssh_config, backend.ssh_defaults) == (path, {})
    assert (backend.name, backend.label) == ("ssh", "ssh my config")


def test_the_users_configuration_comes_before_the_systems(home: Path, tmp_path: Path) -> None:
    (home / ".ssh" / "config").write_text("Host mine\nHost both\n  HostName 10.0.0.1\n")
    (tmp_path / "etc" / "ssh_config").write_text(
        "Include more.conf\nHost theirs both\n  HostName 10.0.0.2\n"
    )
    (tmp_path / "etc" / "more.conf").write_text("Host more\n")
    backend = SshBackend.from_options(None, None)
    assert {node.name: node.ip for node in backend.nodes()} == {
        "mine": "",
        "both": "10.0.0.1",
        "more": "",
        "theirs": "10.0.0.2",
    }
    assert (backend.ssh_config, backend.label) == (None, "ssh")


def test_without_any_configuration_there_are_no_hosts(home: Path) -> None:
    assert SshBackend.from_options(None, None).nodes() == []


@pytest.mark.parametrize(
    "line",
    [
        "Include conf.d/*.conf",
        "include=conf.d/*.conf",
        'Include "conf.d/*.conf"',
        "Include ~/.ssh/conf.d/?.conf",
        "Include missing conf.d/[ab].conf # both",
        r"Include conf.d/a\.conf conf.d/b.conf",
    ],
)
@pytest.mark.parametrize("own", [True, False])
def test_include_starts_in_the_users_folder(
    home: Path, tmp_path: Path, line: str, own: bool
) -> None:
    folder = home / ".ssh" / "conf.d"
    (folder / "c.conf").mkdir(parents=True)
    (folder / "b.conf").write_text("Host b\n")
    (folder / "a.conf").write_text("Host a\n HostName 10.0.0.1\n")
    path = home / ".ssh" / "config" if own else tmp_path / "config"
    path.write_text(f"{line}\nHost z\n")
    backend = SshBackend.from_options(None if own else path, None)
    assert {node.name: node.ip for node in backend.nodes()} == {"a": "10.0.0.1", "b": "", "z": ""}


def test_an_included_file_holds_only_where_its_block_does(home: Path, tmp_path: Path) -> None:
    more = tmp_path / "more"
    more.write_text("HostName 10.0.0.1\nHost web1\n HostName 10.0.0.2\nHost db1 webx\n")
    text = f"Host web* !webx\n  Include {more}\nHost a\n  Include {more}\n  HostName 10.0.0.3\n"
    assert configured(tmp_path / "config", text) == {"web1": "10.0.0.2", "a": "10.0.0.1"}


def test_files_that_include_one_another_are_an_error(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "config"
    with pytest.raises(ConfigError, match="include one another") as caught:
        configured(path, f"Host a\n\nInclude {path}\n")
    assert (caught.value.path, caught.value.line) == (path, 3)


def test_the_real_ssh_finds_the_same(home: Path, tmp_path: Path) -> None:
    more = tmp_path / "with space"
    more.write_text("Host=d\n HostName 10.0.0.4 # four\nHost e*\n HostName 10.0.0.9\n")
    path = tmp_path / "config"
    found = configured(
        path,
        f'Host "a" b\n  HostName=10.0.0.1\nInclude "{more}"\n'
        f'Host d c !b\n  HostName 10.0.0.3\nMatch all\n  Include "{more}"\n',
    )
    assert set(found) == {"a", "b", "c", "d"}
    for name, ip in found.items():
        said = subprocess.run(
            ["ssh", "-G", "-F", str(path), name], capture_output=True, text=True, check=True
        )
        assert f"\nhostname {ip}\n" in said.stdout


@pytest.mark.parametrize(
    "text, message",
    [
        ("Host ok\nHost -oProxyCommand=x", "config:2: ssh cannot take '-oProxyCommand=x'"),
        ('Host "a b"', "config:1: ssh cannot take 'a b' .* it has ' ' in it"),
        ("Host a;b", "config:1: .* it has ';' in it"),
        ("Host a`b", "config:1: .* it has '`' in it"),
        ("Host a\x1bb", r"config:1: .* it has '\\x1b' in it"),
        ("Host ä", r"config:1: ssh cannot take 'ä' .* it has '\\xe4' in it"),
        ("Host root@", "config:1: .* what belongs to its '@' is missing"),
        ("Host x@-a", "config:1: .* what belongs to its '@' is missing"),
        ('Host ""', "config:1: the name of a host is missing"),
        ('\nHost "a', 'config:2: the quote " has no partner'),
    ],
)
def test_a_name_that_ssh_cannot_take_is_refused(
    home: Path, tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        configured(tmp_path / "config", text)


# --- plain files of hosts


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", []),
        ("# nothing\n\n", []),
        ("b\na\nb\n", ["b", "a"]),
        ("a b\tc # d\r\ne\r\n", ["a", "b", "c", "e"]),
        ("n[01-03]\n", ["n01", "n02", "n03"]),
        ("n[1-2,5],m\n", ["n1", "n2", "n5", "m"]),
        ("web[01:03].example.com", ["web01.example.com", "web02.example.com", "web03.example.com"]),
        ("n[:2] n[1:5:2]", ["n0", "n1", "n2", "n3", "n5"]),
        ("db[a:c] r[a:b][1-2]", ["dba", "dbb", "dbc", "ra1", "ra2", "rb1", "rb2"]),
        ("[a:b].x [1:2]y", ["a.x", "b.x", "1y", "2y"]),
        ("fe80::1%eth0 ::1", ["fe80::1%eth0", "::1"]),
        ("\ufeffa\n", ["a"]),
    ],
)
def test_names_in_a_plain_file(inventory: Inventory, text: str, expected: list[str]) -> None:
    assert names(inventory(text)) == expected


@pytest.mark.parametrize(
    "text, name, ip, facts",
    [
        ("a", "a", "", {}),
        ("10.0.0.1", "10.0.0.1", "10.0.0.1", {}),
        ("a:2222", "a", "", {"Port": "2222"}),
        ("u@a", "a", "", {"User": "u"}),
        ("u@10.0.0.1:22", "10.0.0.1", "10.0.0.1", {"User": "u", "Port": "22"}),
        ("u@ad.org@a", "a", "", {"User": "u@ad.org"}),
        ("[::1]:22", "::1", "::1", {"Port": "22"}),
        ("u@[fe80::1]", "fe80::1", "fe80::1", {"User": "u"}),
    ],
)
def test_a_login_and_a_port(
    inventory: Inventory, text: str, name: str, ip: str, facts: dict[str, str]
) -> None:
    (node,) = inventory(text + "\n" + text)
    assert (node.name, node.id, node.ip, dict(node.ssh)) == (name, name, ip, facts)
    assert node.details.get("port", "") == facts.get("Port", "")
    assert node.details.get("username", "") == facts.get("User", "")


def test_hosts_that_differ_by_port_or_user_are_called_as_they_are_written(
    inventory: Inventory,
) -> None:
    nodes = inventory("localhost:2201\nlocalhost:2202\nu@a a\n[::1]:1 [::1]:2\n")
    assert {node.name: dict(node.ssh) for node in nodes} == {
        "localhost:2201": {"Port": "2201", "HostName": "localhost"},
        "localhost:2202": {"Port": "2202", "HostName": "localhost"},
        "u@a": {"User": "u", "HostName": "a"},
        "a": {},
        "[::1]:1": {"Port": "1", "HostName": "::1"},
        "[::1]:2": {"Port": "2", "HostName": "::1"},
    }


@given(first=st.integers(0, 50), size=st.integers(1, 50), step=st.integers(1, 7), pad=st.booleans())
def test_ansibles_ranges_are_pythons_with_an_end(
    first: int, size: int, step: int, pad: bool
) -> None:
    last = first + size - 1
    width = 3 if pad else 0
    pattern = f"n[{first:0{width}}:{last:0{width}}:{step}].x"
    assert expand(pattern) == [f"n{i:0{width}}.x" for i in range(first, last + 1, step)]


@pytest.mark.parametrize(
    "text, message",
    [
        ("ok\n-oProxyCommand=x", "hosts:2: .*-oProxyCommand"),
        ("ok\n\n-l", "hosts:3: ssh cannot take '-l' .*: it begins with '-'"),
        ("a;b", "hosts:1: .* it has ';' in it"),
        ("u@-x", "hosts:1: ssh cannot take '-x'"),
        ("-x@a", "hosts:1: ssh cannot take '-x' as the name of a user"),
        ("a b$c", "hosts:1: .* it has '\\$' in it"),
        ("a\x00b", r"hosts:1: .* it has '\\x00' in it"),
        ("a\x0bb", r"hosts:1: .* it has '\\x0b' in it"),
        ("a\u2028b", r"hosts:1: .* it has '\\u2028' in it"),
        (b"a\xffb", r"hosts:1: .* it has '\\ufffd' in it"),
        ('"a"', "hosts:1: .* it has '\"' in it"),
        ("'a'[1-2]", 'hosts:1: .* it has "\'" in it'),
        ("a'b,c", 'hosts:1: .* it has "\'" in it'),
        ("@a", "hosts:1: .*the user is missing"),
        ("u@", "hosts:1: the name of a host is missing"),
        ("a:0", "hosts:1: .*'0' is no port"),
        ("a:65536", "hosts:1: .*'65536' is no port"),
        ("b\na:", "hosts:2: .*'' is no port"),
        ("[::1]x", "hosts:1: .*only a port can follow"),
        ("n[1-", "hosts:1: .*bracket.* has no partner"),
        ("n[3-1]", "hosts:1: .*runs backwards"),
        ("n[c:a]", "hosts:1: .*runs backwards"),
        ("n[a:c:0]", "hosts:1: .*step 0"),
        ("n[1:3:0]", "hosts:1: .*step of 1-3/0 is 0"),
        ("n[1-999999999]", "hosts:1: .*more than 100,000"),
        ("n[a:z][a:z][a:z][a:z]", "hosts:1: .*more than 100,000"),
        ("n[a:z][1-9999]", "hosts:1: .*more than 100,000"),
        ("n[1-60000]\nm[1-60000]", "hosts:2: more than 100,000 hosts"),
    ],
)
def test_what_is_wrong_in_a_plain_file(
    inventory: Inventory, text: str | bytes, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        inventory(text)


# --- Ansible inventories

INI = """\
; machines
lone.example.com:2200

[web]  # in front
web[1:2] ansible_host=10.0.0.1 rack=r1
web3 ansible_user="deploy" note='two words' # why
db1

[db]
db1 ansible_port=2222 ansible_ssh_private_key_file="~/my keys/id" api_token=x Db_PASSWORD=y

[db:vars]
tier = 'back end'  # comment
ansible_user=dba
rack=r9

[prod:children]
web
db

[prod:vars]
env=prod
ansible_user=ops

[all:vars]
env=none
site=x
"""
YAML = """\
---
all:
  hosts:
    lone.example.com:2200:
  vars: {env: none, site: x}
  children:
    prod:
      vars: &prod
        env: prod
        ansible_user: ops
      children:
        web:
          hosts:
            web[1:2]:
              ansible_host: 10.0.0.1
              rack: r1
            web3: {ansible_user: deploy, note: two words}
            db1:
        db:
          vars:
            <<: *prod
            tier: back end
            ansible_user: dba
            rack: r9
          hosts:
            db1:
              ansible_port: 2222
              ansible_ssh_private_key_file: ~/my keys/id
              api_token: x
              Db_PASSWORD: y
              several: [1, 2]
              nothing: null
              vaulted: !vault |
                $ANSIBLE_VAULT;1.1;AES256
"""


@pytest.mark.parametrize("name, text", [("hosts", INI), ("hosts", YAML), ("hosts.yml", YAML[4:])])
def test_an_inventory_says_the_same_in_both_forms(
    inventory: Inventory, name: str, text: str
) -> None:
    lone, web1, web2, web3, db1 = inventory(text, name)
    assert (lone.name, lone.cluster, lone.tags) == ("lone.example.com", "", {})
    assert lone.ssh == {"Port": "2200"}
    assert lone.details == {"env": "none", "site": "x", "port": "2200"}
    assert (web1.name, web1.ip, web1.cluster) == ("web1", "10.0.0.1", "web")
    assert web1.ssh == {"HostName": "10.0.0.1", "User": "ops"}
    assert web1.tags == web2.tags == web3.tags == {"web": "yes", "prod": "yes"}
    assert web1.details == {"env": "prod", "site": "x", "rack": "r1", "username": "ops"}
    assert (web2.name, web2.ssh) == ("web2", web1.ssh)
    assert web3.ssh == {"User": "deploy"}
    assert web3.details["note"] == "two words"
    assert (db1.cluster, db1.tags) == ("web", {"web": "yes", "db": "yes", "prod": "yes"})
    assert db1.ssh == {"User": "dba", "Port": "2222", "IdentityFile": '"~/my keys/id"'}
    assert db1.details == {
        "env": "prod",
        "site": "x",
        "tier": "back end",
        "rack": "r9",
        "username": "dba",
        "port": "2222",
    }


def test_groups_are_tags_that_targets_select(inventory: Inventory) -> None:
    view = View(inventory(INI))
    assert names(select("tags=db", view)) == ["db1"]
    assert names(select("tags=prod", view)) == ["web1", "web2", "web3", "db1"]
    assert names(select("rack=r1", view)) == ["web1", "web2"]


def test_a_host_is_in_each_cluster_whose_group_it_is_in(tmp_path: Path) -> None:
    file = tmp_path / "hosts.ini"
    file.write_text("[web]\nh1\nh2\n[db]\nh2\nh3\n[prod:children]\nweb\ndb\n")
    cluster = Cluster(SshBackend(None, file))
    assert names(cluster.select("db")) == ["h2", "h3"]
    assert {name: names(nodes) for name, nodes in cluster.clusters().items()} == {
        "web": ["h1", "h2"], "prod": ["h1", "h2", "h3"], "db": ["h2", "h3"]}  # fmt: skip
    cluster.use("prod")
    assert names(cluster.select("web!db")) == ["h1"]


@pytest.mark.parametrize(
    "text",
    [
        "a x=1\n",
        "[g]\na\n",
        "# all:\n[g]\na\n",
        "; note: x\n[g]\na\n",
        "g: {hosts: {a: }}\n",
        "{g: {hosts: {a: {x: 1}}}}\n",
        '# hosts\n\n"g":\n  hosts: {a: {x: 1}}\n',
    ],
)
def test_the_form_is_told_by_the_text(inventory: Inventory, text: str) -> None:
    (node,) = inventory(text)
    assert node.name == "a"
    assert node.cluster == ("" if text.startswith("a ") else "g")


def test_what_a_node_is_no_variable_replaces(inventory: Inventory) -> None:
    (node,) = inventory(
        "a name=x id=x backend=x state=x ip=x cluster=x tags=x type=big private_ip=10.0.0.9\n"
    )
    assert node == Node("a", "a", "ssh", type="big", private_ip="10.0.0.9")
    assert node.properties()["name"] == "a"


def test_the_nearest_group_wins_and_of_one_depth_the_last_by_name(inventory: Inventory) -> None:
    (node,) = inventory(
        "[a]\nh\n[b]\nh\n[top:children]\na\n"
        "[top:vars]\nx=top\ny=top\nz=top\n[a:vars]\nx=a\ny=a\n[b:vars]\nx=b\n"
    )
    # b lies directly below all, and a one deeper, so that a comes last.
    assert {key: node.details[key] for key in "xyz"} == {"x": "a", "y": "a", "z": "top"}
    assert list(node.tags) == ["a", "b", "top"]
    (node,) = inventory("[a]\nh\n[b]\nh\n[b:vars]\nx=b\n[a:vars]\nx=a\n")
    assert node.details == {"x": "b"}


def test_values_reach_ssh_as_they_are(inventory: Inventory) -> None:
    (node,) = inventory("[g]\na ansible_host=fe80::1%eth0 ansible_user='AD\\me'\n")
    assert node.ssh == {"HostName": "fe80::1%%eth0", "User": "AD\\me"}
    assert node.ip == "fe80::1%eth0"
    said = subprocess.run(
        [*argv(node, Path("/dev/null"), "true")[:-3], "-G", "--", "a"],
        capture_output=True,
        text=True,
    )
    assert said.returncode == 0, said.stderr
    assert "\nhostname fe80::1%eth0\n" in said.stdout
    assert "user AD\\me\n" in said.stdout


@pytest.mark.parametrize(
    "text, message",
    [
        ("[g]\n-x\n", "hosts:2: ssh cannot take '-x'"),
        ("[g]\na b\n", "hosts:2: 'b' is no variable of 'a': write name=value"),
        ("[g]\na =b\n", "hosts:2: '=b' is no variable"),
        ("[g]\na x='b\n", "hosts:2: No closing quotation"),
        ("[g]\na ansible_port=ssh\n", "hosts:2: 'ssh' is no port"),
        ("[g]\na\n[g:vars]\n\nansible_port=0\n", "hosts:5: '0' is no port"),
        ("[g]\na ansible_user='x y'\n", "hosts:2: .*'x y' as the name of a user"),
        ("[g]\na ansible_host=-x\n", "hosts:2: ssh cannot take '-x'"),
        ("[g]\na ansible_host='{{ x }}'\n", "hosts:2: templates are not evaluated"),
        ("[g]\n'{{ x }}'\n", "hosts:2: .*templates are not evaluated"),
        ("[g]\na ansible_ssh_private_key_file='\"'\n", "hosts:2: ssh cannot take this path"),
        ("[g:vars]\nx\n[g]\n", "hosts:2: 'x' is no variable"),
        ("[g:var]\n", "hosts:1: .*did you mean :vars"),
        ("[g h]\n", "hosts:1: .*is no group"),
        ("[]\n", "hosts:1: .*is no group"),
        ("[web]\na\n[wbe:vars]\nx=1\n", "hosts:3: there is no group 'wbe'; did you mean web"),
        ("[x:children]\nzzz\n", r"hosts:2: there is no group 'zzz'; a line \[zzz\]"),
        ("[a:children]\nb\n[b:children]\na\n", "hosts: a group is in itself: a in b in a"),
        ("all: [\n", "hosts:2: this is not YAML"),
        ("g:\n  hosts:\n    -x:\n", "hosts:3: ssh cannot take '-x'"),
        ("g:\n  hosts: [a]\n", "hosts:2: the hosts of g: a mapping belongs here, not a list"),
        ("g:\n  host:\n    a:\n", "hosts:2: .*no 'host'; did you mean hosts"),
        ("plugin: aws_ec2\n", "hosts:1: the group plugin: a mapping belongs here"),
        ("g:\n  hosts:\n    a:\n      ansible_port: x\n", "hosts:4: 'x' is no port"),
        ("g:\n  hosts:\n    ? [a]\n    : x\n", "hosts:3: .*a name belongs here"),
        ("a:\n---\nb:\n", "hosts:2: this is not YAML"),
        ("g:\n  hosts: \x01\n", "hosts: this is not YAML: .*control characters"),
        ("g: &g\n  children:\n    g: *g\n", "hosts: a group is in itself: g in g"),
        ("g: {hosts: {a: &a {<<: *a}}}\n", "hosts: a mapping merges itself"),
        ("g: " + "[" * 900, "hosts:1: more than 100 levels"),
    ],
)
def test_what_is_wrong_in_an_inventory(inventory: Inventory, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        inventory(text)


# --- files


def test_with_both_files_the_hosts_are_the_inventorys(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("Host a\n")
    (tmp_path / "hosts").write_text("b\n")
    backend = SshBackend.from_options(tmp_path / "config", str(tmp_path / "hosts"))
    assert names(backend.nodes()) == ["b"]
    assert (backend.ssh_config, backend.label) == (tmp_path / "config", "ssh hosts")


def test_nothing_is_read_before_it_is_asked_for_and_then_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    both = [
        SshBackend.from_options(Path("file"), None),
        SshBackend.from_options(None, "file"),
    ]
    (tmp_path / "file").write_text("Host a\n")
    monkeypatch.chdir("/")  # a path means what it meant when it was given
    assert [names(backend.nodes()) for backend in both] == [["a"], ["Host", "a"]]
    (tmp_path / "file").write_text("Host b\n")
    assert [names(backend.nodes()) for backend in both] == [["b"], ["Host", "b"]]


@pytest.mark.parametrize("option", ["-F", "-i"])
@pytest.mark.parametrize("name, reason", [("missing", "No such file"), (".", "Is a directory")])
def test_a_file_that_cannot_be_read_is_named_with_the_reason(
    tmp_path: Path, option: str, name: str, reason: str
) -> None:
    path = tmp_path / name
    backend = SshBackend.from_options(
        path if option == "-F" else None, str(path) if option == "-i" else None
    )
    with pytest.raises(ConfigError, match=f"cannot be read: {reason}") as caught:
        backend.nodes()
    assert caught.value.path == path


def test_an_inventory_below_the_home(home: Path) -> None:
    (home / "hosts").write_text("a\n")
    assert names(SshBackend.from_options(None, "~/hosts").nodes()) == ["a"]


def test_standard_input_is_read_once() -> None:
    code = (
        "import sys; from dust.backends.ssh import SshBackend as S; b = S.from_options(None, '-');"
        " print(b.label, *(n.name for n in b.nodes() + b.nodes()), 'yaml' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input="a\nb ansible_port=1\n",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "ssh a b a b False\n", done.stderr


def test_an_error_in_standard_input_says_so() -> None:
    code = (
        "from dust.backends.ssh import SshBackend as S\n"
        "try: S.from_options(None, '-').nodes()\n"
        "except ValueError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input="a\n-b\n",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("standard input:2: ssh cannot take '-b'"), done.stderr


@pytest.mark.parametrize("inventory", [None, "hosts", "-"])
@pytest.mark.parametrize("verb", ["start", "stop", "terminate"])
def test_a_file_starts_and_stops_nothing(inventory: str | None, verb: str) -> None:
    backend = SshBackend.from_options(None, inventory)
    where = {None: "~/.ssh/config", "-": "standard input"}.get(inventory, "/hosts")
    with pytest.raises(BackendError, match="does not apply to hosts of a file") as caught:
        getattr(backend, verb)(["a"])
    assert where in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"h{i}\n" for i in range(10_000)),
        "[g]\n" + "".join(f"h{i} ansible_port=22 x='y'\n" for i in range(10_000)),
        "g:\n  hosts:\n" + "".join(f"    h{i}: {{ansible_port: 22}}\n" for i in range(10_000)),
        "n[1-9999]\nm",
    ],
    ids=["hosts", "ini", "yaml", "range"],
)
def test_many_hosts(inventory: Inventory, text: str) -> None:
    assert len(inventory(text)) == 10_000
