"""Tables of many tenants in few bytes: a million take some 100 MB, where objects of Python would take ten times as much.

Rows are columns of fixed width. What leads to a row is the hash of its key, in a sorted array; a key that is found is always
compared, so hashes that meet cost time and nothing else.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import numpy as np

from backend.tenancy import tenant_tag

_ID_BYTES = 16
_NOBODY = -1
_FEW = 4096  # of new keys that wait in a dictionary before they are sorted in
_SHARE = 32


def _seen(numbers: "np.ndarray[Any, Any]") -> memoryview:
    """Returns numbers as something whose items are read in a quarter of the time."""
    return memoryview(numbers)  # type: ignore[arg-type]  # an array is a buffer, which its types do not say for all versions


class HashIndex:
    """Rows by the hash of their key. It only grows."""

    __slots__ = ("_hashes", "_recent", "_rows")

    def __init__(self) -> None:
        self._hashes = _seen(np.empty(0, np.uint64))
        self._rows = _seen(np.empty(0, np.uint32))
        self._recent: dict[int, tuple[int, ...]] = {}

    def add(self, key: bytes, row: int) -> None:
        """Adds a row that has this key."""
        hashed = hash(key) & 0xFFFF_FFFF_FFFF_FFFF
        self._recent[hashed] = (*self._recent.get(hashed, ()), row)
        if len(self._recent) > max(_FEW, len(self._rows) // _SHARE):
            self._sort_in()

    def rows(self, key: bytes) -> Iterator[int]:
        """Yields the rows that may have this key."""
        hashed = hash(key) & 0xFFFF_FFFF_FFFF_FFFF
        yield from self._recent.get(hashed, ())
        hashes, place = self._hashes, bisect_left(self._hashes, hashed)
        while place < len(hashes) and hashes[place] == hashed:
            yield self._rows[place]
            place += 1

    def _sort_in(self) -> None:
        pairs = sorted((hashed, row) for hashed, rows in self._recent.items() for row in rows)
        hashes = np.array([hashed for hashed, _ in pairs], np.uint64)
        rows = np.array([row for _, row in pairs], np.uint32)
        known = np.asarray(self._hashes)
        places = np.searchsorted(known, hashes)
        self._hashes = _seen(np.insert(known, places, hashes))
        self._rows = _seen(np.insert(np.asarray(self._rows), places, rows))
        self._recent = {}


class NameTable:
    """Names, each of which is a tenant's, by its row, or nobody's. A name keeps its number."""

    __slots__ = ("_ends", "_index", "_owners", "_text")

    def __init__(self) -> None:
        self._text = bytearray()
        self._ends = array("I")
        self._owners = array("i")
        self._index = HashIndex()

    def give(self, name: str, row: int | None) -> int:
        """Gives a name to a tenant, or to nobody; returns the name's number."""
        number, owner = self._number(name), _NOBODY if row is None else row
        if number is not None:
            self._owners[number] = owner
            return number
        key, number = name.encode(), len(self._ends)
        self._text += key
        self._ends.append(len(self._text))
        self._owners.append(owner)
        self._index.add(key, number)
        return number

    def row_of(self, name: str) -> int | None:
        """Returns whose the name is."""
        number = self._number(name)
        return None if number is None or self._owners[number] == _NOBODY else self._owners[number]

    def name(self, number: int) -> str:
        """Returns the name of a number."""
        return self._bytes(number).decode()

    def items(self) -> Iterator[tuple[str, int]]:
        """Yields the names that are somebody's, with the rows."""
        for number, owner in enumerate(self._owners):
            if owner != _NOBODY:
                yield self.name(number), owner

    def _number(self, name: str) -> int | None:
        key = name.encode()
        return next((number for number in self._index.rows(key) if self._bytes(number) == key), None)

    def _bytes(self, number: int) -> bytes:
        return bytes(self._text[self._ends[number - 1] if number else 0 : self._ends[number]])


class TenantTable:
    """Tenants: id, cell, epoch, the number of the slug, and whether they are gone. A tenant keeps its row."""

    __slots__ = ("_cells", "_epochs", "_gone", "_ids", "_index", "_slugs", "_tags")

    def __init__(self) -> None:
        self._ids = bytearray()
        self._cells, self._epochs, self._slugs = array("I"), array("I"), array("I")
        self._gone = bytearray()
        self._index, self._tags = HashIndex(), HashIndex()

    def __len__(self) -> int:
        return len(self._gone)

    def row_of(self, tenant_id: UUID) -> int | None:
        """Returns a tenant's row."""
        key = tenant_id.bytes
        return next((row for row in self._index.rows(key) if self._id(row) == key), None)

    def row_tagged(self, tag: str) -> int | None:
        """Returns the row of the only tenant whose secrets have this tag; None where there is none, or several."""
        rows = [row for row in self._tags.rows(tag.encode()) if tenant_tag(self.id(row)) == tag]
        return rows[0] if len(rows) == 1 else None

    def id(self, row: int) -> UUID:
        """Returns the tenant of a row."""
        return UUID(bytes=self._id(row))

    def place(self, row: int) -> tuple[int, int, int]:
        """Returns a row's cell, epoch and slug."""
        return self._cells[row], self._epochs[row], self._slugs[row]

    def is_gone(self, row: int) -> bool:
        """Tells whether the tenant was deleted."""
        return bool(self._gone[row])

    def add(self, tenant_id: UUID) -> int:
        """Adds a tenant that has no place yet; returns its row."""
        row, key = len(self), tenant_id.bytes
        self._ids += key
        for column in (self._cells, self._epochs, self._slugs):
            column.append(0)
        self._gone.append(0)
        self._index.add(key, row)
        self._tags.add(tenant_tag(tenant_id).encode(), row)
        return row

    def put(self, row: int, cell: int, epoch: int, slug: int) -> None:
        """Gives a tenant its place."""
        self._cells[row], self._epochs[row], self._slugs[row] = cell, epoch, slug

    def end(self, row: int) -> None:
        """Says that the tenant was deleted."""
        self._gone[row] = 1

    def _id(self, row: int) -> bytes:
        return bytes(self._ids[row * _ID_BYTES : (row + 1) * _ID_BYTES])
