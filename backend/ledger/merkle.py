"""Merkle tree hashes and proofs of an append-only log (RFC 6962, section 2; RFC 9162, section 2.1).

A node (level, position) is the root of the perfect subtree over 2^level leaves from position * 2^level on.
Its hash never changes once those leaves are there, so a log keeps the nodes in a table, and folds the root of
any size and any proof from O(log n) of them.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple, Self

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

    @classmethod
    def from_hex(cls, size: int, hashes: Iterable[str]) -> Self:
        """Returns the frontier of `size` leaves that `to_hex` wrote."""
        return cls(size, [bytes.fromhex(text) for text in hashes])

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


def root_hash(leaves: Iterable[bytes]) -> bytes:
    """Returns the root over leaf hashes."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()


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


def inclusion_proof(index: int, size: int, node: NodeReader) -> list[bytes]:
    """Returns the audit path of leaf `index` in the tree of `size` leaves (RFC 9162, section 2.1.3.1)."""
    return proof(inclusion_path(index, size), node)


def consistency_proof(first: int, second: int, node: NodeReader) -> list[bytes]:
    """Returns the proof that `first` leaves are a prefix of `second` (RFC 9162, section 2.1.4.1)."""
    return proof(consistency_path(first, second), node)


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Tells whether `path` leads from leaf hash `index` to the root of `size` leaves (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size or not _are_hashes([leaf, root, *path]):
        return False
    position, last, computed = index, size - 1, leaf
    for sibling in path:
        if not last:
            return False
        if position & 1 or position == last:
            computed = node_hash(sibling, computed)
            shift = _trailing_zeros(position)
            position, last = position >> shift, last >> shift
        else:
            computed = node_hash(computed, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and computed == root


def verify_consistency(first: int, second: int, first_root: bytes, second_root: bytes, path: Sequence[bytes]) -> bool:
    """Tells whether `path` proves the first tree a prefix of the second (RFC 9162, section 2.1.4.2).

    An empty first tree is refused: it is a prefix of everything, so a proof from it would say nothing.
    """
    if not 0 < first <= second or not _are_hashes(path):
        return False
    if first == second:
        return not path and first_root == second_root
    # A perfect first tree is itself a node of the second, and is left out of the proof.
    nodes = list(path) if first & (first - 1) else [first_root, *path]
    if not nodes:
        return False
    shift = _trailing_zeros(first)
    position, last = (first - 1) >> shift, (second - 1) >> shift
    old = new = nodes[0]
    for sibling in nodes[1:]:
        if not last:
            return False
        if position & 1 or position == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            shift = _trailing_zeros(position)
            position, last = position >> shift, last >> shift
        else:
            new = node_hash(new, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root


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


def _trailing_zeros(number: int) -> int:
    return (number & -number).bit_length() - 1 if number else 0


def _are_hashes(candidates: Sequence[bytes]) -> bool:
    return all(len(candidate) == HASH_BYTES for candidate in candidates)
