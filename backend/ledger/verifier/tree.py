"""The Merkle tree of RFC 6962 and RFC 9162."""

from collections.abc import Iterable, Sequence
from hashlib import sha256

from backend.ledger.verifier.bundle_format import BadBundle


def leaf_hash(entry: bytes) -> bytes:
    """Returns the hash of a leaf."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Returns the hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


class Tree:
    """A tree that leaves are appended to, as the roots of its perfect subtrees, largest first."""

    def __init__(self, size: int = 0, subtrees: Iterable[bytes] = ()) -> None:
        self.size = size
        self._subtrees = list(subtrees)
        if len(self._subtrees) != size.bit_count():
            raise BadBundle("the frontier does not fit the first leaf")

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Appends leaf hashes."""
        push, pop, size = self._subtrees.append, self._subtrees.pop, self.size
        for leaf in leaves:
            node, position = leaf, size
            while position & 1:
                node = sha256(b"\x01" + pop() + node).digest()
                position >>= 1
            push(node)
            size += 1
        self.size = size

    def root(self) -> bytes:
        """Returns the root hash."""
        if not self._subtrees:
            return sha256().digest()
        root = self._subtrees[-1]
        for subtree in reversed(self._subtrees[:-1]):
            root = node_hash(subtree, root)
        return root


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Tells whether `path` leads from leaf hash `index` to the root of `size` leaves (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    position, last = index, size - 1
    for sibling in path:
        if not last:
            return False
        if position & 1 or position == last:
            leaf = node_hash(sibling, leaf)
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            leaf = node_hash(leaf, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and leaf == root


def verify_consistency(first: int, second: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> bool:
    """Tells whether `path` proves the first tree a prefix of the second (RFC 9162, 2.1.4.2)."""
    if not 0 < first <= second:
        return False
    if first == second:
        return not path and old_root == new_root
    nodes = [*path] if first & (first - 1) else [old_root, *path]
    if not nodes:
        return False
    position, last = first - 1, second - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old = new = nodes[0]
    for sibling in nodes[1:]:
        if not last:
            return False
        if position & 1 or position == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and old == old_root and new == new_root
