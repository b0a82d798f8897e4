"""Every event is a valid one of its OCSF class, by the schema's required attributes, constraints and enumerations."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from backend.audit.actions import ACTIONS
from backend.audit.actions.keys import KeyRevoked
from backend.audit.events import Event, Outcome, envelope
from backend.identity.callers.caller import Caller
from backend.review.exports.ocsf import ocsf

# Facts of https://schema.ocsf.io, version 1.3.0. A dotted name is a member of an object.
REQUIRED = {
    None: (
        "activity_id", "category_uid", "class_uid", "metadata.product.vendor_name", "metadata.version", "severity_id", "time",
        "type_uid",
    ),
    3002: ("user",),
    3004: ("entity",),
    6003: ("actor", "api.operation", "src_endpoint"),
}  # fmt: skip
# Of each of these sets one must be there, where the object that they belong to is.
AT_LEAST_ONE = {
    None: ({"metadata.product.name", "metadata.product.uid"},),
    3002: ({"service", "dst_endpoint"}, {"user.account", "user.name", "user.uid"}),
    3004: ({"entity.name", "entity.uid"},),
    6003: ({"src_endpoint.ip", "src_endpoint.uid", "src_endpoint.name", "src_endpoint.hostname"},),
}
CLASSES = {3002: ("Authentication", 3), 3004: ("Entity Management", 3), 6003: ("API Activity", 6)}
CATEGORIES = {3: "Identity & Access Management", 6: "Application Activity"}
CRUD = {1: "Create", 2: "Read", 3: "Update", 4: "Delete", 99: "Other"}
ACTIVITIES = {3002: {1: "Logon", 2: "Logoff", 99: "Other"}, 3004: CRUD, 6003: CRUD}
SEVERITIES = {1: "Informational", 2: "Low", 3: "Medium", 4: "High", 5: "Critical", 6: "Fatal"}
STATUSES = {1: "Success", 2: "Failure"}
ACCOUNT_TYPES = {1: "User", 2: "Admin", 3: "System"}  # for 99 the source's own word stands beside it


def found(event: Mapping[str, Any], name: str) -> Any:
    member: Any = event
    for part in name.split("."):
        if not isinstance(member, Mapping) or part not in member:
            return None
        member = member[part]
    return member


def lacking(event: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    return [name for name in names if found(event, name) in (None, "")]


def spelt(action: str, outcome: Outcome = Outcome.SUCCEEDED, kind: str = "user", **changed: Any) -> dict[str, Any]:
    actor = Caller(uuid7(), "", uuid7() if kind in {"user", "key"} else None, kind, "", "request", **changed)
    event = Event(KeyRevoked(id=UUID(int=7)), outcome, "reason")
    return ocsf(envelope(uuid7(), datetime.now(UTC), actor, event, {}) | {"action": action}, 41)


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("kind", ["user", "key", "operator", "anonymous"])
def test_every_event_has_what_its_class_requires(action: str, kind: str) -> None:
    for source in (None, "192.0.2.7"):
        event = spelt(action, kind=kind, source_address=source)
        own = event["class_uid"]
        assert lacking(event, (*REQUIRED[None], *REQUIRED[own])) == []
        for names in (*AT_LEAST_ONE[None], *AT_LEAST_ONE[own]):
            assert len(lacking(event, names)) < len(names), names


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("outcome", Outcome)
def test_every_number_is_one_of_its_enumeration_and_its_name_says_the_same(action: str, outcome: Outcome) -> None:
    event = spelt(action, outcome)
    own = event["class_uid"]
    assert (event["class_name"], event["category_uid"]) == CLASSES[own]
    assert event["category_name"] == CATEGORIES[own // 1000]
    assert event["activity_name"] == ACTIVITIES[own][event["activity_id"]]
    assert event["type_uid"] == own * 100 + event["activity_id"]
    assert event["type_name"] == f"{event['class_name']}: {event['activity_name']}"
    assert event["severity"] == SEVERITIES[event["severity_id"]]
    assert event["status"] == STATUSES[event["status_id"]]
    assert (event["status"] == "Failure") == (outcome in {Outcome.DENIED, Outcome.FAILED})
    assert event["actor"]["user"]["type"] == ACCOUNT_TYPES[event["actor"]["user"]["type_id"]]
    assert event["metadata"]["sequence"] == 41
    assert type(event["time"]) is int


@pytest.mark.parametrize("action", [action for action in ACTIONS if action != "access:denied"])  # nothing was done
def test_every_act_but_a_denial_signs_in_creates_reads_updates_or_deletes(action: str) -> None:
    assert spelt(action)["activity_id"] != 99
