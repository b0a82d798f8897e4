"""How much one file may cost."""

from dataclasses import dataclass

MiB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ParseLimits:
    """Bounds on a file and on the process that reads it; exceeding one ends in that bound's own error.

    `memory_bytes` is address space, of which the interpreter and a parser library take up to 200 MiB.
    `wall_seconds` counts only the waiting for the parser, not the time its reader takes between blocks.
    """

    max_bytes: int = 100 * MiB
    max_unpacked_bytes: int = 512 * MiB
    max_pages: int = 5_000
    max_characters: int = 50_000_000
    memory_bytes: int = 1024 * MiB
    cpu_seconds: int = 120
    wall_seconds: float = 180.0
