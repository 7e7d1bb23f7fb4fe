from pathlib import Path

import pytest

from dust.clusterspec import Spec
from dust.errors import ConfigError
from dust.specfile import MOST_NODES, parse, read

FILE = Path("slurm1.yaml")

SEED = """\
cloud:   {provider: ec2, region: us-east-1}
cluster: {name: slurm1, use_placement_group: yes, spot: yes, max_price: 0.05}
nodes:
- {nodename: master, instance_type: c7i.large, spot: no}
- {nodename: worker, instance_type: c7i.xlarge, count: 4}
"""


def local(nodes: str = "- nodename: a", cluster: str = "name: c", cloud: str = "") -> Spec:
    text = f"cloud: {{provider: local, {cloud}}}\ncluster: {{{cluster}}}\nnodes:\n{nodes}\n"
    return parse(text, FILE)


def test_the_seed_s_spec() -> None:
    spec = parse(SEED, FILE)
    assert (spec.name, spec.provider, spec.region) == ("slurm1", "ec2", "us-east-1")
    assert spec.names == ["master", "worker1", "worker2", "worker3", "worker4"]
    master, worker = spec.groups
    assert (master.instance_type, worker.instance_type) == ("c7i.large", "c7i.xlarge")
    assert (master.options.spot, worker.options.spot) == (False, True)
    assert worker.options.max_price == "0.05"
    assert worker.options.use_placement_group


def test_a_group_goes_before_the_cluster_and_tags_are_joined() -> None:
    spec = local(
        "- {nodename: a, volume: 20, tags: {env: dev}}\n- nodename: b",
        "name: c, volume: 10, username: ubuntu, tags: {env: prod, owner: me}",
    )
    a, b = (group.options for group in spec.groups)
    assert (a.volume, b.volume) == (20, 10)
    assert a.username == b.username == "ubuntu"
    assert a.tags == {"env": "dev", "owner": "me"}
    assert b.tags == {"env": "prod", "owner": "me"}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", None, "the spec is empty"),
        ("- a\n", 1, "a spec: a mapping"),
        ("just text", 1, "a spec: a mapping"),
        ("cloud: {}\ncluster: {name: c}\n", 1, "the spec has no nodes"),
        ("cloud:\n\tprovider: ec2\n", 2, "a tab cannot indent YAML"),
        ("cloud: {}\nclutser: {}\n", 2, "no key 'clutser'; did you mean cluster?"),
        ("cloud: {}\ncloud: {}\n", 2, "'cloud' is here a second time: it is in line 1"),
        (SEED.replace("spot: no", "spott: no"), 4, "no key 'spott'; did you mean spot?"),
        (SEED.replace("spot: no", "spot: maybe"), 4, "spot: 'maybe' is neither yes nor no"),
        (SEED.replace("spot: no", "spot: no, max_price: 1"), 4, "max_price: only spot nodes"),
        (SEED.replace(" spot: yes,", ""), 2, "max_price: only spot nodes"),
        (SEED.replace("0.05", "cheap"), 2, "max_price: 'cheap' is not a price"),
        (SEED.replace("0.05", "0.0"), 2, "max_price: a price is more than 0"),
        (SEED.replace("count: 4", "count: 0"), 5, "count: '0' is not a whole number from 1"),
        (SEED.replace("count: 4", "count: 10000"), 5, "count: '10000' is not a whole number"),
        (SEED.replace("count: 4", f"count: {MOST_NODES}"), 5, f"{MOST_NODES} nodes at most"),
        (SEED.replace("count: 4", "count:"), 5, "count: the value is missing"),
        (SEED.replace("count: 4", "count: [4]"), 5, "count: one plain value belongs here"),
        (SEED.replace("count: 4", "count: 2, count: 4"), 5, "'count' is here a second time"),
        (SEED.replace("nodename: worker, ", ""), 5, "a group of nodes needs nodename"),
        (SEED.replace("instance_type: c7i.large, ", ""), 4, "needs instance_type"),
        (SEED.replace("c7i.large", "large"), 4, "instance_type: 'large' is not an instance"),
        (SEED.replace("name: slurm1, ", ""), 2, "the cluster needs name"),
        (SEED.replace("slurm1", "1st"), 2, "name: '1st' is not a cluster's name"),
        (SEED.replace("slurm1", "-oProxyCommand=x"), 2, "is not a cluster's name"),
        (SEED.replace("master", "-oProxyCommand"), 4, "nodename: '-oProxyCommand' is not a name"),
        (SEED.replace("master", '"a\\nb"'), 4, "nodename: 'a\\nb' is not a name"),
        (SEED.replace("master", "worker1"), 5, "two nodes are called worker1"),
        (SEED.replace("us-east-1", "mars"), 1, "region: 'mars' is not a region"),
        (SEED.replace("ec2", "ec3"), 1, "provider: 'ec3' is neither ec2 nor local"),
        (SEED.replace("spot: yes", "subnet_id: subnet-01234567"), 2, "subnet_id: the cluster's"),
        (SEED.replace("spot: yes", "vpc_id: vpc-01234567, create_vpc: yes"), 2, "names one"),
        (SEED.replace("spot: yes", "allow_ssh_from: me"), 2, "'me' is not a network"),
        (SEED.replace("spot: yes", "tags: {Name: x}"), 2, "Name is not yours to set"),
        (SEED.replace("spot: yes", "tags: [a]"), 2, "tags: a mapping"),
        ("cloud: {}\ncluster: {name: c}\nnodes: []\n", 3, "a list of groups of nodes"),
        ("cloud: {}\ncluster: {name: c}\nnodes: [master]\n", 3, "a group of nodes: a mapping"),
        ("cloud: &a {}\ncluster: *a\n", 2, "a spec has no aliases"),
        ("a: &a [b, b]\nc: &c [*a, *a]\nd: [*c, *c]\n", 2, "*a: a spec has no aliases"),
        ("[" * 900, 1, "levels are inside one another"),
        ("cloud: {}\n? [a]\n: b\n", 2, "a key is one word"),
        ("cloud: \x01\n", None, "this is not YAML text"),
        ("cloud: {\n", 2, "expected"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, line: int | None, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, FILE)
    assert message in str(caught.value)
    assert caught.value.line == line
    assert caught.value.path == FILE


def test_one_node_has_the_name_itself_and_a_count_numbers_from_one() -> None:
    assert local("- nodename: a").names == ["a"]
    assert local("- {nodename: a, count: 1}").names == ["a1"]


def test_a_file_is_read_and_one_that_cannot_be_is_named(tmp_path: Path) -> None:
    path = tmp_path / "my spec.yaml"
    with pytest.raises(ConfigError, match=r"my spec.yaml: cannot read the file: No such file"):
        read(path)
    path.write_text(SEED)
    assert read(path).name == "slurm1"
    path.write_bytes(b"cloud: {}\n\xff")
    with pytest.raises(ConfigError, match=r"my spec.yaml:2: this is not UTF-8 text"):
        read(path)
