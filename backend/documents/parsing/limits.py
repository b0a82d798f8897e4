"""How much one file may cost."""

from dataclasses import dataclass, replace

MiB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ParseLimits:
    """Bounds on a file and on the process that reads it; exceeding one ends in that bound's own error.

    `memory_bytes` is address space, of which the interpreter and a parser library take up to 200 MiB.
    `wall_seconds` counts only the waiting for the parser, not the time its reader takes between blocks. Where pages that are
    pictures are recognised, the process that reads a PDF has the bounds of recognition instead of these.
    """

    max_bytes: int = 100 * MiB
    max_unpacked_bytes: int = 512 * MiB
    max_pages: int = 5_000
    max_characters: int = 50_000_000
    memory_bytes: int = 1024 * MiB
    cpu_seconds: int = 120
    wall_seconds: float = 180.0
    recognises_pages: bool = False
    recognition_memory_bytes: int = 2048 * MiB
    recognition_seconds: int = 1200

    def of_pdf(self) -> "ParseLimits":
        """Returns the bounds of a PDF: where pages that are pictures are recognised, its process may take more."""
        if not self.recognises_pages:
            return self
        return replace(
            self, memory_bytes=self.recognition_memory_bytes, cpu_seconds=self.recognition_seconds,
            wall_seconds=self.recognition_seconds * self.wall_seconds / self.cpu_seconds,
        )  # fmt: skip
