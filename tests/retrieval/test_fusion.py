from uuid import UUID

import pytest

from backend.retrieval.fusion import LEXICAL_WEIGHT, Candidate, fuse, fused_score

A, B, C = (UUID(int=number) for number in (1, 2, 3))


def test_the_fused_score_adds_the_weighted_bm25_to_the_cosine() -> None:
    assert fused_score(0.5, 10.0) == pytest.approx(0.5 + 10.0 * LEXICAL_WEIGHT)


def test_candidates_are_ranked_by_the_fused_score() -> None:
    ranked = fuse([Candidate(A, 0.6, 0.0), Candidate(B, 0.5, 20.0), Candidate(C, 0.1, 5.0)], limit=3)

    assert [chunk.chunk_id for chunk in ranked] == [B, A, C]


def test_only_the_best_are_returned() -> None:
    ranked = fuse([Candidate(A, 0.1, 0.0), Candidate(B, 0.9, 0.0), Candidate(C, 0.5, 0.0)], limit=2)

    assert [chunk.chunk_id for chunk in ranked] == [B, C]


def test_equal_scores_are_always_ranked_in_the_same_order() -> None:
    tied = [Candidate(C, 0.5, 1.0), Candidate(A, 0.5, 1.0), Candidate(B, 0.5, 1.0)]

    assert fuse(tied, limit=3) == fuse(tied[::-1], limit=3)


def test_no_candidates_give_no_ranking() -> None:
    assert fuse([], limit=5) == []
