"""Tables of many tenants in few bytes: a million take some 100 MB, where objects of Python would take ten times as much.

Rows are columns of fixed width. What leads to a row is the hash of its key, in a sorted array of which a second one knows where
to look. A key that is found is always compared, so hashes that meet cost time and nothing else. The hash is the same in every
process, so that tables can be written down as they are.
"""

import zlib
from array import array
from collections.abc import Iterator, Sequence
from struct import Struct
from typing import Any
from uuid import UUID

import numpy as np

from backend.tenancy import TAG_LENGTH, tenant_tag

_ID_BYTES = 16
_32_BITS = (1 << 32) - 1
_PLACE = Struct("<IIII")
_ROW = Struct(f"<{_ID_BYTES}s{TAG_LENGTH}sIIII")
_BEFORE_PLACE = _ID_BYTES + TAG_LENGTH
_NOBODY = -1
_HASH_BITS = 32
_FEW = 4096  # of new keys that wait in a dictionary before they are sorted in
_SHARE = 32


def _seen(numbers: "np.ndarray[Any, Any]") -> memoryview:
    """Returns numbers as something whose items are read in a quarter of the time."""
    return memoryview(numbers)  # type: ignore[arg-type]  # an array is a buffer, which its types do not say for all versions


class HashIndex:
    """Rows by the hash of their key. It only grows."""

    __slots__ = ("_buckets", "_entries", "_most", "_recent", "_shift")

    def __init__(self) -> None:
        # Half of the hash and the row, sorted; and where those begin whose first bits are the same, few of each.
        self._entries = _seen(np.empty(0, np.uint64))
        self._buckets, self._shift = _seen(np.zeros(2, np.uint32)), _HASH_BITS
        self._recent: dict[int, tuple[int, ...]] = {}
        self._most = _FEW

    def add(self, key: bytes, row: int) -> None:
        """Adds a row that has this key."""
        half = zlib.crc32(key)
        self._recent[half] = (*self._recent.get(half, ()), row)
        if len(self._recent) > self._most:
            self._sort_in()

    def rows(self, key: bytes) -> Sequence[int]:
        """Returns the rows that may have this key."""
        half = zlib.crc32(key)
        bucket, buckets = half >> self._shift, self._buckets
        found = [
            entry & _32_BITS
            for entry in self._entries[buckets[bucket] : buckets[bucket + 1]].tolist()
            if entry >> 32 == half
        ]
        return [*found, *self._recent[half]] if half in self._recent else found

    def dump(self) -> list[bytes]:
        """Returns all that it holds."""
        if self._recent:
            self._sort_in()
        return [self._entries.tobytes(), self._buckets.tobytes()]

    def restore(self, sections: Iterator[bytes]) -> None:
        """Takes what `dump` returned; raises ValueError for what is none."""
        entries, buckets = np.frombuffer(next(sections), np.uint64), np.frombuffer(next(sections), np.uint32)
        bits = (len(buckets) - 1).bit_length() - 1
        if len(buckets) != (1 << bits) + 1:
            raise ValueError("malformed index")
        self._entries, self._buckets = _seen(entries), _seen(buckets)
        self._shift = _HASH_BITS - bits
        self._recent, self._most = {}, max(_FEW, len(entries) // _SHARE)

    def _sort_in(self) -> None:
        new = np.array(sorted(half << 32 | row for half, rows in self._recent.items() for row in rows), np.uint64)
        known = np.asarray(self._entries)
        every = np.insert(known, np.searchsorted(known, new), new)
        bits = max(len(every).bit_length() - 1, 0)
        starts = np.arange(1 << bits, dtype=np.uint64) << np.uint64(64 - bits)
        buckets = np.append(np.searchsorted(every, starts), len(every)).astype(np.uint32)
        self._entries, self._buckets, self._shift = _seen(every), _seen(buckets), _HASH_BITS - bits
        self._recent, self._most = {}, max(_FEW, len(every) // _SHARE)


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

    def span(self, number: int) -> tuple[int, int]:
        """Returns where a name is written, and where it ends; that never changes."""
        return self._ends[number - 1] if number else 0, self._ends[number]

    def written(self, start: int, end: int) -> str:
        """Returns the name that is written there."""
        return self._text[start:end].decode()

    def items(self) -> Iterator[tuple[str, int]]:
        """Yields the names that are somebody's, with the rows."""
        for number, owner in enumerate(self._owners):
            if owner != _NOBODY:
                yield self.name(number), owner

    def dump(self) -> list[bytes]:
        """Returns all that it holds."""
        return [bytes(self._text), self._ends.tobytes(), self._owners.tobytes(), *self._index.dump()]

    def restore(self, sections: Iterator[bytes]) -> None:
        """Takes what `dump` returned."""
        self._text = bytearray(next(sections))
        self._ends, self._owners = array("I", next(sections)), array("i", next(sections))
        self._index.restore(sections)

    def _number(self, name: str) -> int | None:
        key = name.encode()
        for number in self._index.rows(key):
            if self._bytes(number) == key:
                return number
        return None

    def _bytes(self, number: int) -> bytearray:
        return self._text[self._ends[number - 1] if number else 0 : self._ends[number]]


class TenantTable:
    """Tenants: id, tag of their secrets, cell, epoch, where the slug is written, whether they are gone. Each keeps its row."""

    __slots__ = ("_gone", "_index", "_rows", "_tags")

    def __init__(self) -> None:
        self._rows = bytearray()
        self._gone = bytearray()
        self._index, self._tags = HashIndex(), HashIndex()

    def __len__(self) -> int:
        return len(self._gone)

    def row_of(self, tenant_id: UUID) -> int | None:
        """Returns a tenant's row."""
        key, written = tenant_id.bytes, self._rows
        for row in self._index.rows(key):
            if written.startswith(key, row * _ROW.size):
                return row
        return None

    def row_tagged(self, tag: str) -> int | None:
        """Returns the row of the only tenant whose secrets have this tag; None where there is none, or several."""
        key, written = tag.encode(), self._rows
        if len(key) != TAG_LENGTH:
            return None
        rows = [row for row in self._tags.rows(key) if written.startswith(key, row * _ROW.size + _ID_BYTES)]
        return rows[0] if len(rows) == 1 else None

    def id(self, row: int) -> UUID:
        """Returns the tenant of a row."""
        start = row * _ROW.size
        return UUID(int=int.from_bytes(self._rows[start : start + _ID_BYTES]))

    def place(self, row: int) -> tuple[int, int, int, int]:
        """Returns a row's cell, epoch, and where the slug is written."""
        place: tuple[int, int, int, int] = _PLACE.unpack_from(self._rows, row * _ROW.size + _BEFORE_PLACE)
        return place

    def is_gone(self, row: int) -> bool:
        """Tells whether the tenant was deleted."""
        return bool(self._gone[row])

    def add(self, tenant_id: UUID) -> int:
        """Adds a tenant that has no place yet; returns its row."""
        row, key, tag = len(self), tenant_id.bytes, tenant_tag(tenant_id).encode()
        self._rows += _ROW.pack(key, tag, 0, 0, 0, 0)
        self._gone.append(0)
        self._index.add(key, row)
        self._tags.add(tag, row)
        return row

    def put(self, row: int, cell: int, epoch: int, slug: tuple[int, int]) -> None:
        """Gives a tenant its place."""
        _PLACE.pack_into(self._rows, row * _ROW.size + _BEFORE_PLACE, cell, epoch, *slug)

    def end(self, row: int) -> None:
        """Says that the tenant was deleted."""
        self._gone[row] = 1

    def dump(self) -> list[bytes]:
        """Returns all that it holds."""
        return [bytes(self._rows), bytes(self._gone), *self._index.dump(), *self._tags.dump()]

    def restore(self, sections: Iterator[bytes]) -> None:
        """Takes what `dump` returned."""
        self._rows, self._gone = bytearray(next(sections)), bytearray(next(sections))
        self._index.restore(sections)
        self._tags.restore(sections)
