"""What a moto server lacks of EC2 for whole clusters: keys, placement groups and launch templates
in CloudFormation. Importing this adds it."""

from __future__ import annotations

from typing import Any

from moto.cloudformation import parsing
from moto.core.common_models import CloudFormationModel
from moto.ec2.models import ec2_backends
from moto.ec2.models.instances import Instance
from moto.moto_server.werkzeug_app import DomainDispatcherApplication

#: moto knows a model's service by the second word of this.
_MODULE = "dust.ec2"
_FOUND = DomainDispatcherApplication.get_application


class _Named:
    """What is known by its name."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def physical_resource_id(self) -> str:
        """Its name."""
        return self.name


class KeyPair(_Named, CloudFormationModel):
    """A key whose public half comes with the template."""

    __module__ = _MODULE

    @staticmethod
    def cloudformation_type() -> str:
        """The type of such resources."""
        return "AWS::EC2::KeyPair"

    @staticmethod
    def cloudformation_name_type() -> str:
        """The property that names one."""
        return "KeyName"

    @classmethod
    def create_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: Any,
        account_id: str,
        region_name: str,
        **_more: Any,
    ) -> KeyPair:
        """Import the key."""
        material = cloudformation_json["Properties"]["PublicKeyMaterial"].encode()
        ec2_backends[account_id][region_name].import_key_pair(resource_name, material, {})
        return cls(resource_name)

    @classmethod
    def delete_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str
    ) -> None:
        """Forget the key."""
        ec2_backends[account_id][region_name].delete_key_pair(resource_name)


class PlacementGroup(_Named, CloudFormationModel):
    """A group of instances that are near to one another: here it is a name and nothing more."""

    __module__ = _MODULE

    @staticmethod
    def cloudformation_type() -> str:
        """The type of such resources."""
        return "AWS::EC2::PlacementGroup"

    @staticmethod
    def cloudformation_name_type() -> str:
        """The property that names one."""
        return "GroupName"

    @classmethod
    def create_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: Any,
        account_id: str,
        region_name: str,
        **_more: Any,
    ) -> PlacementGroup:
        """Take the name."""
        return cls(resource_name)

    @classmethod
    def delete_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str
    ) -> None:
        """Nothing is left."""


def _launched(
    _cls: type[Instance], /, _name: str, resource: Any, account: str, region: str, **_more: Any
) -> Instance:
    """An instance of a launch template's making, as EC2 would start it."""
    properties = resource["Properties"]
    backend = ec2_backends[account][region]
    wanted = properties["LaunchTemplate"]
    data = {**backend.get_launch_template(wanted["LaunchTemplateId"]).default_version().data}
    interfaces = data.pop("NetworkInterfaces", [{}])
    more = {"instance_market_options": True} if "InstanceMarketOptions" in data else {}
    if "BlockDeviceMappings" in data:
        more["block_device_mappings"] = data["BlockDeviceMappings"]
    reservation = backend.run_instances(
        image_id=data["ImageId"],
        count=1,
        user_data=data.get("UserData"),
        security_group_names=[],
        security_group_ids=data.get("SecurityGroupIds") or interfaces[0].get("Groups", []),
        instance_type=data["InstanceType"],
        is_instance_type_default=False,
        key_name=data["KeyName"],
        subnet_id=interfaces[0].get("SubnetId"),
        associate_public_ip=True,
        tags={"instance": {tag["Key"]: tag["Value"] for tag in properties["Tags"]}},
        region_name=region,
        **more,
    )
    instance: Instance = reservation.instances[0]
    return instance


def _no_prices(_environ: Any, start: Any) -> list[bytes]:
    """A price list in which nothing is: the server has none."""
    start("200 OK", [("Content-Type", "application/x-amz-json-1.1")])
    return [b'{"FormatVersion": "aws_v1", "PriceList": []}']


def _answering(
    self: DomainDispatcherApplication, environ: dict[str, Any], found: Any = _FOUND
) -> Any:
    """What answers a call."""
    priced = environ.get("HTTP_X_AMZ_TARGET", "").startswith("AWSPriceListService.")
    return _no_prices if priced else found(self, environ)


setattr(DomainDispatcherApplication, "get_application", _answering)  # noqa: B010
setattr(Instance, "create_from_cloudformation_json", classmethod(_launched))  # noqa: B010
parsing.get_model_list.cache_clear()
parsing.get_model_map.cache_clear()
