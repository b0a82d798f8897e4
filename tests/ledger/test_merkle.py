import base64
import json
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.ledger import merkle
from backend.ledger.merkle import Frontier, NodeId
from tests.ledger import rfc9162

SIZES = range(131)
VECTORS = Path(__file__).resolve().parents[2] / "../shared/vectors/merkle"

ENTRIES = [f"event {number}".encode() for number in range(300)]
LEAVES = [merkle.leaf_hash(entry) for entry in ENTRIES]


@cache
def defined_root(begin: int, end: int) -> bytes:
    """RFC 6962, section 2.1, as it is written."""
    if begin == end:
        return sha256().digest()
    if end - begin == 1:
        return sha256(b"\x00" + ENTRIES[begin]).digest()
    middle = begin + largest_power_below(end - begin)
    return sha256(b"\x01" + defined_root(begin, middle) + defined_root(middle, end)).digest()


def defined_inclusion(index: int, begin: int, end: int) -> list[bytes]:
    """RFC 6962, section 2.1.1, as it is written."""
    if end - begin == 1:
        return []
    middle = begin + largest_power_below(end - begin)
    if index < middle:
        return [*defined_inclusion(index, begin, middle), defined_root(middle, end)]
    return [*defined_inclusion(index, middle, end), defined_root(begin, middle)]


def defined_consistency(first: int, begin: int, end: int, *, known: bool = True) -> list[bytes]:
    """RFC 6962, section 2.1.2 (SUBPROOF), as it is written; `first` counts from leaf 0."""
    if first == end:
        return [] if known else [defined_root(begin, end)]
    middle = begin + largest_power_below(end - begin)
    if first <= middle:
        return [*defined_consistency(first, begin, middle, known=known), defined_root(middle, end)]
    return [*defined_consistency(first, middle, end, known=False), defined_root(begin, middle)]


def largest_power_below(number: int) -> int:
    power = 1
    while power * 2 < number:
        power *= 2
    return power


def nodes_of(leaves: Sequence[bytes]) -> dict[tuple[int, int], bytes]:
    frontier, stored = Frontier(), {}
    for leaf in leaves:
        for node in frontier.append(leaf):
            assert (node.level, node.position) not in stored
            stored[node.level, node.position] = node.hash
    return stored


NODES = nodes_of(LEAVES)


def node(level: int, position: int) -> bytes:
    return NODES[level, position]


def flip(data: bytes, bit: int) -> bytes:
    return (int.from_bytes(data) ^ (1 << bit)).to_bytes(len(data))


def test_known_hashes_of_the_empty_tree_and_the_empty_leaf() -> None:
    # RFC 6962 gives no values; these are the ones that Certificate Transparency implementations share.
    assert merkle.EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert merkle.leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"


def test_every_root_equals_the_recursive_definition() -> None:
    frontier = Frontier()
    for size in SIZES:
        assert frontier.size == size
        assert frontier.root() == rfc9162.root_hash(LEAVES[:size]) == defined_root(0, size)
        frontier.append(LEAVES[size])


def test_completed_nodes_are_the_perfect_subtrees_of_the_definition() -> None:
    for (level, position), stored in NODES.items():
        assert stored == defined_root(position << level, (position + 1) << level)
    assert len(NODES) == sum(len(LEAVES) >> level for level in range(9))


def test_every_inclusion_proof_equals_the_recursive_definition_and_verifies() -> None:
    for size in SIZES:
        root = defined_root(0, size)
        for index in range(size):
            proof = rfc9162.inclusion_proof(index, size, node)
            assert proof == defined_inclusion(index, 0, size)
            assert rfc9162.verify_inclusion(LEAVES[index], index, size, proof, root)


def test_every_consistency_proof_equals_the_recursive_definition_and_verifies() -> None:
    for second in SIZES:
        for first in range(1, second + 1):
            proof = rfc9162.consistency_proof(first, second, node)
            assert proof == defined_consistency(first, 0, second)
            assert rfc9162.verify_consistency(first, second, defined_root(0, first), defined_root(0, second), proof)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 11, 130])
def test_an_inclusion_proof_with_any_bit_flipped_is_rejected(size: int) -> None:
    root = defined_root(0, size)
    for index in {0, size // 3, size - 1}:
        proof = rfc9162.inclusion_proof(index, size, node)
        leaf = LEAVES[index]
        for bit in range(256):
            assert not rfc9162.verify_inclusion(flip(leaf, bit), index, size, proof, root)
            assert not rfc9162.verify_inclusion(leaf, index, size, proof, flip(root, bit))
            for place in range(len(proof)):
                changed = [*proof[:place], flip(proof[place], bit), *proof[place + 1 :]]
                assert not rfc9162.verify_inclusion(leaf, index, size, changed, root)


@pytest.mark.parametrize(("first", "second"), [(1, 1), (1, 2), (4, 7), (6, 8), (64, 130), (129, 130)])
def test_a_consistency_proof_with_any_bit_flipped_is_rejected(first: int, second: int) -> None:
    old, new = defined_root(0, first), defined_root(0, second)
    proof = rfc9162.consistency_proof(first, second, node)
    for bit in range(256):
        assert not rfc9162.verify_consistency(first, second, flip(old, bit), new, proof)
        assert not rfc9162.verify_consistency(first, second, old, flip(new, bit), proof)
        for place in range(len(proof)):
            changed = [*proof[:place], flip(proof[place], bit), *proof[place + 1 :]]
            assert not rfc9162.verify_consistency(first, second, old, new, changed)


def test_a_proof_holds_for_no_other_leaf_index_and_no_other_size() -> None:
    for size in range(1, 40):
        root = defined_root(0, size)
        for index in range(size):
            proof = rfc9162.inclusion_proof(index, size, node)
            for other in range(-1, size + 2):
                if other != index:
                    assert not rfc9162.verify_inclusion(LEAVES[index], other, size, proof, root)
        for first in range(1, size + 1):
            proof = rfc9162.consistency_proof(first, size, node)
            for other in range(-1, size + 2):
                if other != first:
                    assert not rfc9162.verify_consistency(other, size, defined_root(0, first), root, proof)


def distortions(proof: list[bytes], root: bytes) -> list[list[bytes]]:
    reordered = [proof[::-1], [*proof[:-2], proof[-2] + proof[-1]]] if len(proof) > 1 else []
    resized = [[proof[0] + b"\x00", *proof[1:]], [proof[0][:31], *proof[1:]]]
    return [proof[:-1], proof[1:], [*proof, root], [root, *proof], *resized, *reordered]


def test_a_shortened_lengthened_or_reordered_proof_is_rejected() -> None:
    for size in range(2, 70):
        root, index = defined_root(0, size), size // 2
        for changed in distortions(rfc9162.inclusion_proof(index, size, node), root):
            assert not rfc9162.verify_inclusion(LEAVES[index], index, size, changed, root)
        old = defined_root(0, index)
        for changed in distortions(rfc9162.consistency_proof(index, size, node), root):
            assert not rfc9162.verify_consistency(index, size, old, root, changed)


def test_nothing_is_consistent_with_the_empty_tree() -> None:
    assert not rfc9162.verify_consistency(0, 0, merkle.EMPTY_ROOT, merkle.EMPTY_ROOT, [])
    assert not rfc9162.verify_consistency(0, 5, merkle.EMPTY_ROOT, defined_root(0, 5), [])
    with pytest.raises(ValueError, match="no consistency proof"):
        rfc9162.consistency_proof(0, 5, node)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (5, 5), (-1, 5)])
def test_a_leaf_outside_the_tree_has_no_proof(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="no leaf"):
        rfc9162.inclusion_proof(index, size, node)


@given(st.integers(0, len(LEAVES)), st.integers(0, len(LEAVES)))
def test_a_frontier_that_was_stored_goes_on_where_it_stopped(stop: int, size: int) -> None:
    stop = min(stop, size)
    frontier = Frontier()
    for leaf in LEAVES[:stop]:
        frontier.append(leaf)
    restored = Frontier(stop, list(map(bytes.fromhex, json.loads(json.dumps(frontier.to_hex())))))
    assert restored == frontier
    assert restored.hashes == [node(*place) for place in merkle.frontier_nodes(stop)]
    for leaf in LEAVES[stop:size]:
        restored.append(leaf)
    assert restored.root() == defined_root(0, size)


@pytest.mark.parametrize(("size", "hashes"), [(1, []), (0, ["00" * 32]), (3, ["00" * 32]), (1, ["00" * 31])])
def test_a_frontier_that_does_not_fit_its_size_is_refused(size: int, hashes: list[str]) -> None:
    with pytest.raises(ValueError, match=r"frontier|bytes"):
        Frontier(size, list(map(bytes.fromhex, hashes)))


def test_a_proof_in_a_log_of_millions_reads_few_nodes() -> None:
    size = 50_000_001
    for path in (merkle.inclusion_path(31_415_926, size), merkle.consistency_path(27_182_818, size)):
        read: list[NodeId] = [place for segment in path for place in segment]
        assert len(set(read)) == len(read) <= 2 * size.bit_length()
        assert all((place.position + 1) << place.level <= size for place in read)


def vectors(kind: str) -> list[Any]:
    return [
        pytest.param(json.loads(path.read_text()), id=str(path.relative_to(VECTORS)))
        for path in sorted((VECTORS / kind).rglob("*.json"))
    ] or [pytest.param(None, marks=pytest.mark.skip(reason="the shared vectors are absent"))]


def decode(hashes: Sequence[str] | None) -> list[bytes]:
    return [base64.b64decode(text) for text in hashes or []]


@pytest.mark.parametrize("case", vectors("inclusion"))
def test_inclusion_vectors_of_others_are_judged_as_they_say(case: dict[str, Any]) -> None:
    [leaf, root] = decode([case["leafHash"] or "", case["root"] or ""])
    proof = decode(case["proof"])
    verdict = rfc9162.verify_inclusion(leaf, case["leafIdx"], case["treeSize"], proof, root)
    assert verdict is not case["wantErr"]


@pytest.mark.parametrize("case", vectors("consistency"))
def test_consistency_vectors_of_others_are_judged_as_they_say(case: dict[str, Any]) -> None:
    [old, new] = decode([case["root1"] or "", case["root2"] or ""])
    proof = decode(case["proof"])
    verdict = rfc9162.verify_consistency(case["size1"], case["size2"], old, new, proof)
    assert verdict is not case["wantErr"]
