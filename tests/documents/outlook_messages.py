"""Messages in Outlook's own format, each written by its test."""

import struct
from collections.abc import Mapping, Sequence
from typing import TypeAlias

Folder: TypeAlias = Mapping[str, "bytes | Folder"]

FREE, END, TABLE, NOTHING = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD, 0xFFFFFFFF
SECTOR, MINI, SMALL = 512, 64, 4_096


def message(
    texts: Mapping[str, str], *, binary: Mapping[str, bytes] | None = None, numbers: Mapping[int, int] | None = None,
    times: Mapping[int, int] | None = None, attached: Sequence["Folder"] = (), head: int = 32, kind: str = "001F",
) -> Folder:  # fmt: skip
    """A message by the numbers of its properties; texts are Unicode, or with the kind 001E in Windows-1252."""
    codec = "utf-16-le" if kind == "001F" else "cp1252"
    table = b"".join(struct.pack("<HHIQ", 3, name, 6, value) for name, value in (numbers or {}).items())
    table += b"".join(struct.pack("<HHIQ", 0x40, name, 6, value) for name, value in (times or {}).items())
    streams: dict[str, bytes | Folder] = {
        f"__substg1.0_{name}{kind}": text.encode(codec) for name, text in texts.items()
    }
    streams |= {f"__substg1.0_{name}0102": content for name, content in (binary or {}).items()}
    streams |= {f"__attach_version1.0_#{number:08X}": folder for number, folder in enumerate(attached)}
    return {"__properties_version1.0": bytes(head) + table, **streams}


def compound(root: Folder) -> bytes:
    """A compound file with these folders and streams."""
    entries: list[list[object]] = []  # name, kind, right, child, content
    _entered("Root Entry", root, entries, kind=5)
    small = b""
    sectors: list[bytes] = []
    table: list[int] = []
    mini_table: list[int] = []

    def placed(content: bytes) -> int:
        pieces = [content[at : at + SECTOR].ljust(SECTOR, b"\0") for at in range(0, len(content), SECTOR)]
        first = len(sectors)
        sectors.extend(pieces)
        table.extend([*range(first + 1, first + len(pieces)), END] if pieces else [])
        return first if pieces else END

    starts: list[tuple[int, int]] = []
    for _, _, _, _, content in entries:
        if not isinstance(content, bytes):
            starts.append((0, 0))
        elif len(content) >= SMALL:
            starts.append((placed(content), len(content)))
        else:
            first, count = len(mini_table), -(-len(content) // MINI)
            mini_table.extend([*range(first + 1, first + count), END] if count else [])
            small += content.ljust(count * MINI, b"\0")
            starts.append((first if count else END, len(content)))
    starts[0] = (placed(small), len(small))
    directory = b"".join(
        _entry(*entry[:4], *start)  # type: ignore[arg-type]
        for entry, start in zip(entries, starts, strict=True)
    )
    first_directory = placed(directory)
    first_mini = placed(struct.pack(f"<{len(mini_table)}I", *mini_table))
    tables = 1
    while len(sectors) + tables > tables * (SECTOR // 4):
        tables += 1
    where = list(range(len(sectors), len(sectors) + tables))
    table += [TABLE] * tables
    table += [FREE] * (tables * (SECTOR // 4) - len(table))
    header = bytes.fromhex("D0CF11E0A1B11AE1") + bytes(16) + struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    mini_sectors = -(-4 * len(mini_table) // SECTOR)
    header += struct.pack(
        "<IIIIIIIIII", 0, tables, first_directory, 0, SMALL, first_mini, mini_sectors, END, 0, *where[:1]
    )
    header += struct.pack(f"<{108}I", *where[1:], *[FREE] * (108 - len(where[1:])))
    return header + b"".join(sectors) + struct.pack(f"<{len(table)}I", *table)


def _entered(name: str, content: "bytes | Folder", entries: list[list[object]], kind: int) -> int:
    """Adds an entry with what it holds, whose entries hang on each other to the right; returns its number."""
    number = len(entries)
    entry: list[object] = [name, kind, NOTHING, NOTHING, content]
    entries.append(entry)
    if not isinstance(content, bytes):
        before: list[object] | None = None
        for inner, held in content.items():
            child = _entered(inner, held, entries, 2 if isinstance(held, bytes) else 1)
            if before is None:
                entry[3] = child
            else:
                before[2] = child
            before = entries[child]
    return number


def _entry(name: str, kind: int, right: int, child: int, first: int, size: int) -> bytes:
    written = name.encode("utf-16-le") + b"\0\0"
    head = written.ljust(64, b"\0") + struct.pack("<HBBIII", len(written), kind, 1, NOTHING, right, child)
    return head + bytes(36) + struct.pack("<IQ", first, size)
