"""What events tell is said by one class for each action, and what earlier releases sealed is still read."""

import ast
import re
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_type_hints
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.audit.actions import ACTIONS
from backend.audit.actions.keys import KeyCreated, KeyRevoked
from backend.audit.actions.operation import TenantChanged
from backend.audit.canonical import canonical_json
from backend.audit.details import LISTED_BYTES, Activity, Details, Member, UnreadableEvent, leading
from backend.audit.events import Event, envelope
from backend.identity.callers.caller import Caller

ROOT = Path(__file__).resolve().parents[2]
OF_0_1_0 = [orjson.loads(line) for line in (ROOT / "tests/releases/0.1.0.events.ndjson").read_bytes().splitlines()]
MEMBERS = {kind.__name__ for kind in (*Member.__subclasses__(), *ACTIONS.values())}
TIME = datetime(2026, 11, 28, tzinfo=UTC)
KEY = UUID("01a223e3-d65e-71a7-9107-ac984f7b21fe")
ENVELOPE = {
    "v", "id", "time", "tenant", "principal", "request_id", "source", "door", "action", "outcome", "reason", "payloads",
    "service", "schema", "operator",
}  # fmt: skip


def told(event: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name not in ENVELOPE}


def respelt(value: Any) -> Any:
    """Times as they are spelt since; 0.1.0 left some as Python spells them."""
    if isinstance(value, dict):
        return {name: respelt(item) for name, item in value.items()}
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", value):
        return value.removesuffix("+00:00") + "Z"
    return value


@pytest.mark.parametrize("event", OF_0_1_0, ids=lambda event: event["action"])
def test_an_event_of_the_first_release_is_read_whole(event: dict[str, Any]) -> None:
    read = ACTIONS[event["action"]].of(event)
    assert orjson.loads(canonical_json(read.members())) == respelt(told(event))


def test_the_first_release_recorded_most_actions() -> None:
    assert len({event["action"] for event in OF_0_1_0}) > 35


def test_no_member_is_one_of_the_envelope() -> None:
    for action, kind in ACTIONS.items():
        names = {kind.within} if kind.within else {field.name for field in fields(kind)}
        assert not names & ENVELOPE, action


def test_a_misspelt_member_is_refused() -> None:
    with pytest.raises(TypeError):
        KeyRevoked(identifier=KEY)  # type: ignore[call-arg]


def test_a_member_of_another_type_is_not_read() -> None:
    with pytest.raises(ValueError, match="uuid"):
        KeyRevoked.of({"action": "key:revoked", "key": {"id": "none"}})


def test_an_event_of_another_action_is_not_read() -> None:
    with pytest.raises(UnreadableEvent):
        KeyRevoked.of({"action": "key:rotated", "key": {"id": str(KEY)}})


def test_an_event_of_a_later_schema_is_not_read() -> None:
    with pytest.raises(UnreadableEvent):
        KeyRevoked.of({"action": "key:revoked", "schema": 2, "key": {"id": str(KEY)}})


def test_an_action_has_one_class() -> None:
    with pytest.raises(TypeError, match="two classes"):

        class RevokedAgain(Details, action="key:revoked"):
            pass


def test_a_schema_that_rose_is_named_and_reads_what_was_written_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(ACTIONS, "key:revoked")

    class Revoked(Details, action="key:revoked", schema=2, within="key"):
        number: int

        @classmethod
        def upgraded(cls, told: Mapping[str, Any], written: int) -> Mapping[str, Any]:
            return {"number": int(told["id"])} if written == 1 else told

    caller = Caller(KEY, "", None, "operator", "", "r")
    events = orjson.loads(canonical_json(envelope(KEY, TIME, caller, Event(Revoked(number=7)), {})))
    assert events["schema"] == 2
    assert Revoked.of(events) == Revoked.of({"action": "key:revoked", "key": {"id": "7"}}) == Revoked(number=7)
    monkeypatch.delitem(ACTIONS, "key:revoked")


def test_what_is_unknown_is_left_out() -> None:
    assert TenantChanged(slug="first").members() == {"slug": "first"}


@given(st.lists(st.integers(1, 4000), max_size=30))
def test_as_many_items_are_listed_as_fit(sizes: list[int]) -> None:
    items = [KeyCreated(id=KEY, permissions=["x" * size]) for size in sizes]
    listed = leading(items)
    lengths = [len(orjson.dumps(item.members())) + 1 for item in items]
    assert listed == items[: len(listed)]
    assert sum(lengths[: len(listed)]) <= LISTED_BYTES
    assert len(listed) == len(items) or sum(lengths[: len(listed) + 1]) > LISTED_BYTES


def test_every_action_says_what_it_does_to_its_object() -> None:
    other = {action for action, kind in ACTIONS.items() if kind.activity is Activity.OTHER}
    assert other == {"auth:succeeded", "auth:failed", "access:denied"}


def test_no_service_records_a_bare_dict() -> None:
    """What `Event` is given is made of a class, so that mypy knows the names and types of all its members."""
    hints = get_type_hints(Event)
    assert hints["details"] is Details
    assert not [name for name, hint in hints.items() if hint is dict or "Any" in str(hint)]
    unpacked = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in (ROOT / "backend").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in MEMBERS
        if any(keyword.arg is None for keyword in node.keywords)
    ]
    assert unpacked == []  # `Class(**a_dict)` is checked by nobody
