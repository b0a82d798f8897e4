"""Whether an answer has what its question expects, and how one run compares with another."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from backend.answers.models import AnswerResponse
from backend.answers.pins import differing
from backend.evaluation.models import EvaluationQuestion, RunComparison, Why


def why_not(question: EvaluationQuestion, answer: AnswerResponse) -> Why | None:
    """Returns why an answer fails its question; None when it passes."""
    if question.expected == "refusal":
        return None if answer.refused else "answered"
    if answer.refused:
        return "refused"
    assert question.value is not None
    if question.expected == "document":
        return None if any(cited.doc_id == question.value for cited in answer.citations) else "other_document"
    wanted = _plain(question.value)
    return None if any(wanted in _plain(cited.quote) for cited in answer.citations) else "other_words"


def _plain(words: str) -> str:
    return " ".join(words.split()).casefold()


def compared(
    base: UUID, then: Mapping[str, Any], now: Mapping[str, Any]
) -> RunComparison:  # each with `pins`, `results` and `questions`
    """Returns what differs between an approved run and a later one; questions are the same when they ask and expect the same."""
    passed_then = dict(zip(map(_key, then["questions"]), (row["passed"] for row in then["results"]), strict=True))
    failed, passed, new = list[int](), list[int](), 0
    for question, result in zip(now["questions"], now["results"], strict=True):
        before = passed_then.get(_key(question))
        if before is None:
            new += 1
        elif before and not result["passed"]:
            failed.append(result["position"])
        elif result["passed"] and not before:
            passed.append(result["position"])
    return RunComparison(
        run=base, worse=bool(failed), newly_failed=failed, newly_passed=passed, new_questions=new,
        differs=_differing(then["pins"], now["pins"]),
    )  # fmt: skip


def _key(question: Mapping[str, Any]) -> Sequence[Any]:
    return tuple(question.get(member) for member in ("question", "expected", "value", "collection"))


def _differing(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    found = differing(then, now)
    if then.get("code") != now.get("code"):
        found.append("code")
    if any(then.get(member) != now.get(member) for member in ("versions", "newest_version")):
        found.append("index")
    return found
