"""What SCIM's routes take and return, for the document of the API: made by the code that answers."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from scim2_models import BaseModel as ScimModel
from scim2_models import Context, ListResponse, Resource

from backend.gateways.scim.conversion import group_resource, user_resource
from backend.gateways.scim.errors import MEDIA_TYPE
from backend.gateways.scim.resources import Group, User
from backend.identity.provisioning.models import ProvisionedGroup, ProvisionedUser, Reference

Schema = dict[str, Any]

_URL = "http://127.0.0.1:8000"
_USER_ID, _GROUP_ID = UUID("0196f0d2-7c4b-7c4e-8f3a-2b1c0d9e8f7a"), UUID("0196f0d2-7c4b-7c4e-8f3a-2b1c0d9e8f7b")
_TIME = datetime(2026, 4, 1, 9, 30, tzinfo=UTC)
_NAME = "dana@bank.example"
_PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

_USER = user_resource(
    ProvisionedUser(
        id=_USER_ID, user_name=_NAME, external_id="00u1a2b3c4", active=True, created_at=_TIME, changed_at=_TIME,
        attributes={"displayName": "Dana Analyst", "name": {"givenName": "Dana", "familyName": "Analyst"},
                    "emails": [{"value": _NAME, "type": "work", "primary": True}]},
        groups=[Reference(_GROUP_ID, "Risk")],
    ), _URL,
)  # fmt: skip
_GROUP = group_resource(
    ProvisionedGroup(
        id=_GROUP_ID, name="Risk", external_id="00g1a2b3c4", members=[_USER_ID], created_at=_TIME,
        changed_at=_TIME,
    ), _URL,
)  # fmt: skip


def dumped(resource: ScimModel) -> Schema:
    """Returns a resource as it is returned."""
    shown: Schema = resource.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE)
    return shown


def page_of(kind: type[Resource[Any]], resources: list[Any]) -> Schema:
    """Returns resources as one page of a list."""
    count = len(resources)
    listed = ListResponse[kind](  # type: ignore[valid-type]
        total_results=count, start_index=1, items_per_page=count, resources=resources
    )
    return dumped(listed)


USER, GROUP = dumped(_USER), dumped(_GROUP)
USERS, GROUPS = page_of(User, [_USER]), page_of(Group, [_GROUP])


def shows(example: Schema, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """Returns the response of a route in the document of the API."""
    shown = _without_addresses(example)
    content = {MEDIA_TYPE: {"schema": {"type": "object", "additionalProperties": True}, "example": shown}}
    return {int(status): {"description": "As SCIM 2.0 has it.", "content": content}}


def _without_addresses(shown: Any) -> Any:  # noqa: ANN401 - whatever an example holds
    """Returns an example without `$ref`, which readers of OpenAPI take for a part of the document and fetch."""
    if isinstance(shown, list):
        return [_without_addresses(item) for item in shown]
    if isinstance(shown, dict):
        return {name: _without_addresses(value) for name, value in shown.items() if name != "$ref"}
    return shown


def asks(schema: Schema) -> Schema:
    """Returns the body of a route in the document of the API."""
    return {"requestBody": {"content": {MEDIA_TYPE: {"schema": schema}}}}


def _text(means: str, example: str, **more: int) -> Schema:
    return {"type": "string", "description": means, "examples": [example], **more}


def _schemas(name: str) -> Schema:
    return {
        "type": "array", "items": {"type": "string"}, "examples": [[name]], "minItems": 1,
        "description": "Of which schemas the attributes are.",
    }  # fmt: skip


NEW_USER: Schema = {
    "type": "object",
    "required": ["schemas", "userName"],
    "properties": {
        "schemas": _schemas(str(User.__schema__)),
        "userName": _text("Its name in the tenant; case does not matter.", _NAME, minLength=1, maxLength=128),
        "externalId": _text(
            "The provider's own id: the `sub` or `oid` of its tokens.", "00u1a2b3c4", minLength=1, maxLength=255
        ),
        "displayName": _text("The name that others read.", "Dana Analyst", maxLength=200),
        "active": {"type": "boolean", "description": "Whether the user may sign in.", "examples": [True]},
        "name": {
            "type": "object",
            "description": "The parts of the person's name.",
            "properties": {
                "givenName": _text("The given name.", "Dana", maxLength=256),
                "familyName": _text("The family name.", "Analyst", maxLength=256),
            },
        },
    },
}
NEW_GROUP: Schema = {
    "type": "object",
    "required": ["schemas", "displayName"],
    "properties": {
        "schemas": _schemas(str(Group.__schema__)),
        "displayName": _text("Its name.", "Risk", minLength=1, maxLength=256),
        "externalId": _text("The provider's own id.", "00g1a2b3c4", minLength=1, maxLength=255),
        "members": {
            "type": "array",
            "description": "The users who are in it.",
            "items": {
                "type": "object",
                "required": ["value"],
                "properties": {"value": _text("A user's id.", str(_USER_ID))},
            },
        },
    },
}


def _patch(path: str, value: object) -> Schema:
    return {
        "type": "object",
        "required": ["schemas", "Operations"],
        "properties": {
            "schemas": _schemas(_PATCH),
            "Operations": {
                "type": "array",
                "description": "What is to change, in this order.",
                "minItems": 1,
                "examples": [[{"op": "replace", "path": path, "value": value}]],
                "items": {
                    "type": "object",
                    "required": ["op"],
                    "properties": {
                        "op": {
                            "type": "string", "enum": ["add", "replace", "remove"], "examples": ["replace"],
                            "description": "What to do; its case does not matter.",
                        },
                        "path": _text("To which attribute; without one, `value` names them.", path),
                        "value": {"description": "What it is to be.", "examples": [value]},
                    },
                },
            },
        },
    }  # fmt: skip


USER_PATCH, GROUP_PATCH = _patch("active", False), _patch("displayName", "Risk")  # noqa: FBT003 - a value of JSON
