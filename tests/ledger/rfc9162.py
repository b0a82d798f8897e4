"""Proofs of a Merkle tree of which everything is at hand, and their verification, as RFC 9162 words it.

The service folds its proofs out of stored nodes, and the offline verifier has a verification of its own: both are held against this.
"""

from collections.abc import Iterable, Sequence

from backend.ledger.merkle import HASH_BYTES, Frontier, NodeReader, consistency_path, inclusion_path, node_hash, proof


def root_hash(leaves: Iterable[bytes]) -> bytes:
    """Returns the root over leaf hashes."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()


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


def _trailing_zeros(number: int) -> int:
    return (number & -number).bit_length() - 1 if number else 0


def _are_hashes(candidates: Sequence[bytes]) -> bool:
    return all(len(candidate) == HASH_BYTES for candidate in candidates)
