from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dust.errors import TargetError
from dust.expr import parse
from dust.node import Node
from dust.targets import View, select


def node(
    name: str,
    number: int,
    cluster: str = "slurm1",
    state: str = "running",
    ip: str | None = None,
    tags: str = "",
) -> Node:
    return Node(
        name,
        f"i-c{number:03}",
        "ec2",
        state=state,
        type="t2.nano",
        ip=f"54.12.0.{number}" if ip is None else ip,
        cluster=cluster,
        tags={key: value for key, _, value in (tag.rpartition(":") for tag in tags.split())},
        details={
            "launch_time": f"2016-04-{number:02}T10:00",
            "key": "MyKey",
            "lifecycle": "spot" if number % 2 else "",
        },
    )


STACK = "aws:cloudformation:stack-name"
NODES = [
    node("master", 1, tags=f"env:dev {STACK}:slurm1"),
    node("worker0", 2, tags=f"env:prod {STACK}:slurm1"),
    node("worker1", 3, tags="env:dev owner:devops", state="stopped", ip=""),
    node("worker2", 4, tags="env:dev"),
    node("worker4", 5, state="stopping", ip="54.120.0.5"),
    node("worker10", 6, tags="Name:x"),
    node("web1", 7, cluster="webtest"),
    node("web1", 8, cluster="webtest"),
    node("slurm2", 9, cluster=""),
    node("7", 10, cluster="slurm2"),
]
STATES = {"i-c001": "ready", "i-c002": "busy", "i-c004": "waiting", "i-c005": "unfinished",
          "i-c006": "down"}  # fmt: skip
LAST = {"i-c001": "ok", "i-c002": "failed", "i-c004": "timeout", "i-c006": "unreachable"}


def groups(name: str) -> list[str]:
    return {"rack1": ["worker0", "worker2", "elsewhere"], "slurm:compute": ["master"]}[name]


VIEW = View(
    NODES,
    {number: each.id for number, each in enumerate(NODES, 1)},
    lambda id: STATES.get(id, ""),
    LAST,
    {"i-c002"},
    groups,
)


def selected(target: str) -> str:
    return " ".join(str(int(each.id[3:])) for each in select(target, VIEW))


EVERY = "1 2 3 4 5 6 7 8 9 10"


@pytest.mark.parametrize(
    ("target", "numbers"),
    [
        # names, with shell wildcards
        ("worker1", "3"),
        ("w*", "2 3 4 5 6 7 8"),
        (r"w\*", "2 3 4 5 6 7 8"),
        (r"worker\*", "2 3 4 5 6"),
        (r"wo\*", "2 3 4 5 6"),
        ("work*", "2 3 4 5 6"),
        ("worker?", "2 3 4 5"),
        ("w[eo]*", "2 3 4 5 6 7 8"),
        ("w[!o]*", "7 8"),
        # numeric ranges
        ("worker[0-2]", "2 3 4"),
        ("worker[4-5]", "5"),
        ("worker[3-15]", "5 6"),
        ("worker[0-10/2]", "2 4 5 6"),
        ("worker[0,10]", "2 6"),
        ("w[a-z]*[1-2]", "3 4 7 8"),
        # a cluster, where no node has its name
        ("slurm1", "1 2 3 4 5 6"),
        ("webtest", "7 8"),
        ("slurm2", "9"),
        # numbers
        ("1,3,4", "1 3 4"),
        ("2-5", "2 3 4 5"),
        ("7", "7"),
        ("'7'", "10"),
        # one of two of a name
        ("web1", "7 8"),
        ("web1~i-c008", "8"),
        # properties
        ("state=running", "1 2 4 6 7 8 9 10"),
        ("state=run*", "1 2 4 6 7 8 9 10"),
        (r"state=run\*", "1 2 4 6 7 8 9 10"),
        ("state=stopped", "3"),
        ("state=stop*", "3 5"),
        ("id=i-c00*", "1 2 3 4 5 6 7 8 9"),
        ("ip=54.12.*", "1 2 4 6 7 8 9 10"),
        ("ext_ip=54.12.*", "1 2 4 6 7 8 9 10"),
        ("type=t2.*", EVERY),
        ("key=MyKey", EVERY),
        ("launch_time=2016-04*", EVERY),
        ("launch_time=2016-04-08*", "8"),
        ("lifecycle=spot", "1 3 5 7 9"),
        ("cluster=slurm1", "1 2 3 4 5 6"),
        ("name=web*", "7 8"),
        # empty properties
        ("cluster=", "9"),
        ("cluster=''", "9"),
        ("cluster=*", "1 2 3 4 5 6 7 8 10"),
        ("ip=", "3"),
        ("lifecycle=", "2 4 6 8 10"),
        # tags
        ("tags=env:dev", "1 3 4"),
        ("tags=env=dev", "1 3 4"),
        ("tags=env:*", "1 2 3 4"),
        ("tags=env", "1 2 3 4"),
        ("tags=owner:devops", "3"),
        ("tags=*stack-name:slurm1", "1 2"),
        ("tags=*", "1 2 3 4 6"),
        ("tags=", "5 7 8 9 10"),
        ("tags=aws:cloudformation:stack-name:slurm1", "1 2"),
        ("tags=aws:cloudformation:stack-name", "1 2"),
        ("tags=aws:*=slurm[1-2]", "1 2"),
        # what sessions do and the last run did
        ("%ready", "1"),
        ("%busy", "2"),
        ("%waiting", "4 5"),
        ("%down", "6"),
        ("%ok", "1"),
        ("%failed", "2"),
        ("%timeout", "4"),
        ("%unreachable", "6"),
        ("%differs", "2"),
        ("%last", "1 2 4 6"),
        # node groups
        ("@rack1", "2 4"),
        ("@slurm:compute", "1"),
        # set algebra
        ("master,web*", "1 7 8"),
        ("w*&state=stop*", "3 5"),
        ("w*!worker*", "7 8"),
        ("!slurm1", "7 8 9 10"),
        ("(master,worker1)&tags=env:dev!3", "1"),
        ("%last&!%ok", "2 4 6"),
        ("", EVERY),
        ("*", EVERY),
    ],
)
def test_select(target: str, numbers: str) -> None:
    assert selected(target) == numbers


def test_names_with_spaces_are_quoted() -> None:
    spaced = Node("my node", "a", "ssh", tags={"Name": "my node"})
    view = View([spaced, Node("my", "b", "ssh")])
    assert select("'my node'", view) == [spaced]
    assert select("tags='Name:my node'", view) == [spaced]
    assert select("'my '*", view) == [spaced]


def test_nodes_come_in_the_order_of_the_view() -> None:
    assert selected("web1,worker2,master") == "1 4 7 8"


@pytest.mark.parametrize(
    ("target", "names"),
    [
        ("tags=*name:x", "b"),
        ("tags=env*:dev", "b"),
        ("tags=*v:*:dev", "a b"),
        ("tags=env:qa:dev", "a b"),
        ("tags=env=qa:dev", "a"),
        ("tags='env:qa':dev", "a b"),
        ("tags=*:*", "a b c"),
        ("tags=*dev", "c"),
    ],
)
def test_no_wildcard_reaches_from_a_tags_key_into_its_value(target: str, names: str) -> None:
    nodes = [
        Node("a", "a", "ec2", tags={"env": "qa:dev", "about": "my name:x"}),
        Node("b", "b", "ec2", tags={"env:qa": "dev", "hostname": "x"}),
        Node("c", "c", "ec2", tags={"isdev": "env:no"}),
    ]
    assert [each.name for each in select(target, View(nodes))] == names.split()


@pytest.mark.parametrize(
    ("target", "names"),
    [
        ("vpc=v1", "a b"),
        ("VPC=v1", "a b"),
        ("State=run*", "a b"),
        ("user=al", "a b"),
        ("USERNAME=al", "a b"),
        ("vpc=", "c"),
    ],
)
def test_keys_are_found_in_any_case_and_by_their_aliases(target: str, names: str) -> None:
    nodes = [
        Node("a", "a", "ec2", details={"VPC": "v1", "user": "al"}),
        Node("b", "b", "ec2", details={"vpc": "v1", "username": "al", "user": "no"}),
        Node("c", "c", "ec2", state="stopped"),
    ]
    assert [each.name for each in select(target, View(nodes))] == names.split()


def test_a_property_that_some_lack_is_empty_there() -> None:
    view = View([Node("a", "a", "ec2", details={"az": "1a"}), Node("b", "b", "local")])
    assert [each.name for each in select("az=", view)] == ["b"]
    assert [each.name for each in select("az=*", view)] == ["a"]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("workr1", "no node or cluster is called workr1; did you mean worker1"),
        ("slrm1", "did you mean slurm1"),
        ("zzz", "there are master, worker0, worker1, worker2, worker4, ..."),
        ("worker[20-30]", "no node or cluster is called worker[20-30]"),
        ("web1~i-c001", "did you mean web1~i-c00"),
        ("state=runing", "no node has state=runing; there is running"),
        ("tags=env:dv", "there is env:dev"),
        ("tags=*dev", "no node has tags=*dev"),
        ("LifeCycle=spt", "there is spot"),
        ("state=", "there is running"),
        ("stat=running", "no node has a property stat; did you mean state=?"),
        ("zzz=1", "there are backend, cluster"),
        ("11", "no node has such a number; there are 1 to 10"),
        ("0", "no node has such a number"),
        ("9-11", "no node has such a number"),
        ("master,0", "no node has such a number"),
        ("w*&workr1", "did you mean worker1"),
        ("(zzz,workr1)&w*", "called zzz"),
        ("master!master", "master!master selects no node"),
        ("master&web*!zzz*", "master&web*!zzz* selects no node"),
        ("!*", "*!* selects no node"),
        ("@rack1&master", "selects no node"),
        ("'tags=env:dev'", "quotes make a name of all of it: type tags='env:dev'"),
        ("'zzz=1'", "no node or cluster is called 'zzz=1'; there are master"),
    ],
)
def test_what_selects_nothing_says_why(target: str, message: str) -> None:
    with pytest.raises(TargetError) as caught:
        select(target, VIEW)
    assert message in str(caught.value)


def test_without_nodes() -> None:
    for target, message in {"*": "there are no nodes", "a=b": "there are no nodes",
                            "1": "there are no nodes"}.items():  # fmt: skip
        with pytest.raises(TargetError, match=message):
            select(target, View([]))
    with pytest.raises(TargetError, match="there are no node groups"):
        select("@rack1", View(NODES))


def test_a_malformed_target_says_where() -> None:
    with pytest.raises(TargetError) as caught:
        select("master,(web1", VIEW)
    assert caught.value.position == 7


def test_ten_thousand_names() -> None:
    nodes = [Node(f"n{at}", str(at), "ssh") for at in range(10_000)]
    target = ",".join(each.name for each in nodes[::-1])
    assert select(target, View(nodes)) == nodes


def ids(target: str) -> frozenset[str]:
    """What a target stands for, the empty set where it selects nothing."""
    try:
        return frozenset(each.id for each in select(target, VIEW))
    except TargetError as error:
        assert error.position is None
        return frozenset()


atoms = st.sampled_from(
    ["*", "master", "w*", "worker[0-2]", "worker?", "slurm1", "2-5", "8", "state=running", "ip=",
     "tags=env:dev", "%last", "%ready", "@rack1", "zzz*", "w*!worker1", "(master,web1)"]
)  # fmt: skip
targets = st.recursive(
    atoms,
    lambda below: st.builds(
        lambda a, op, b: f"({a}){op}({b})", below, st.sampled_from(",&!"), below
    ),
    max_leaves=5,
).map(lambda target: f"({target})")
EVERYTHING = ids("*")


@settings(deadline=None)
@given(targets, targets, targets)
def test_the_laws_of_sets(a: str, b: str, c: str) -> None:
    assert ids(f"{a},{b}") == ids(f"{b},{a}") == ids(a) | ids(b)
    assert ids(f"{a}&{b}") == ids(f"{b}&{a}") == ids(a) & ids(b)
    assert ids(f"{a}!{b}") == ids(f"{a}&(!{b})") == ids(a) - ids(b)
    assert ids(f"{a}&{a}") == ids(f"{a},{a}") == ids(a)
    assert ids(f"{a},({b},{c})") == ids(f"{a},{b},{c}")
    assert ids(f"{a}&({b},{c})") == ids(f"{a}&{b},{a}&{c}")
    assert ids(f"{a},({b}&{c})") == ids(f"({a},{b})&({a},{c})")
    assert ids(f"!({a},{b})") == ids(f"!{a}&!{b}") == ids(f"!{a}!{b}")
    assert ids(f"!{b}") == ids(f"*!{b}") == EVERYTHING - ids(b)
    assert ids(f"!(!{b})") == ids(b)


@settings(deadline=None)
@given(targets)
def test_nothing_is_left_of_a_target_without_itself(target: str) -> None:
    with pytest.raises(TargetError):
        select(f"{target}!{target}", VIEW)


@settings(deadline=None)
@given(targets)
def test_a_target_and_what_parse_makes_of_it_select_the_same(target: str) -> None:
    if ids(target):
        assert select(parse(target), VIEW) == select(target, VIEW)


def known_group(name: str) -> list[str]:
    return ["master"]


@settings(deadline=None)
@given(st.text() | st.text(" \t,&!()'\"*?[]\\=%@~:-/0129abw", max_size=30))
def test_any_text_selects_or_is_refused(target: str) -> None:
    view = View(NODES, VIEW.numbers, VIEW.state_of, LAST, {"i-c002"}, known_group)
    try:
        chosen = select(target, view)
    except TargetError as error:
        assert str(error)
    else:
        assert chosen and all(each in NODES for each in chosen)


@pytest.mark.parametrize(
    "target",
    [
        "w[0-999999999]x",
        "[1-9]" * 1000,
        "(" * 10_000,
        "*a*a*a*a*a*a*a*a*a*b",
        "tags=" + "*a" * 5000 + "*b",
        "tags=" + "*[0-10]" * 10 + "b",
        "zzz," * 9_999 + "zzz",
        "*!" * 9_999 + "*",
    ],
)
def test_hostile_targets_end(target: str) -> None:
    view = View([Node("a" * 255, "x", "ssh", tags={"a" * 127: "10" * 128})])
    with pytest.raises(TargetError):
        select(target, view)


@pytest.mark.parametrize("target", ["worker1,wroker2", "wroker2,worker1", "*!wroker2"])
def test_a_plain_name_that_nobody_has_is_a_mistake(target: str) -> None:
    view = View([Node(f"worker{number}", f"i-{number}", "local") for number in range(3)])
    with pytest.raises(TargetError, match="called wroker2; did you mean worker"):
        select(target, view)
