"""A cluster's spec as a CloudFormation template, in plain dicts."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from dust.clusterspec import Group, Spec

_VPC_NETWORK = "10.0.0.0/16"
_ANYWHERE = "0.0.0.0/0"

Resource = dict[str, Any]


@dataclass(frozen=True)
class Image:
    """An image as EC2 knows it: its id, its root device and who logs in to it."""

    id: str
    device: str
    username: str


def template(spec: Spec, images: Sequence[Image], public_key: str, caller: str) -> dict[str, Any]:
    """Return the template of a stack that is this cluster.

    `images` are those of the groups, in their order; `public_key` is the key that is made for
    the cluster (used by groups that name none), `caller` the network that ssh comes from unless
    the spec says another. Node N of the cluster is the resource `NodeN`, numbered as `spec.names`.
    """
    resources: dict[str, Resource] = {}
    if spec.create_vpc:
        resources |= _vpc(spec)
    resources |= _security(spec, spec.allow_ssh_from or caller)
    if any(group.options.use_placement_group for group in spec.groups):
        strategy = {"Strategy": "cluster"}
        resources["Placement"] = {"Type": "AWS::EC2::PlacementGroup", "Properties": strategy}
    if not all(group.options.key for group in spec.groups):
        key = {"KeyName": f"dust-{spec.name}", "PublicKeyMaterial": public_key}
        resources["Key"] = {"Type": "AWS::EC2::KeyPair", "Properties": key}
    number = 0
    for index, (group, image) in enumerate(zip(spec.groups, images, strict=True), 1):
        launch = f"Launch{index}"
        resources[launch] = _launch(spec, group, image)
        for name in group.names:
            number += 1
            username = group.options.username or image.username
            resources[f"Node{number}"] = _node(spec, group, name, launch, username)
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"Dust cluster {spec.name}",
        "Resources": resources,
    }


def _node(spec: Spec, group: Group, name: str, launch: str, username: str) -> Resource:
    tags = {
        **group.options.tags,
        "Name": name,
        "dust:cluster": spec.name,
        "dust:username": username,
    }
    version = {"Fn::GetAtt": [launch, "LatestVersionNumber"]}
    node: Resource = {
        "Type": "AWS::EC2::Instance",
        "Properties": {
            "LaunchTemplate": {"LaunchTemplateId": {"Ref": launch}, "Version": version},
            "Tags": _tags(tags),
        },
    }
    if spec.create_vpc:  # a node that boots before there is a way out cannot set itself up
        node["DependsOn"] = ["DefaultRoute", "SubnetRoutes"]
    return node


def _launch(spec: Spec, group: Group, image: Image) -> Resource:
    """All that the nodes of a group have in common: a node itself is then a few lines."""
    options = group.options
    data: dict[str, Any] = {
        "ImageId": image.id,
        "InstanceType": group.instance_type,
        "KeyName": options.key or {"Ref": "Key"},
        "MetadataOptions": {"HttpTokens": "required"},
    }
    security = {"Fn::GetAtt": ["Security", "GroupId"]}
    subnet = {"Ref": "Subnet"} if spec.create_vpc else options.subnet_id
    if subnet:
        interface = {"DeviceIndex": 0, "SubnetId": subnet, "Groups": [security]}
        if spec.create_vpc:
            interface["AssociatePublicIpAddress"] = True
        data["NetworkInterfaces"] = [interface]
    else:
        data["SecurityGroupIds"] = [security]
    if options.volume:
        disk = {"VolumeSize": options.volume, "VolumeType": "gp3", "DeleteOnTermination": True}
        data["BlockDeviceMappings"] = [{"DeviceName": image.device, "Ebs": disk}]
    if options.user_data:
        data["UserData"] = base64.b64encode(options.user_data.encode()).decode()
    if options.use_placement_group:
        data["Placement"] = {"GroupName": {"Ref": "Placement"}}
    if options.spot:
        market: dict[str, Any] = {"MarketType": "spot"}
        if options.max_price:
            market["SpotOptions"] = {"MaxPrice": options.max_price}
        data["InstanceMarketOptions"] = market
    return {"Type": "AWS::EC2::LaunchTemplate", "Properties": {"LaunchTemplateData": data}}


def _security(spec: Spec, source: str) -> dict[str, Resource]:
    """Everything inside the cluster, and ssh from `source`."""
    family = "CidrIpv6" if ip_network(source).version == 6 else "CidrIp"
    ssh = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, family: source}
    group: dict[str, Any] = {
        "GroupDescription": f"Dust cluster {spec.name}",
        "SecurityGroupIngress": [ssh],
    }
    if spec.create_vpc:
        group["VpcId"] = {"Ref": "Vpc"}
    elif spec.vpc_id:
        group["VpcId"] = spec.vpc_id
    own = {"Fn::GetAtt": ["Security", "GroupId"]}
    inside = {"GroupId": own, "SourceSecurityGroupId": own, "IpProtocol": "-1"}
    return {
        "Security": {"Type": "AWS::EC2::SecurityGroup", "Properties": group},
        "Inside": {"Type": "AWS::EC2::SecurityGroupIngress", "Properties": inside},
    }


def _vpc(spec: Spec) -> dict[str, Resource]:
    """A network with one public subnet, and its way out."""
    vpc, gateway, routes, subnet = (
        {"Ref": name} for name in ("Vpc", "Gateway", "Routes", "Subnet")
    )
    network = {"CidrBlock": _VPC_NETWORK, "EnableDnsHostnames": True, "EnableDnsSupport": True}
    network["Tags"] = _tags({"Name": spec.name})
    to_gateway = {
        "RouteTableId": routes,
        "DestinationCidrBlock": _ANYWHERE,
        "GatewayId": gateway,
    }
    of_subnet = {"RouteTableId": routes, "SubnetId": subnet}
    return {
        "Vpc": _ec2("VPC", network),
        "Gateway": _ec2("InternetGateway", {}),
        "Attachment": _ec2("VPCGatewayAttachment", {"VpcId": vpc, "InternetGatewayId": gateway}),
        "Subnet": _ec2("Subnet", {"VpcId": vpc, "CidrBlock": _VPC_NETWORK}),
        "Routes": _ec2("RouteTable", {"VpcId": vpc}),
        "DefaultRoute": {**_ec2("Route", to_gateway), "DependsOn": "Attachment"},
        "SubnetRoutes": _ec2("SubnetRouteTableAssociation", of_subnet),
    }


def _ec2(kind: str, properties: Mapping[str, Any]) -> Resource:
    return {"Type": f"AWS::EC2::{kind}", "Properties": dict(properties)}


def _tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
