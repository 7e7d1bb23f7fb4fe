import json
from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import lint
from cfnlint.config import ManualArgs

from dust.backends.ec2template import Image, template
from dust.specfile import MOST_NODES, parse

X86 = Image("ami-0123456789abcdef0", "/dev/xvda", "ec2-user")
ARM = Image("ami-0fedcba9876543210", "/dev/sda1", "ubuntu")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGm1 dust"


def made(cluster: str = "", nodes: str = "nodename: a", images: tuple[Image, ...] = (X86,)) -> Any:
    """The template of a spec, which cfn-lint has nothing against."""
    text = f"""\
cloud: {{region: us-east-1}}
cluster: {{name: slurm1, {cluster}}}
nodes: [{{instance_type: c7i.large, {nodes}}}]
"""
    return checked(text, images)


def checked(text: str, images: tuple[Image, ...]) -> Any:
    found = template(parse(text, Path("spec.yaml")), images, KEY, "192.0.2.7/32")
    problems = lint(json.dumps(found), config=ManualArgs(regions=["us-east-1"]))
    assert not problems, problems
    return found["Resources"]


def of(resources: Any, kind: str) -> list[Any]:
    return [
        each["Properties"] for each in resources.values() if each["Type"] == f"AWS::EC2::{kind}"
    ]


def launch(resources: Any) -> Any:
    (only,) = of(resources, "LaunchTemplate")
    return only["LaunchTemplateData"]


def test_every_node_is_named_at_launch() -> None:
    resources = made(nodes="nodename: worker, count: 3, tags: {env: dev}")
    tags = [
        {tag["Key"]: tag["Value"] for tag in node["Tags"]} for node in of(resources, "Instance")
    ]
    assert [each["Name"] for each in tags] == ["worker1", "worker2", "worker3"]
    for each in tags:
        assert each["env"] == "dev"
        assert (each["dust:cluster"], each["dust:username"]) == ("slurm1", "ec2-user")


def test_all_is_open_inside_and_ssh_from_the_caller_alone() -> None:
    resources = made()
    (group,) = of(resources, "SecurityGroup")
    assert group["SecurityGroupIngress"] == [
        {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "192.0.2.7/32"}
    ]
    (inside,) = of(resources, "SecurityGroupIngress")
    assert inside["SourceSecurityGroupId"] == inside["GroupId"]
    assert inside["IpProtocol"] == "-1"


@pytest.mark.parametrize(
    ("network", "key"), [("198.51.100.0/24", "CidrIp"), ("2001:db8::/32", "CidrIpv6")]
)
def test_ssh_from_a_network_that_is_named(network: str, key: str) -> None:
    (group,) = of(made(f'allow_ssh_from: "{network}"'), "SecurityGroup")
    assert group["SecurityGroupIngress"][0][key] == network


def test_spot_nodes_with_a_price_and_without() -> None:
    assert "InstanceMarketOptions" not in launch(made())
    assert launch(made("spot: yes"))["InstanceMarketOptions"] == {"MarketType": "spot"}
    market = launch(made("spot: yes, max_price: 0.05"))["InstanceMarketOptions"]
    assert market["SpotOptions"] == {"MaxPrice": "0.05"}


def test_a_placement_group() -> None:
    resources = made("use_placement_group: yes")
    assert of(resources, "PlacementGroup") == [{"Strategy": "cluster"}]
    assert launch(resources)["Placement"] == {"GroupName": {"Ref": "Placement"}}


def test_a_network_that_is_made() -> None:
    resources = made("create_vpc: yes")
    assert of(resources, "SecurityGroup")[0]["VpcId"] == {"Ref": "Vpc"}
    (interface,) = launch(resources)["NetworkInterfaces"]
    assert interface["SubnetId"] == {"Ref": "Subnet"}
    assert interface["AssociatePublicIpAddress"]
    assert "SecurityGroupIds" not in launch(resources)


def test_a_network_that_is_given() -> None:
    resources = made("vpc_id: vpc-01234567, subnet_id: subnet-89abcdef")
    assert of(resources, "SecurityGroup")[0]["VpcId"] == "vpc-01234567"
    assert launch(resources)["NetworkInterfaces"][0]["SubnetId"] == "subnet-89abcdef"
    assert not of(resources, "VPC")


def test_a_key_that_is_made_and_one_that_is_given() -> None:
    resources = made()
    assert of(resources, "KeyPair") == [{"KeyName": "dust-slurm1", "PublicKeyMaterial": KEY}]
    assert launch(resources)["KeyName"] == {"Ref": "Key"}
    resources = made("key: mine")
    assert not of(resources, "KeyPair")
    assert launch(resources)["KeyName"] == "mine"


def test_a_root_disk_and_user_data() -> None:
    data = launch(made("volume: 50", 'nodename: a, user_data: "#!/bin/sh\\necho \\u00e9"'))
    (disk,) = data["BlockDeviceMappings"]
    assert (disk["DeviceName"], disk["Ebs"]["VolumeSize"]) == ("/dev/xvda", 50)
    assert data["UserData"] == "IyEvYmluL3NoCmVjaG8gw6k="


def test_groups_of_two_architectures() -> None:
    text = """\
cloud: {region: us-east-1}
cluster: {name: mixed, spot: yes}
nodes:
- {nodename: master, instance_type: c7i.large, spot: no}
- {nodename: worker, instance_type: c7g.xlarge, count: 2}
"""
    resources = checked(text, (X86, ARM))
    first, second = (each["LaunchTemplateData"] for each in of(resources, "LaunchTemplate"))
    assert (first["ImageId"], second["ImageId"]) == (X86.id, ARM.id)
    assert ("InstanceMarketOptions" in first, "InstanceMarketOptions" in second) == (False, True)
    launches = [
        node["LaunchTemplate"]["LaunchTemplateId"]["Ref"] for node in of(resources, "Instance")
    ]
    assert launches == ["Launch1", "Launch2", "Launch2"]


def test_the_largest_cluster_fits_in_one_request() -> None:
    text = f"""\
cloud: {{region: us-east-1}}
cluster: {{name: {"c" * 50}, create_vpc: yes, use_placement_group: yes, spot: yes}}
nodes: [{{nodename: {"n" * 47}, instance_type: c7i.large, count: {MOST_NODES}}}]
"""
    found = template(parse(text, Path("spec.yaml")), (X86,), KEY, "192.0.2.7/32")
    assert len(json.dumps(found, separators=(",", ":"))) <= 51200
