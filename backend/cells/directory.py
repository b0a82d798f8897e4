"""The directory: in which cell each tenant is at home, since which epoch, as the operator signed it.

It is a log, and only grows. An entry is one line of canonical JSON, a cell, a tenant, a domain of
its e-mail addresses, which is nobody's any more where it names no tenant, or a tenant that was deleted for good:

    {"address":"https://eu.example","kind":"cell","name":"eu-1","region":"eu"}
    {"cell":"eu-1","epoch":1,"kind":"tenant","slug":"meridian-bank","tenant":"0193…"}
    {"domain":"meridian-bank.example","kind":"domain","tenant":"0193…"}
    {"kind":"gone","tenant":"0193…"}

Each entry is stored with a checkpoint that signs the root of the Merkle tree over it and all before, so whoever knows one
state of the directory takes no other history, and no older one. A later entry of a tenant moves it, and has the next epoch.
"""

import re
from collections import ChainMap
from collections.abc import Collection, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import orjson

from backend.audit.canonical import canonical_json
from backend.ledger.checkpoints import (
    Checkpoint,
    InvalidNote,
    SigningKey,
    VerifierKey,
    log_origin,
    open_checkpoint,
    sign_checkpoint,
)
from backend.ledger.merkle import Frontier, leaf_hash
from backend.settings.cells import CELL_NAME
from backend.tenancy import tenant_tag

LOG_NAME = "cells"


class NotTheDirectory(Exception):
    """What somebody gave for the directory is forged, older than what is known, or another history."""


@dataclass(frozen=True, slots=True)
class CellEntry:
    """One PostgreSQL with its processes; `address` is where they answer."""

    name: str
    region: str
    address: str

    def entry(self) -> str:
        """Returns the cell as a line of the directory."""
        return canonical_json({"kind": "cell", "name": self.name, "region": self.region, "address": self.address})


@dataclass(frozen=True, slots=True)
class Home:
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


@dataclass(slots=True)
class Directory:
    """All entries up to a signed state. `lines` are kept for the copy in a file."""

    keys: Sequence[VerifierKey]
    frontier: Frontier = field(default_factory=Frontier)
    note: str = ""
    lines: list[str] = field(default_factory=list)
    cells: dict[str, CellEntry] = field(default_factory=dict)
    homes: dict[UUID, Home] = field(default_factory=dict)
    slugs: dict[str, UUID] = field(default_factory=dict)
    domains: dict[str, UUID | None] = field(default_factory=dict)  # none where it was taken away
    tags: dict[str, UUID | None] = field(default_factory=dict)  # none where two tenants have one
    gone: set[UUID] = field(default_factory=set)

    @property
    def size(self) -> int:
        """How many entries there are."""
        return self.frontier.size

    def named(self, named: str) -> Home | None:
        """Returns the home of the tenant of this slug, or of this domain: no slug has a dot, and every domain has."""
        tenant = self.slugs.get(named)
        if tenant is None or tenant in self.gone:
            tenant = self.domains.get(named)
        return None if tenant is None or tenant in self.gone else self.homes[tenant]

    def tagged(self, tag: str) -> Home | None:
        """Returns the home of the only tenant whose secrets have this tag."""
        tenant = self.tags.get(tag)
        return None if tenant is None else self.homes[tenant]

    def extend(self, entries: Sequence[str], note: str) -> None:
        """Takes further entries, all or none; raises NotTheDirectory unless the note signs just these after those before."""
        frontier = _grown(self.frontier, entries)
        self._refuse_other(note, frontier)
        self._take(entries)
        self.frontier, self.note = frontier, note

    def confirm(self, note: str) -> None:
        """Raises NotTheDirectory for a note of the same size that signs another history."""
        self._refuse_other(note, self.frontier)

    def append(self, entries: Sequence[str], key: SigningKey, moment: int) -> list[str]:
        """Adds entries; returns a signed note for each, of the state that ends with it. Raises NotTheDirectory for wrong ones."""
        notes = []
        for entry in entries:
            frontier = _grown(self.frontier, [entry])
            origin = log_origin(key.name, LOG_NAME)
            notes.append(sign_checkpoint(Checkpoint(origin, frontier.size, frontier.root(), moment), key))
            self.extend([entry], notes[-1])
        return notes

    def _refuse_other(self, note: str, frontier: Frontier) -> None:
        try:
            checkpoint = open_checkpoint(note, self.keys)
        except InvalidNote as error:
            raise NotTheDirectory(f"the directory is not signed by the operator's key: {error}") from None
        if checkpoint.origin not in {log_origin(key.name, LOG_NAME) for key in self.keys}:
            raise NotTheDirectory("what is signed is no directory")
        if (checkpoint.size, checkpoint.root) != (frontier.size, frontier.root()):
            raise NotTheDirectory("the entries of the directory are not those that were signed")

    def _take(self, entries: Sequence[str]) -> None:
        cells, homes, slugs = ChainMap({}, self.cells), ChainMap({}, self.homes), ChainMap({}, self.slugs)
        domains, gone = ChainMap({}, self.domains), set(self.gone)
        for entry in entries:
            read = _read(entry)
            if isinstance(read, CellEntry):
                cells[read.name] = read
            elif isinstance(read, DomainEntry):
                _give(read, homes, domains, gone)
            elif isinstance(read, GoneEntry):
                _end(read, homes, gone)
            else:
                _place(read, cells, homes, slugs, gone)
        self.cells |= cells.maps[0]
        for tenant in homes.maps[0]:
            tag = tenant_tag(tenant)
            self.tags[tag] = tenant if self.tags.get(tag, tenant) == tenant else None
        self.homes |= homes.maps[0]
        self.slugs |= slugs.maps[0]
        self.domains |= domains.maps[0]
        self.gone = gone
        self.lines += entries


def _place(
    home: Home,
    cells: MutableMapping[str, CellEntry],
    homes: MutableMapping[UUID, Home],
    slugs: MutableMapping[str, UUID],
    gone: Collection[UUID],
) -> None:
    """Gives a tenant a home; raises NotTheDirectory when that contradicts what was said before."""
    known = homes.get(home.tenant_id)
    if home.cell not in cells:
        raise NotTheDirectory(f"there is no cell {home.cell}")
    if home.epoch != (known.epoch + 1 if known else 1):
        raise NotTheDirectory(f"{home.slug} is given the epoch {home.epoch} after {known.epoch if known else 0}")
    if home.tenant_id in gone:
        raise NotTheDirectory(f"{home.slug} was deleted")
    holder = slugs.get(home.slug, home.tenant_id)
    if holder != home.tenant_id and holder not in gone:
        raise NotTheDirectory(f"there are two tenants {home.slug}")
    homes[home.tenant_id], slugs[home.slug] = home, home.tenant_id


def _give(
    given: DomainEntry, homes: Mapping[UUID, Home], domains: MutableMapping[str, UUID | None], gone: Collection[UUID]
) -> None:
    """Gives a domain to a tenant, or takes it away; raises NotTheDirectory when that contradicts what was said before."""
    if "." not in given.domain:
        raise NotTheDirectory(f"{given.domain} is no domain")
    if given.tenant_id is not None and (given.tenant_id not in homes or given.tenant_id in gone):
        raise NotTheDirectory(f"{given.domain} is given to a tenant that has no home")
    holder = domains.get(given.domain)
    if None not in {given.tenant_id, holder} and holder != given.tenant_id and holder not in gone:
        raise NotTheDirectory(f"there are two tenants of the domain {given.domain}")
    domains[given.domain] = given.tenant_id


def _end(ended: GoneEntry, homes: Mapping[UUID, Home], gone: set[UUID]) -> None:
    """Says that a tenant was deleted; raises NotTheDirectory for one that never was."""
    if ended.tenant_id not in homes:
        raise NotTheDirectory(f"{ended.tenant_id} is deleted, and never had a home")
    gone.add(ended.tenant_id)


def _grown(frontier: Frontier, entries: Sequence[str]) -> Frontier:
    grown = Frontier(frontier.size, list(frontier.hashes))
    for entry in entries:
        grown.append(leaf_hash(entry.encode()))
    return grown


def _read(entry: str) -> CellEntry | DomainEntry | GoneEntry | Home:
    """Reads an entry; raises NotTheDirectory for what is none."""
    try:
        read = orjson.loads(entry)
        if read["kind"] == "cell" and re.fullmatch(CELL_NAME, read["name"]):
            return CellEntry(read["name"], str(read["region"]), str(read["address"]))
        if read["kind"] == "domain":
            return DomainEntry(str(read["domain"]), UUID(read["tenant"]) if "tenant" in read else None)
        if read["kind"] == "gone":
            return GoneEntry(UUID(read["tenant"]))
        if read["kind"] == "tenant":
            return Home(UUID(read["tenant"]), str(read["slug"]), str(read["cell"]), int(read["epoch"]))
    except (ValueError, TypeError, KeyError) as error:
        raise NotTheDirectory(f"malformed entry of the directory: {entry[:200]}") from error
    raise NotTheDirectory(f"unknown entry of the directory: {entry[:200]}")
