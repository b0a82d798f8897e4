"""Which keys are in use, since when, and what still depends on an earlier one."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from backend.database import Connection, Queries
from backend.operation.exchange.folder import KeyKind, SecretsFolder
from backend.operation.exchange.service import next_step
from backend.operation.rotation import context_keys

queries = Queries(Path(__file__).with_name("rotation.sql"))
_KEY_LINE = re.compile(r"^key (\S+)$", re.MULTILINE)


async def of_database(owner: Connection) -> dict[str, Any]:
    """Returns what the database knows of keys: those of contexts, checkpoints and operators."""
    operators = await owner.fetch(queries.operator_keys_in_use)
    return {
        "context_keys": [
            {"id": key.id, "since": _told(key.created_at), "ends": _told(key.retired_at)}
            for key in await context_keys(owner)
        ],
        "checkpoint_keys": [
            {"keys": _KEY_LINE.findall(row["note"]), "handed_over": _told(row["made_at"])}
            for row in await owner.fetch(queries.handovers)
        ],
        "operator_keys": [
            {"name": row["name"], "since": _told(row["since"]), "earlier_ends": _told(row["earlier_until"])}
            for row in operators
        ],
    }


def of_folder(folder: SecretsFolder) -> dict[str, Any]:
    """Returns when each kind of key in a folder of secrets was made, and which step of its exchange comes next."""
    known = folder.record()
    return {
        kind: {
            "made": known.get(kind, {}).get("made"),
            "under_way_since": known.get(kind, {}).get("stepped"),
            "next_step": str(next_step(folder, kind)),
        }
        for kind in KeyKind
    }


def lines(told: Mapping[str, Any]) -> Iterator[str]:
    """Yields a line for each key."""
    for key in told["context_keys"]:
        yield f"context key {key['id']} since {key['since']}" + (f", ends {key['ends']}" if key["ends"] else "")
    for one in told["checkpoint_keys"]:
        old, new = (line.split("+")[1] for line in one["keys"])
        yield f"checkpoint key {new} took the place of {old} at {one['handed_over']}"
    for key in told["operator_keys"]:
        ends = f", its earlier secret ends {key['earlier_ends']}" if key["earlier_ends"] else ""
        yield f"operator key {key['name']} since {key['since']}{ends}"
    for name, found in told["wrapped"].items():
        yield f"{name}: " + (
            ", ".join(f"{number} by {which} key" for which, number in found.items() if number) or "none"
        )
    words = told["words"]
    yield f"words of texts: {words['found']} by the search key, {words['not_found']} not, {words['by_others']} by another as well"
    for kind, one in told.get("secrets", {}).items():
        under_way = (
            f", exchanged since {one['under_way_since']}, next {one['next_step']}" if one["under_way_since"] else ""
        )
        yield f"{kind}: made {one['made']}{under_way}"


def _told(moment: datetime | None) -> str | None:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}" if moment else None
