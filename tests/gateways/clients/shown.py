"""What README and /docs show of how to connect, for the service and a key of a test."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
FILE = "Card disputes must be filed within 60 days of statement date."


class ShownPrograms:
    """What is shown, for the service and a key of a test."""

    def __init__(self, address: str, key: str) -> None:
        text = (ROOT / "backend/openapi/connecting.md").read_text()
        self.address = address
        self._blocks = re.findall(
            r"```(\w+)\n(.*?)```", text.replace("http://127.0.0.1:8000", address).replace("afd_…", key), re.DOTALL
        )

    def block(self, language: str, word: str) -> str:
        """Returns the one block of a language that has a word."""
        (found,) = [block for kind, block in self._blocks if kind == language and word in block]
        return str(found)
