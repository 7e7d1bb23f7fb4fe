"""Clusters on EC2: each is one CloudFormation stack, made whole, followed and removed whole."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from dust.backends import ec2keys
from dust.backends.ec2client import Cloud, CloudError
from dust.backends.ec2plan import planned
from dust.backends.ec2power import described
from dust.backends.ec2template import template
from dust.clusterspec import Spec
from dust.errors import AbsentError, BackendError
from dust.stack import Follow, Part, Plan, Stack

#: The tag of the stacks that Dust made.
_OURS = "dust:cluster"
#: What CloudFormation says, as a refusal, of a stack that it has not.
_ABSENT = re.compile("does not exist")


class Ec2Stacks:
    """The stacks of an account in a region. Methods may be called from any thread."""

    def __init__(
        self,
        cloud: Cloud,
        label: str,
        sleep: Callable[[float], None] = time.sleep,
        changing: Callable[[], None] = lambda: None,
    ) -> None:
        """Ask nothing yet; `sleep` takes seconds, `changing` is called before nodes change."""
        self.label = label
        self._cloud = cloud
        self._sleep = sleep
        self._changing = changing

    def plan(self, spec: Spec) -> Plan:
        """Check all of a spec against the account; nothing is made."""
        ec2keys.check(spec.name, self._cloud.region)
        if there := self._found(spec.name):
            whose = "" if _is_ours(there) else ", which Dust did not make"
            raise BackendError(
                f"there is a stack {spec.name} already{whose}: {_words(there['StackStatus'])}; "
                f"`cluster status {spec.name}` shows it"
            )
        return planned(self._cloud, spec)

    def create(self, plan: Plan, follow: Follow) -> Stack:
        """Make the stack; on failure it is rolled back and removed, with its key and file."""
        self._changing()
        spec, (images, source) = plan.spec, plan.more
        made = not all(group.options.key for group in spec.groups)
        public = ec2keys.public_key(spec.name) if made else ""
        names = {group.options.username for group in spec.groups}
        ec2keys.remember(spec.name, self._cloud.region, names.pop() if len(names) == 1 else "")
        body = template(spec, [image.image for image in images], public, source)
        try:
            answer = self._call(
                "create_stack",
                StackName=spec.name,
                TemplateBody=json.dumps(body, separators=(",", ":")),
                OnFailure="DELETE",
                Tags=[{"Key": _OURS, "Value": spec.name}],
                ClientRequestToken=uuid.uuid4().hex,
            )
        except CloudError as error:
            if error.code and error.code != "AlreadyExistsException":
                ec2keys.forget(spec.name, self._cloud.region)
                raise BackendError(f"nothing was made: {error}") from error
            raise BackendError(
                f"{error}; `cluster status {spec.name}` tells what is there"
            ) from error
        return self._followed(str(answer["StackId"]), follow)

    def stacks(self) -> list[Stack]:
        """All stacks of the region, by name."""
        pages = self._cloud.pages("cloudformation", "describe_stacks")
        found = [_stack(item) for page in pages for item in page["Stacks"]]
        return sorted(found, key=lambda stack: stack.name)

    def status(self, name: str, follow: Follow) -> Stack:
        """One stack with its resources; also one that is gone, as long as AWS remembers it."""
        return self._followed(str(self._known(name)["StackId"]), follow)

    def delete(self, name: str, follow: Follow) -> Stack:
        """Remove a stack that Dust made, its key and its file; what remains is named."""
        item = self._known(name)
        if not _is_ours(item):
            raise BackendError(f"Dust did not make {name}: remove it by what made it")
        self._changing()
        id = str(item["StackId"])
        if item["StackStatus"] != "DELETE_COMPLETE":
            self._call("delete_stack", StackName=id)
        return self._followed(id, follow, deleting=True)

    # --- inside

    def _call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        return self._cloud.call("cloudformation", operation, **parameters)

    def _found(self, name: str) -> dict[str, Any] | None:
        """A stack by its name or id; one that is gone is known by its id alone."""
        try:
            stacks = self._call("describe_stacks", StackName=name)["Stacks"]
        except CloudError as error:
            if _ABSENT.search(str(error)):
                return None
            raise
        return dict(stacks[0]) if stacks else None

    def _known(self, name: str) -> dict[str, Any]:
        """A stack by its name, or the last one of that name that is gone. Raises `BackendError`."""
        if found := self._found(name):
            return found
        names = set()
        for page in self._cloud.pages("cloudformation", "list_stacks"):
            for item in page["StackSummaries"]:
                if item["StackName"] == name:  # the newest is first
                    return self._found(str(item["StackId"])) or dict(item)
                if item["StackStatus"] != "DELETE_COMPLETE":
                    names.add(str(item["StackName"]))
        close = get_close_matches(name, names, 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise AbsentError(f"there is no cluster {name} in {self.label}{hint}")

    def _followed(self, id: str, follow: Follow, deleting: bool = False) -> Stack:
        """Ask until the stack moves no more."""
        pause = 0.5
        while True:
            item = self._found(id)
            if item is None:
                raise BackendError(f"AWS has forgotten the stack {id}")
            stack = _stack(item)
            if not stack.gone:
                stack = replace(stack, parts=tuple(self._parts(id, stack.name)))
            waits = deleting and not (stack.gone or stack.state == "delete failed")
            if not follow(stack) or not (stack.moving or waits):
                break
            self._sleep(pause)
            pause = min(5.0, pause * 1.5)
        if stack.gone and stack.ours:
            ec2keys.forget(stack.name, self._cloud.region, item.get("DeletionTime"))
        return self._ended(id, stack, deleting)

    def _ended(self, id: str, stack: Stack, deleting: bool) -> Stack:
        """What has become of it, with the reasons where it is not what was wanted."""
        if deleting and stack.gone:
            return stack
        failures = self._failures(id)
        if stack.gone and failures:
            return replace(stack, failed=f"rolled back, nothing of it is left: {failures}")
        if stack.failed and failures:
            return replace(stack, failed=f"{stack.state}: {failures}")
        return stack

    def _parts(self, id: str, name: str) -> Iterator[Part]:
        nodes = self._names(name)
        pages = self._cloud.pages("cloudformation", "list_stack_resources", StackName=id)
        for page in pages:
            for item in page["StackResourceSummaries"]:
                yield Part(
                    nodes.get(str(item["LogicalResourceId"]), str(item["LogicalResourceId"])),
                    str(item["ResourceType"]).rpartition("::")[2],
                    _words(item["ResourceStatus"]),
                    str(item.get("ResourceStatusReason", "")),
                )

    def _names(self, name: str) -> dict[str, str]:
        """The names of the stack's nodes by what its template calls them."""
        found = {}
        for item in described(self._cloud, {"tag:aws:cloudformation:stack-name": [name]}):
            tags = {tag["Key"]: tag["Value"] for tag in item.get("Tags", ())}
            found[tags.get("aws:cloudformation:logical-id", "")] = tags.get("Name", "")
        return {key: text for key, text in found.items() if text}

    def _failures(self, id: str) -> str:
        """What failed, the first first; what was given up because of it is left out."""
        reasons = []
        for page in self._cloud.pages("cloudformation", "describe_stack_events", StackName=id):
            for item in page["StackEvents"]:
                reason = str(item.get("ResourceStatusReason", ""))
                own = item["LogicalResourceId"] == item["StackName"]
                if item["ResourceStatus"].endswith("_FAILED") and not own and _tells(reason):
                    reasons.append(f"{item['LogicalResourceId']}: {reason}")
        return "; ".join(dict.fromkeys(reversed(reasons)))


def _stack(item: Mapping[str, Any]) -> Stack:
    status = str(item["StackStatus"])
    state = _words(status)
    failed = status.endswith("_FAILED") or "ROLLBACK" in status
    return Stack(
        str(item["StackName"]),
        state,
        made=item["CreationTime"].strftime("%Y-%m-%dT%H:%M:%SZ"),
        moving=status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS",
        gone=status == "DELETE_COMPLETE",
        failed=state if failed else "",
        ours=_is_ours(item),
    )


def _is_ours(item: Mapping[str, Any]) -> bool:
    return any(tag["Key"] == _OURS for tag in item.get("Tags", ()))


def _words(status: str) -> str:
    """`CREATE_COMPLETE` as words."""
    return status.lower().replace("_", " ")


def _tells(reason: str) -> bool:
    return bool(reason) and "cancelled" not in reason.lower()
