"""What one round of sealing signs: the log of all checkpoints, in which those of the tenants are the newest leaves.

A tenant's checkpoint is not signed by itself. It is stored with the proof that it is in the log of all checkpoints (C2SP
tlog-proof), so that it can be verified wherever the tenant moves, with nothing but the public key:

    affidavit.example/0193…        the text of a checkpoint, which is the leaf
    1208
    pFzU0b1x…=
    time 1795500000123
    nonce 5rdb…=                   so that nobody who knows the hash of the leaf can guess what it says

    c2sp.org/tlog-proof@v1         its proof: the leaf, and the hashes from its sibling up to the root
    index 4711
    J8vW…=

    affidavit.example/checkpoints  the log of all checkpoints, signed
    4712
    q83vEj…=
    time 1795500000123
    log Yx0q…=                     the hash of its first leaf, by which it differs from those of other cells

    — affidavit.example 9kPe…=

Outside the database a round is kept as a whole: all its texts, then one proof of them all, which is the right edge of the log
before them, and the signed checkpoint. One round so proves that the log of all checkpoints continues the one before it.
"""

import base64
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from backend.ledger.checkpoints import Checkpoint, SigningKey, sign_text
from backend.ledger.merkle import Frontier, Node, frontier_nodes, inclusion_path, leaf_hash, proof
from backend.ledger.verifier import PROOF, ROUND

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(slots=True)
class GrowingLog:
    """One log while entries are appended to it."""

    frontier: Frontier
    leaves: list[tuple[int, UUID, bytes]] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    _known: dict[tuple[int, int], bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        edge = frontier_nodes(self.frontier.size)
        self._known = {(at.level, at.position): one for at, one in zip(edge, self.frontier.hashes, strict=True)}

    def append(self, entry_id: UUID, entry: bytes) -> int:
        """Appends an entry and returns which leaf it is."""
        hashed, index = leaf_hash(entry), self.frontier.size
        self.leaves.append((index, entry_id, hashed))
        completed = self.frontier.append(hashed)
        self.nodes.extend(completed[1:])
        self._known |= {(node.level, node.position): node.hash for node in completed}
        return index

    def proof(self, index: int) -> list[bytes]:
        """Returns the proof of a leaf that was appended here."""
        return proof(inclusion_path(index, self.frontier.size), lambda level, position: self._known[level, position])


def signed_round(checkpoint: Checkpoint, first: bytes | None, *keys: SigningKey) -> str:
    """Returns the signed checkpoint of the log of all checkpoints, whose first leaf has this hash; None while it has none."""
    line = f"log {base64.b64encode(first).decode()}\n" if first else ""
    return sign_text(checkpoint.text + line, *keys)


def hidden(checkpoint: Checkpoint) -> str:
    """Returns the text of a checkpoint with a nonce, as it becomes a leaf."""
    return f"{checkpoint.text}nonce {base64.b64encode(secrets.token_bytes(32)).decode()}\n"


def proven(text: str, index: int, path: Sequence[bytes], note: str) -> str:
    """Returns a checkpoint with its proof: which leaf of the log of all checkpoints it is, and that log's signed checkpoint."""
    return f"{text}\n{PROOF}\nindex {index}\n{_lines(path)}\n{note}"


def whole_round(texts: Sequence[str], before: Frontier, note: str) -> str:
    """Returns the checkpoints of a round with the proof of all: the right edge before them, and what was signed."""
    checkpoints = "\n".join(texts)
    return f"{checkpoints}\n{ROUND}\nfirst {before.size}\n{_lines(before.hashes)}\n{note}"


def entry_of(note: str) -> bytes:
    """Returns what of a stored checkpoint is its leaf in the log of all checkpoints: all of it, unless it is proven there."""
    text, separator, rest = note.partition("\n\n")
    return f"{text}\n".encode() if separator and rest.startswith(f"{PROOF}\n") else note.encode()


def log_of_all(note: str) -> tuple[str, int] | None:
    """Returns which log of all checkpoints proves a stored checkpoint, by its first leaf, and at what size; None without one."""
    blocks = note.split("\n\n")
    if len(blocks) < 4 or not blocks[-3].startswith(f"{PROOF}\n"):
        return None
    lines = blocks[-2].split("\n")
    log = next((line.removeprefix("log ") for line in lines if line.startswith("log ")), "")
    size = lines[1] if len(lines) > 1 else ""
    return (log, int(size)) if _SIZE.fullmatch(size) else None


def head_of(note: str) -> Checkpoint:
    """Returns what a stored checkpoint says, whoever signed it; raises InvalidNote."""
    return Checkpoint.parse(note.partition("\n\n")[0] + "\n")


def _lines(hashes: Iterable[bytes]) -> str:
    return "".join(f"{base64.b64encode(one).decode()}\n" for one in hashes)
