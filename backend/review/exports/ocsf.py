"""Events as the Open Cybersecurity Schema Framework (version 1.3) spells them, for a SIEM.

| class | of |
|---|---|
| 3002 Authentication, activity 1 Logon | `auth:*` |
| 3004 Entity Management, activity of the action | what `_MANAGED` names: keys, users, grants, holds and the like |
| 6003 API Activity, activity of the action | everything else: documents, retrievals, prompts, answers, denials, reading the log |

The whole envelope stands under `unmapped`, so that nothing of it is lost.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from backend.audit.actions import ACTIONS
from backend.audit.details import Activity
from backend.audit.events import without_nulls

VERSION = "1.3.0"
_PRODUCT = "Affidavit"

_AUTHENTICATION, _ENTITY_MANAGEMENT, _API_ACTIVITY = 3002, 3004, 6003
_NAMES = {
    _AUTHENTICATION: "Authentication",
    _ENTITY_MANAGEMENT: "Entity Management",
    _API_ACTIVITY: "API Activity",
}
_MANAGED = ("key", "user", "grant", "collection", "tenant", "retention", "hold", "erasure", "search", "second_factor",
            "sign_in_rule")  # fmt: skip
_CLASSES = {"auth": _AUTHENTICATION} | dict.fromkeys(_MANAGED, _ENTITY_MANAGEMENT)
_CREATE, _READ, _UPDATE, _DELETE, _OTHER = 1, 2, 3, 4, 99
_LOGON = 1
_ACTIVITIES = {
    Activity.CREATE: _CREATE,
    Activity.READ: _READ,
    Activity.UPDATE: _UPDATE,
    Activity.DELETE: _DELETE,
    Activity.OTHER: _OTHER,
}
_ACTIVITY_NAMES = {_CREATE: "Create", _READ: "Read", _UPDATE: "Update", _DELETE: "Delete", _OTHER: "Other"}
_INFORMATIONAL, _MEDIUM = 1, 3
_SUCCESS, _FAILURE = 1, 2
_USER, _SYSTEM, _OTHER_ACCOUNT = 1, 3, 99  # user.type_id


def ocsf(envelope: Mapping[str, Any], leaf_index: int) -> dict[str, Any]:
    """Returns the OCSF event of an envelope; `metadata.sequence` is its place in the log, to resume after."""
    subject = envelope["action"].partition(":")[0]
    class_uid = _CLASSES.get(subject, _API_ACTIVITY)
    activity_id, activity = _activity(class_uid, envelope["action"])
    failed = envelope["outcome"] in {"denied", "failed"}
    user = _user(envelope["principal"])
    event = {
        "class_uid": class_uid, "class_name": _NAMES[class_uid],
        "category_uid": class_uid // 1000,
        "category_name": "Identity & Access Management" if class_uid // 1000 == 3 else "Application Activity",
        "activity_id": activity_id, "activity_name": activity,
        "type_uid": class_uid * 100 + activity_id, "type_name": f"{_NAMES[class_uid]}: {activity}",
        "time": round(datetime.fromisoformat(envelope["time"]).timestamp() * 1000),
        "severity_id": _MEDIUM if failed else _INFORMATIONAL, "severity": "Medium" if failed else "Informational",
        "status_id": _FAILURE if failed else _SUCCESS, "status": "Failure" if failed else "Success",
        "status_code": envelope["outcome"], "status_detail": envelope.get("reason"),
        "actor": {"user": user},
        "src_endpoint": {"ip": envelope["source"]} if "source" in envelope else {"name": "unknown"},
        "metadata": {
            "version": VERSION, "product": {"name": _PRODUCT, "vendor_name": _PRODUCT}, "log_name": "audit",
            "uid": envelope["id"], "event_code": envelope["action"], "tenant_uid": envelope["tenant"],
            "correlation_uid": envelope["request_id"], "sequence": leaf_index,
        },
        "unmapped": dict(envelope),
    }  # fmt: skip
    return without_nulls(event | _of_class(class_uid, envelope, subject, user))


def _activity(class_uid: int, action: str) -> tuple[int, str]:
    if class_uid == _AUTHENTICATION:
        return _LOGON, "Logon"
    # One that this release does not know, after a later one was taken back.
    activity = _ACTIVITIES[ACTIONS[action].activity if action in ACTIONS else Activity.OTHER]
    return activity, _ACTIVITY_NAMES[activity]


def _user(principal: Mapping[str, Any]) -> dict[str, Any]:
    kinds = {"user": (_USER, "User"), "key": (_SYSTEM, "System"), "operator": (_OTHER_ACCOUNT, "Operator")}
    type_id, name = kinds.get(principal["kind"], (_OTHER_ACCOUNT, "Anonymous"))
    return {
        "uid": principal.get("id", principal["kind"]), "type_id": type_id, "type": name,
        "groups": [{"name": role} for role in principal["roles"]],
    }  # fmt: skip


def _of_class(class_uid: int, envelope: Mapping[str, Any], subject: str, user: dict[str, Any]) -> dict[str, Any]:
    """Returns the members that only the event's class requires."""
    if class_uid == _AUTHENTICATION:
        return {"user": user, "service": {"name": _PRODUCT}}
    if class_uid == _ENTITY_MANAGEMENT:
        described = envelope.get(subject)
        uid = described.get("id") if isinstance(described, Mapping) else None
        return {"entity": without_nulls({"type": subject, "name": subject, "uid": uid})}
    return {"api": {"operation": envelope["action"], "request": {"uid": envelope["request_id"]}}}
