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

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any
from uuid import UUID

from backend.cells.entries import CellEntry, DomainEntry, GoneEntry, Home, NotTheDirectory
from backend.cells.entries import read as read_entry
from backend.cells.tables import NameTable, TenantTable
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

LOG_NAME = "cells"


class HomesByTenant(Mapping[UUID, Home]):
    """Where tenants are at home, those that are gone as well; made of rows when asked."""

    def __init__(self, tenants: TenantTable, slugs: NameTable, cell_names: Sequence[str]) -> None:
        self._tenants, self._slugs, self._cell_names = tenants, slugs, cell_names

    def __getitem__(self, tenant_id: UUID) -> Home:
        row = self._tenants.row_of(tenant_id)
        if row is None:
            raise KeyError(tenant_id)
        return self.at(row, tenant_id)

    def get(self, tenant_id: UUID, default: Any = None) -> Any:  # noqa: ANN401 - as a mapping's
        """Returns a tenant's home."""
        row = self._tenants.row_of(tenant_id)
        return default if row is None else self.at(row, tenant_id)

    def at(self, row: int, tenant_id: UUID | None = None) -> Home:
        """Returns the home of a row."""
        cell, epoch, start, end = self._tenants.place(row)
        if tenant_id is None:
            tenant_id = self._tenants.id(row)
        return Home(tenant_id, self._slugs.written(start, end), self._cell_names[cell], epoch)

    def __iter__(self) -> Iterator[UUID]:
        return (self._tenants.id(row) for row in range(len(self._tenants)))

    def __len__(self) -> int:
        return len(self._tenants)


@dataclass(slots=True)
class Directory:
    """All entries up to a signed state. `lines` are those that are in no copy yet, the last of all: `copy.save` takes them."""

    keys: Sequence[VerifierKey]
    keeps_lines: bool = True
    frontier: Frontier = field(default_factory=Frontier)
    note: str = ""
    lines: list[str] = field(default_factory=list)
    cells: dict[str, CellEntry] = field(default_factory=dict)  # those that were removed as well
    _cell_names: list[str] = field(default_factory=list)
    _cell_numbers: dict[str, int] = field(default_factory=dict)
    _tenants: TenantTable = field(default_factory=TenantTable)
    _slugs: NameTable = field(default_factory=NameTable)
    _domains: NameTable = field(default_factory=NameTable)
    homes: HomesByTenant = field(init=False)  # of every tenant, the last of those that are gone

    @property
    def size(self) -> int:
        """How many entries there are."""
        return self.frontier.size

    def __post_init__(self) -> None:
        self.homes = HomesByTenant(self._tenants, self._slugs, self._cell_names)

    @property
    def present(self) -> dict[str, CellEntry]:
        """The cells that there are, without those that were lost."""
        return {name: cell for name, cell in self.cells.items() if cell.state not in {"removed", "lost"}}

    @property
    def lost(self) -> dict[str, CellEntry]:
        """The cells whose servers are gone for good."""
        return {name: cell for name, cell in self.cells.items() if cell.state == "lost"}

    def domains(self) -> dict[str, UUID]:
        """Returns whose each domain is, of tenants that are not gone."""
        owned = self._domains.items()
        return {domain: self._tenants.id(row) for domain, row in owned if not self._tenants.is_gone(row)}

    def at_home(self, cell: str | None = None) -> Iterator[Home]:
        """Yields the homes of tenants that are not gone, in one cell if it is named."""
        homes, wanted = self.homes, None if cell is None else self._cell_numbers.get(cell, -1)
        for row in range(len(self._tenants)):
            if not self._tenants.is_gone(row) and wanted in {None, self._tenants.place(row)[0]}:
                yield homes.at(row)

    def tenants_by_cell(self) -> Counter[str]:
        """Returns how many tenants are at home in each cell."""
        rows = (row for row in range(len(self._tenants)) if not self._tenants.is_gone(row))
        return Counter(self._cell_names[self._tenants.place(row)[0]] for row in rows)

    def is_gone(self, tenant_id: UUID) -> bool:
        """Tells whether a tenant was deleted for good."""
        row = self._tenants.row_of(tenant_id)
        return row is not None and self._tenants.is_gone(row)

    def holder_of_slug(self, slug: str) -> UUID | None:
        """Returns which tenant had a slug last, whether it is gone or not."""
        row = self._slugs.row_of(slug)
        return None if row is None else self._tenants.id(row)

    def holder_of_domain(self, domain: str) -> UUID | None:
        """Returns which tenant has a domain, or had it when it was deleted."""
        row = self._domains.row_of(domain)
        return None if row is None else self._tenants.id(row)

    def named(self, named: str) -> Home | None:
        """Returns the home of the tenant of this slug, or of this domain: no slug has a dot, and every domain has."""
        row = self._slugs.row_of(named)
        if row is None or self._tenants.is_gone(row):
            row = self._domains.row_of(named)
        return None if row is None or self._tenants.is_gone(row) else self.homes.at(row)

    def tagged(self, tag: str) -> Home | None:
        """Returns the home of the only tenant whose secrets have this tag."""
        row = self._tenants.row_tagged(tag)
        return None if row is None else self.homes.at(row)

    def extend(self, entries: Sequence[str], note: str) -> None:
        """Takes further entries, all or none; raises NotTheDirectory unless the note signs just these after those before."""
        frontier = _grown(self.frontier, entries)
        self._refuse_other(note, frontier)
        self._take(entries)
        if self.keeps_lines:
            self.lines += entries
        self.frontier, self.note = frontier, note

    def begin(self, pages: Iterable[Sequence[str]], note: Callable[[], str]) -> None:
        """Lets an empty directory take what a copy holds, page by page; `note` is asked for when they are read.

        Raises NotTheDirectory, and is empty again then.
        """
        assert self.size == 0
        try:
            for page in pages:
                self._take(page)
                self.frontier = _grown(self.frontier, page)
            self._refuse_other(signed := note(), self.frontier)
        except BaseException:
            self._forget()
            raise
        self.note = signed

    def dump(self) -> tuple[dict[str, object], list[bytes]]:
        """Returns all that is known, without the lines: what is said in words, and the tables."""
        said: dict[str, object] = {
            "note": self.note, "size": self.size, "frontier": self.frontier.to_hex(),
            "cells": [self.cells[name].entry() for name in self._cell_names],
        }  # fmt: skip
        return said, [*self._tenants.dump(), *self._slugs.dump(), *self._domains.dump()]

    def restore(self, said: Mapping[str, Any], sections: Iterable[bytes]) -> None:
        """Lets an empty directory take what `dump` returned, from somebody who is believed to have verified the entries.

        Raises NotTheDirectory unless the operator signed just that state, and is empty again then.
        """
        assert self.size == 0
        try:
            frontier = Frontier(int(said["size"]), [bytes.fromhex(subtree) for subtree in said["frontier"]])
            self._refuse_other(said["note"], frontier)
            for entry in said["cells"]:
                cell = read_entry(entry)
                assert isinstance(cell, CellEntry)
                self._name_cell(cell)
            each = iter(sections)
            for table in (self._tenants, self._slugs, self._domains):
                table.restore(each)
        except BaseException:
            self._forget()
            raise
        self.frontier, self.note = frontier, said["note"]

    def _forget(self) -> None:
        empty = Directory(self.keys, self.keeps_lines)
        for made in fields(self):
            setattr(self, made.name, getattr(empty, made.name))

    def _name_cell(self, cell: CellEntry) -> None:
        if cell.name not in self._cell_numbers:
            self._cell_numbers[cell.name] = len(self._cell_names)
            self._cell_names.append(cell.name)
        self.cells[cell.name] = cell

    def confirm(self, note: str) -> None:
        """Raises NotTheDirectory for a note of the same size that signs another history."""
        if note != self.note:
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

    def size_signed_by(self, note: str) -> int:
        """Returns how many entries a note signs; raises NotTheDirectory for one of somebody else."""
        return self._signed(note).size

    def _refuse_other(self, note: str, frontier: Frontier) -> None:
        checkpoint = self._signed(note)
        if (checkpoint.size, checkpoint.root) != (frontier.size, frontier.root()):
            raise NotTheDirectory("the entries of the directory are not those that were signed")

    def _signed(self, note: str) -> Checkpoint:
        try:
            checkpoint = open_checkpoint(note, self.keys)
        except InvalidNote as error:
            raise NotTheDirectory(f"the directory is not signed by the operator's key: {error}") from None
        if checkpoint.origin not in {log_origin(key.name, LOG_NAME) for key in self.keys}:
            raise NotTheDirectory("what is signed is no directory")
        return checkpoint

    def _take(self, entries: Sequence[str]) -> None:
        """Takes entries, once none of them contradicts what was said before."""
        new = _Changes(self)
        for entry in entries:
            new.say(read_entry(entry))
        for cell in new.cells.values():
            self._name_cell(cell)
        rows = {}
        for tenant_id in new.homes:
            row = self._tenants.row_of(tenant_id)
            rows[tenant_id] = self._tenants.add(tenant_id) if row is None else row
        slugs = {slug: self._slugs.give(slug, rows[holder]) for slug, holder in new.slugs.items()}
        for tenant_id, home in new.homes.items():
            self._tenants.put(
                rows[tenant_id], self._cell_numbers[home.cell], home.epoch, self._slugs.span(slugs[home.slug])
            )
        for domain, owner in new.domains.items():
            self._domains.give(domain, None if owner is None else self._tenants.row_of(owner))
        for tenant_id in new.gone:
            ended = self._tenants.row_of(tenant_id)
            assert ended is not None
            self._tenants.end(ended)


@dataclass(slots=True)
class _Changes:
    """What further entries say, over what a directory holds."""

    known: Directory
    cells: dict[str, CellEntry] = field(default_factory=dict)
    homes: dict[UUID, Home] = field(default_factory=dict)
    slugs: dict[str, UUID] = field(default_factory=dict)
    domains: dict[str, UUID | None] = field(default_factory=dict)
    gone: set[UUID] = field(default_factory=set)

    def say(self, entry: CellEntry | DomainEntry | GoneEntry | Home) -> None:
        """Takes one entry; raises NotTheDirectory when it contradicts what was said before."""
        if isinstance(entry, CellEntry):
            self._found(entry)
        elif isinstance(entry, DomainEntry):
            self._give(entry)
        elif isinstance(entry, GoneEntry):
            if self._home(entry.tenant_id) is None:
                raise NotTheDirectory(f"{entry.tenant_id} is deleted, and never had a home")
            self.gone.add(entry.tenant_id)
        else:
            self._place(entry)

    def _found(self, cell: CellEntry) -> None:
        """Founds a cell, changes it, or removes one in which nobody is at home."""
        if cell.state == "removed":
            here = (home.tenant_id for home in self.known.at_home(cell.name) if home.tenant_id not in self.homes)
            came = (home.tenant_id for home in self.homes.values() if home.cell == cell.name)
            if any(tenant not in self.gone for tenant in (*here, *came)):
                raise NotTheDirectory(f"{cell.name} is removed, and tenants are at home there")
        self.cells[cell.name] = cell

    def _place(self, home: Home) -> None:
        """Gives a tenant a home."""
        before = self._home(home.tenant_id)
        cell = self.cells.get(home.cell) or self.known.cells.get(home.cell)
        if cell is None or cell.state in {"removed", "lost"}:
            raise NotTheDirectory(f"there is no cell {home.cell}")
        if home.epoch != (before.epoch + 1 if before else 1):
            raise NotTheDirectory(f"{home.slug} is given the epoch {home.epoch} after {before.epoch if before else 0}")
        if before is not None and self._is_gone(home.tenant_id):
            raise NotTheDirectory(f"{home.slug} was deleted")
        holder = self.slugs.get(home.slug)
        if holder is None:
            holder = self.known.holder_of_slug(home.slug)
        if holder not in {None, home.tenant_id} and not self._is_gone(holder):
            raise NotTheDirectory(f"there are two tenants {home.slug}")
        self.homes[home.tenant_id], self.slugs[home.slug] = home, home.tenant_id

    def _give(self, given: DomainEntry) -> None:
        """Gives a domain to a tenant, or takes it away."""
        if "." not in given.domain:
            raise NotTheDirectory(f"{given.domain} is no domain")
        tenant = given.tenant_id
        if tenant is not None and (self._home(tenant) is None or self._is_gone(tenant)):
            raise NotTheDirectory(f"{given.domain} is given to a tenant that has no home")
        now = self.domains
        holder = now[given.domain] if given.domain in now else self.known.holder_of_domain(given.domain)
        if None not in {tenant, holder} and holder != tenant and not self._is_gone(holder):
            raise NotTheDirectory(f"there are two tenants of the domain {given.domain}")
        self.domains[given.domain] = tenant

    def _home(self, tenant_id: UUID) -> Home | None:
        return self.homes.get(tenant_id) or self.known.homes.get(tenant_id)

    def _is_gone(self, tenant_id: UUID | None) -> bool:
        return tenant_id is not None and (tenant_id in self.gone or self.known.is_gone(tenant_id))


def _grown(frontier: Frontier, entries: Sequence[str]) -> Frontier:
    grown = Frontier(frontier.size, list(frontier.hashes))
    for entry in entries:
        grown.append(leaf_hash(entry.encode()))
    return grown
