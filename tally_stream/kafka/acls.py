"""Who may do what in Kafka: the table a person keeps, the rules that the brokers have, and where the two differ.

Decides what a table of principals says (deploy/kafka/acls.toml is the one that ships), which rules follow from it for a
prefix, and which of the brokers' rules touch our topics and stand in no table. `compare` decides, on what the brokers
described; `check_access` asks them, `give_access` makes what is missing. It refuses to guess what several rules together allow:
a rule is there as the table has it, or it is missing.
"""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Annotated, Any, Literal

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import for_code
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from tally_stream.kafka.client import REQUEST_TIMEOUT_MS, closed, connection
from tally_stream.kafka.topics import Topics
from tally_stream.settings import Settings

SEEN_SECONDS = 30.0
SEEN_LOOK_SECONDS = 0.1
"""Brokers learn of a rule from the controller, after whoever made it was told that it is made."""

EVERYONE = "User:*"
ANY, LITERAL, PREFIXED = 1, 3, 4
DENY, ALLOW = 2, 3
RESOURCES = {2: "topic", 3: "group", 4: "cluster", 5: "transactional id", 6: "delegation token", 7: "user"}
OPERATIONS = {
    2: "All", 3: "Read", 4: "Write", 5: "Create", 6: "Delete", 7: "Alter", 8: "Describe", 9: "ClusterAction",
    10: "DescribeConfigs", 11: "AlterConfigs", 12: "IdempotentWrite", 13: "CreateTokens", 14: "DescribeTokens",
    15: "TwoPhaseCommit",
}  # fmt: skip
"""Kafka's own numbers and names."""

NOT_ALLOWED, NO_AUTHORIZER = 31, 54
"""Its error codes CLUSTER_AUTHORIZATION_FAILED and SECURITY_DISABLED; aiokafka has no name for the second."""

HARMLESS = {"Describe", "DescribeConfigs", "IdempotentWrite"}
"""What a principal that is in no table may do to the cluster without touching a count."""

CLUSTER = "kafka-cluster"

_TopicName = Literal["reports", "partials", "standings", "rejections", "changes"]
_OnTopic = Literal["Read", "Write", "Create", "Delete", "Alter", "Describe", "DescribeConfigs", "AlterConfigs"]
_OnGroup = Literal["Read", "Describe", "Delete"]
_OnCluster = Literal[
    "Create", "Alter", "Describe", "ClusterAction", "DescribeConfigs", "AlterConfigs", "IdempotentWrite"
]  # fmt: skip
_Principal = Annotated[str, Field(pattern=r"^User:[^*].*$")]


class AclsError(Exception):
    """`errors` are sentences: mistakes of a table, or what the brokers refused."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


class AccessRole(BaseModel):
    """What the principals of one role may do, and why."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    why: str = Field(min_length=1)
    principals: list[_Principal] = Field(min_length=1)
    topics: dict[_TopicName, list[_OnTopic]] = {}
    group: list[_OnGroup] = []
    cluster: list[_OnCluster] = []


_ROLES = TypeAdapter(dict[str, AccessRole])


@dataclass(frozen=True, order=True, slots=True)
class AccessRule:
    """One of Kafka's access rules. `resource` and `operation` in Kafka's own words; `is_prefix`: `name` is the beginning of
    the names it is about; a `name` of `*` is every one."""

    principal: str
    resource: str
    name: str
    operation: str
    host: str = "*"
    is_prefix: bool = False
    is_denied: bool = False

    def __str__(self) -> str:
        """As the end of a sentence: `User:worker Read on the topic tally.reports`."""
        named = "the cluster" if self.resource == "cluster" else f"the {self.resource} {self.name}"
        if self.is_prefix:
            named = f"every {self.resource} that begins with {self.name}"
        elif self.name == "*":
            named = f"every {self.resource}"
        come_from = "" if self.host == "*" else f" from {self.host}"
        return f"{self.principal} {self.operation} on {named}{come_from}"

    def covers(self, name: str) -> bool:
        return self.name in ("*", name) or (self.is_prefix and name.startswith(self.name))


@dataclass(frozen=True, slots=True)
class AccessTable:
    """The rules of a table for one prefix and group. `path` as it was given, for messages."""

    path: Path
    topics: Topics
    group: str
    rules: frozenset[AccessRule]

    @property
    def principals(self) -> frozenset[str]:
        return frozenset(rule.principal for rule in self.rules)

    def is_touched_by(self, rule: AccessRule) -> bool:
        """Whether a rule says something about our topics, our group or, of what can change a count, the cluster. Other
        topics of our principals are not: a rehearsal has a prefix of its own on the same brokers. What everybody may, our
        principals may."""
        if rule.resource == "topic":
            return any(rule.covers(name) for name in self.topics.all)
        if rule.resource == "group":
            return rule.covers(self.group)
        is_ours = rule.principal in {*self.principals, EVERYONE}
        if rule.resource == "cluster":
            return is_ours or rule.operation not in HARMLESS
        return is_ours


def read_table(path: Path, settings: Settings) -> AccessTable:
    """Raises AclsError with every mistake of the file."""
    try:
        roles = _ROLES.validate_python(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise AclsError([f"{path}: {error.strerror or error}"]) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise AclsError([f"{path}: {error}"]) from error
    except ValidationError as error:
        raise AclsError([_mistake(path, item) for item in error.errors(include_url=False, include_input=False)]) from error
    if not roles:
        raise AclsError([f"{path}: no role stands in it"])
    topics = Topics(settings.prefix)
    return AccessTable(path, topics, settings.group_id, frozenset(_rules(roles, topics, settings.group_id)))


def _mistake(path: Path, item: Any) -> str:
    where = ".".join(str(part) for part in item["loc"])
    message = item["msg"]
    if "User:" in message:
        message = "a principal is written User:NAME, and * is nobody in particular"
    return f"{path}: {where}: {message[:1].lower()}{message[1:]}"


def _rules(roles: dict[str, AccessRole], topics: Topics, group: str) -> Iterable[AccessRule]:
    for role in roles.values():
        for principal in role.principals:
            for topic, operations in role.topics.items():
                for operation in operations:
                    yield AccessRule(principal, "topic", f"{topics.prefix}.{topic}", operation)
            for on_group in role.group:
                yield AccessRule(principal, "group", group, on_group)
            for on_cluster in role.cluster:
                yield AccessRule(principal, "cluster", CLUSTER, on_cluster)


@dataclass(frozen=True, slots=True)
class AccessReport:
    """Where table and brokers differ: rules the brokers lack; rules they have and the table has not, of `ours` (principals of
    the table) and of others, denials included."""

    missing: list[AccessRule]
    surplus: list[AccessRule]
    table: AccessTable

    @property
    def sentences(self) -> list[str]:
        path = self.table.path
        return [
            *(f"access: missing: {rule}; tally-stream topics create --acls {path} gives it" for rule in self.missing),
            *(f"access: denied, and not in {path}: {rule}" if rule.is_denied else f"access: allowed, and not in {path}: {rule}"
              for rule in self.surplus),
        ]  # fmt: skip


def compare(table: AccessTable, found: Iterable[AccessRule]) -> AccessReport:
    """`found`: every rule of the brokers."""
    known = set(found)
    surplus = [rule for rule in known - table.rules if table.is_touched_by(rule)]
    return AccessReport(sorted(table.rules - known), sorted(surplus), table)


async def check_access(settings: Settings, table: AccessTable) -> AccessReport:
    """Ask the brokers for their rules. Raises AclsError where they have none to tell, or do not tell us."""
    async with _client(settings) as client:
        return compare(table, await _described(client, settings))


async def give_access(
    settings: Settings, table: AccessTable, *, revokes: bool
) -> tuple[list[AccessRule], list[AccessRule], AccessReport]:
    """Make what is missing and, with `revokes`, take from the table's own principals what it does not give them.

    Returns the rules given, those taken, and what still differs. Raises AclsError with every refusal.
    """
    async with _client(settings) as client:
        before = compare(table, await _described(client, settings))
        taken = [rule for rule in before.surplus if rule.principal in table.principals] if revokes else []
        errors = [
            *[await _sent(client, CreateAclsRequest, rule) for rule in before.missing],
            *[await _sent(client, DeleteAclsRequest, rule) for rule in taken],
        ]
        refused = sorted({_why_not(settings, code, message) for code, message in errors if code != 0})
        if refused:
            raise AclsError(refused)
        end = monotonic() + SEEN_SECONDS
        while True:
            after = compare(table, await _described(client, settings))
            if not after.missing and not set(taken).intersection(after.surplus):
                return before.missing, taken, after
            if monotonic() >= end:
                raise AclsError([f"the brokers took the rules, and do not show them after {SEEN_SECONDS:.0f} s"])
            await asyncio.sleep(SEEN_LOOK_SECONDS)


@asynccontextmanager
async def _client(settings: Settings) -> AsyncIterator[AIOKafkaClient]:
    """aiokafka's admin client has no word for rules; its plain one sends any request."""
    client = AIOKafkaClient(**connection(settings), request_timeout_ms=REQUEST_TIMEOUT_MS)
    try:
        await client.bootstrap()
        yield client
    finally:
        await closed(client.close)


async def _described(client: AIOKafkaClient, settings: Settings) -> set[AccessRule]:
    answer = await client.send(client.get_random_node(), DescribeAclsRequest(ANY, None, ANY, None, None, ANY, ANY))
    if answer.error_code != 0:
        raise AclsError([_why_not(settings, answer.error_code, answer.error_message)])
    found = set()
    for kind, name, pattern, rules in answer.resources:
        for principal, host, operation, permission in rules:
            resource, does = RESOURCES.get(kind, f"resource {kind}"), OPERATIONS.get(operation, f"operation {operation}")
            found.add(AccessRule(principal, resource, name, does, host, pattern == PREFIXED, permission == DENY))
    return found


async def _sent(client: AIOKafkaClient, request: Any, rule: AccessRule) -> tuple[int, str]:
    """Create or delete one rule; the brokers' error code and message."""
    resources, operations = ({name: code for code, name in known.items()} for known in (RESOURCES, OPERATIONS))
    answer = await client.send(client.get_random_node(), request(
        resources[rule.resource], rule.name, PREFIXED if rule.is_prefix else LITERAL, rule.principal, rule.host,
        operations[rule.operation], DENY if rule.is_denied else ALLOW,
    ))  # fmt: skip
    ((code, message, *_),) = answer.creation_responses if request is CreateAclsRequest else answer.filter_responses
    return code, message or ""


def _why_not(settings: Settings, code: int, message: str | None) -> str:
    if code == NO_AUTHORIZER:
        return f"the brokers at {settings.bootstrap} have no authorizer: everybody may do everything, and rules can't be kept"
    if code == NOT_ALLOWED:
        who = settings.security_username or "this client"
        return (f"the brokers at {settings.bootstrap} do not let {who} see or make access rules: seeing takes Describe on the "
                "cluster, making takes a super user")  # fmt: skip
    return f"access rules: {message or for_code(code).__name__}"
