"""What the directory says, one entry a line: a cell, a tenant's home, a domain, or that a tenant is gone."""

import re
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

import orjson

from backend.audit.canonical import canonical_json
from backend.settings.cells import CELL_NAME

STATES = ("serving", "draining", "removed", "lost")


class NotTheDirectory(Exception):
    """What somebody gave for the directory is forged, older than what is known, or another history."""


@dataclass(frozen=True, slots=True)
class CellEntry:
    """One PostgreSQL with its processes; `address` is where they answer. No tenant moves to one that is `draining`.

    The servers of one that is `lost` are gone for good, for that reason. Its tenants are at home there until it is given back.
    """

    name: str
    region: str
    address: str
    state: str = "serving"
    most_tenants: int | None = None  # that may move there
    most_bytes: int | None = None  # of its database, above which nobody moves there
    reason: str | None = None

    def entry(self) -> str:
        """Returns the cell as a line of the directory. Processes of before there were states read it all the same."""
        said = {"state": None if self.state == "serving" else self.state, "most_tenants": self.most_tenants,
                "most_bytes": self.most_bytes, "reason": self.reason}  # fmt: skip
        more = {name: value for name, value in said.items() if value is not None}
        return canonical_json(
            {"kind": "cell", "name": self.name, "region": self.region, "address": self.address, **more}
        )


class Home(NamedTuple):
    """Where a tenant is at home. The epoch counts its homes."""

    tenant_id: UUID
    slug: str
    cell: str
    epoch: int

    def entry(self) -> str:
        """Returns the tenant as a line of the directory."""
        return canonical_json(
            {"kind": "tenant", "tenant": str(self.tenant_id), "slug": self.slug, "cell": self.cell, "epoch": self.epoch}
        )


@dataclass(frozen=True, slots=True)
class DomainEntry:
    """Whose people name it by this domain of their e-mail addresses; nobody's, without a tenant."""

    domain: str
    tenant_id: UUID | None

    def entry(self) -> str:
        """Returns the domain as a line of the directory."""
        whose = {} if self.tenant_id is None else {"tenant": str(self.tenant_id)}
        return canonical_json({"kind": "domain", "domain": self.domain, **whose})


@dataclass(frozen=True, slots=True)
class GoneEntry:
    """A tenant that was purged: its slug and its domains may be another's, and it comes no more."""

    tenant_id: UUID

    def entry(self) -> str:
        """Returns that it is gone as a line of the directory."""
        return canonical_json({"kind": "gone", "tenant": str(self.tenant_id)})


def read(entry: str) -> CellEntry | DomainEntry | GoneEntry | Home:
    """Reads an entry; raises NotTheDirectory for what is none."""
    try:
        read = orjson.loads(entry)
        if read["kind"] == "cell" and re.fullmatch(CELL_NAME, read["name"]) and read.get("state", "serving") in STATES:
            return CellEntry(
                read["name"], str(read["region"]), str(read["address"]), read.get("state", "serving"),
                read.get("most_tenants"), read.get("most_bytes"), read.get("reason"),
            )  # fmt: skip
        if read["kind"] == "domain":
            return DomainEntry(str(read["domain"]), UUID(read["tenant"]) if "tenant" in read else None)
        if read["kind"] == "gone":
            return GoneEntry(UUID(read["tenant"]))
        if read["kind"] == "tenant":
            return Home(UUID(read["tenant"]), str(read["slug"]), str(read["cell"]), int(read["epoch"]))
    except (ValueError, TypeError, KeyError) as error:
        raise NotTheDirectory(f"malformed entry of the directory: {entry[:200]}") from error
    raise NotTheDirectory(f"unknown entry of the directory: {entry[:200]}")
