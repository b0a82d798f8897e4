"""Compound files ([MS-CFB]): folders and streams within one file, as Outlook writes messages."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

from backend.documents.parsing.errors import CorruptFile

SIGNATURE = bytes.fromhex("D0CF11E0A1B11AE1")
_ENTRY_BYTES = 128
_MINI_BYTES = 64
_LAST = 0xFFFFFFFA  # sectors from here on are signs, such as the end of a chain
_NONE = 0xFFFFFFFF
_IN_HEADER = 109
_STORAGE, _STREAM, _ROOT = 1, 2, 5
_MOST_ENTRIES = 100_000
_DEEPEST = 64


@dataclass(slots=True)
class Storage:
    """A folder: other folders by their names, and where its streams begin and how long they are."""

    storages: dict[str, "Storage"] = field(default_factory=dict)
    streams: dict[str, tuple[int, int]] = field(default_factory=dict)


class CompoundFile:
    """A compound file, of which every chain ends: a sector is in it once."""

    def __init__(self, content: bytes) -> None:
        """Reads the tables of sectors and the directory; raises CorruptFile."""
        if len(content) < 512 or not content.startswith(SIGNATURE):
            raise CorruptFile
        self._content = content
        self._sector = 1 << min(_number(content, 30, 2), 12)
        if self._sector not in {512, 4096}:
            raise CorruptFile
        self._small = _number(content, 56, 4)
        self._table = array("I", b"".join(map(self._bytes_of, self._table_sectors())))
        self._mini_table = array("I", self._chain(_number(content, 60, 4)))
        directory = self._chain(_number(content, 48, 4))
        self._entries = [directory[at : at + _ENTRY_BYTES] for at in range(0, len(directory) - 127, _ENTRY_BYTES)]
        if not self._entries or self._entries[0][66] != _ROOT or len(self._entries) > _MOST_ENTRIES:
            raise CorruptFile
        self._mini = self._chain(_number(self._entries[0], 116, 4))
        self._seen: set[int] = set()
        self.root = self._storage(0, 0)

    def read(self, stream: tuple[int, int]) -> bytes:
        """Returns the bytes of a stream; raises CorruptFile."""
        first, size = stream
        if size >= self._small:
            return self._chain(first)[:size]
        sectors = _chained(first, self._mini_table)
        return b"".join(self._mini[at * _MINI_BYTES : (at + 1) * _MINI_BYTES] for at in sectors)[:size]

    def _bytes_of(self, sector: int) -> bytes:
        start = (sector + 1) * self._sector
        found = self._content[start : start + self._sector]
        if not found:
            raise CorruptFile
        return found.ljust(self._sector, b"\xff") if len(found) < self._sector else found

    def _chain(self, first: int) -> bytes:
        return b"".join(map(self._bytes_of, _chained(first, self._table)))

    def _table_sectors(self) -> Iterator[int]:
        """Yields the sectors of the table of sectors, which the header names, and further ones that it leads to."""
        yield from (s for s in array("I", self._content[76 : 76 + 4 * _IN_HEADER]) if s < _LAST)
        more, seen = _number(self._content, 68, 4), set[int]()
        while more < _LAST:
            if more in seen:
                raise CorruptFile
            seen.add(more)
            *sectors, more = array("I", self._bytes_of(more))
            yield from (s for s in sectors if s < _LAST)

    def _storage(self, index: int, depth: int) -> Storage:
        storage = Storage()
        waiting = [_number(self._entries[index], 76, 4)]
        while waiting:
            number = waiting.pop()
            if number == _NONE:
                continue
            if number in self._seen or number >= len(self._entries) or depth > _DEEPEST:
                raise CorruptFile
            self._seen.add(number)
            entry = self._entries[number]
            name = entry[: max(_number(entry, 64, 2) - 2, 0)].decode("utf-16-le", "replace")
            if entry[66] == _STORAGE:
                storage.storages[name] = self._storage(number, depth + 1)
            elif entry[66] == _STREAM:
                storage.streams[name] = (_number(entry, 116, 4), _number(entry, 120, 4))
            waiting += (_number(entry, 68, 4), _number(entry, 72, 4))
        return storage


def _number(content: bytes, at: int, length: int) -> int:
    return int.from_bytes(content[at : at + length], "little")


def _chained(first: int, table: "array[int]") -> Iterator[int]:
    left = len(table)
    while first < _LAST:
        if first >= len(table) or not left:
            raise CorruptFile
        left -= 1
        yield first
        first = table[first]
