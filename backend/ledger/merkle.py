"""Merkle tree hashes and proofs of an append-only log (RFC 6962, section 2; RFC 9162, section 2.1).

A node (level, position) is the root of the perfect subtree over 2^level leaves from position * 2^level on.
Its hash never changes once those leaves are there, so a log keeps the nodes in a table, and folds the root of
any size and any proof from O(log n) of them.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple

HASH_BYTES = 32
EMPTY_ROOT = sha256().digest()


class NodeId(NamedTuple):
    """The place of a perfect subtree: level 0 holds the leaf hashes."""

    level: int
    position: int


class Node(NamedTuple):
    """The root of one perfect subtree."""

    level: int
    position: int
    hash: bytes


NodeReader = Callable[[int, int], bytes]
Segment = tuple[NodeId, ...]
"""Neighbouring perfect subtrees, largest first, that fold into one element of a proof."""


def leaf_hash(entry: bytes) -> bytes:
    """Returns the 32-byte hash of a log entry."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Returns the 32-byte hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


@dataclass(slots=True)
class Frontier:
    """The right edge of a tree: all that is needed to append leaves and to know the root.

    `hashes` are the roots of the perfect subtrees that the leaves divide into, largest (oldest) first: one
    for each bit set in `size`.
    """

    size: int = 0
    hashes: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.hashes) != self.size.bit_count():
            raise ValueError(f"{len(self.hashes)} hashes cannot be the frontier of {self.size} leaves")
        if any(len(subtree) != HASH_BYTES for subtree in self.hashes):
            raise ValueError(f"a hash has {HASH_BYTES} bytes")

    def to_hex(self) -> list[str]:
        """Returns the hashes as lowercase hexadecimal, largest subtree first."""
        return [subtree.hex() for subtree in self.hashes]

    def append(self, leaf: bytes) -> list[Node]:
        """Appends a leaf hash and returns the nodes that it completes, from the leaf itself upwards."""
        completed = [Node(0, self.size, leaf)]
        level, position = 0, self.size
        while position & 1:
            leaf = node_hash(self.hashes.pop(), leaf)
            level, position = level + 1, position >> 1
            completed.append(Node(level, position, leaf))
        self.hashes.append(leaf)
        self.size += 1
        return completed

    def root(self) -> bytes:
        """Returns the root hash of the tree."""
        return _fold(self.hashes) if self.hashes else EMPTY_ROOT


def frontier_nodes(size: int) -> Segment:
    """Returns the nodes whose hashes are the frontier of the first `size` leaves, and so give its root."""
    return _segment(0, size)


def inclusion_path(index: int, size: int) -> list[Segment]:
    """Returns the nodes that prove leaf `index` in a tree of `size`, one segment per proof element."""
    if not 0 <= index < size:
        raise ValueError(f"there is no leaf {index} in a tree of {size}")
    begin, end, path = 0, size, []
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            path.append(_segment(middle, end))
            end = middle
        else:
            path.append(_segment(begin, middle))
            begin = middle
    return path[::-1]


def consistency_path(first: int, second: int) -> list[Segment]:
    """Returns the nodes that prove `first` leaves a prefix of `second`, one segment per proof element."""
    if not 0 < first <= second:
        raise ValueError(f"a tree of {first} leaves has no consistency proof to one of {second}")
    begin, end, path = 0, second, []
    while first != end:
        middle = begin + _split(end - begin)
        if first <= middle:
            path.append(_segment(middle, end))
            end = middle
        else:
            path.append(_segment(begin, middle))
            begin = middle
    # The verifier holds the first root already; only a part of it must be told.
    if begin:
        path.append(_segment(begin, end))
    return path[::-1]


def proof(path: Iterable[Segment], node: NodeReader) -> list[bytes]:
    """Returns the proof along `path`, reading each hash with `node(level, position)`."""
    return [_fold([node(*place) for place in segment]) for segment in path]


def _split(size: int) -> int:
    """Returns the largest power of two smaller than `size`."""
    return 1 << ((size - 1).bit_length() - 1)


def _segment(begin: int, end: int) -> Segment:
    """Returns the perfect subtrees over [begin, end), where begin is a multiple of the largest of them."""
    nodes = []
    while begin < end:
        level = (end - begin).bit_length() - 1
        nodes.append(NodeId(level, begin >> level))
        begin += 1 << level
    return tuple(nodes)


def _fold(hashes: Sequence[bytes]) -> bytes:
    folded = hashes[-1]
    for left in reversed(hashes[:-1]):
        folded = node_hash(left, folded)
    return folded
