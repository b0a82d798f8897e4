"""False accept and false drop of the check of sentences, by kind of falsehood and level, with confidence intervals.

make bench-grounding
"""

import argparse
import math
from collections import Counter
from collections.abc import Sequence

from backend.answers.grounding.check import Evidence
from backend.answers.grounding.likeness import Likeness
from backend.answers.grounding.verdict import Verdict
from tests.benchmarks.grounding.statements import (
    CASES,
    WRITTEN,
    Statement,
    embedder,
    evidence_of,
    generated,
    statements,
)

SEED = 20_261  # other sentences and choices than the likeness was trained on
Z = 1.96


def interval(hits: int, trials: int) -> tuple[float, float]:
    """Returns Wilson's 95 % interval of a share."""
    if not trials:
        return 0.0, 1.0
    share = hits / trials
    centre = share + Z * Z / (2 * trials)
    width = Z * math.sqrt(share * (1 - share) / trials + Z * Z / (4 * trials * trials))
    scale = 1 + Z * Z / trials
    return max((centre - width) / scale, 0.0), min((centre + width) / scale, 1.0)


def judged(found: Sequence[Statement], likeness: Likeness) -> list[tuple[Statement, Verdict]]:
    """Checks every statement."""
    results = []
    for statement in found:
        texts, _ = evidence_of(statement.passages)
        evidence = Evidence(texts, likeness, likeness.threshold)
        results.append((statement, evidence.verdict(statement.sentence, [passage.number for passage in texts])))
    return results


def report(name: str, results: Sequence[tuple[Statement, Verdict]], *, verbose: bool) -> None:
    """Prints the rates of a set by kind, and what was wrong if asked."""
    print(f"\n## {name}\n\n| kind | statements | accepted | 95 % | verbatim | close |\n|---|---|---|---|---|---|")
    kinds = sorted({(not statement.supported, statement.kind) for statement, _ in results})
    for false, kind in kinds:
        of_kind = [v for s, v in results if s.kind == kind and s.supported != false]
        print(_row(kind if false else f"true: {kind}", of_kind))
    false_ones = [verdict for statement, verdict in results if not statement.supported]
    true_ones = [verdict for statement, verdict in results if statement.supported]
    print(_row("**all false**", false_ones))
    print(_row("**all true**", true_ones))
    dropped = Counter(str(v.reason) for s, v in results if s.supported and v.level is None)
    print("\ntrue ones dropped for: " + ", ".join(f"{reason} {count}" for reason, count in dropped.most_common()))
    if verbose:
        for statement, verdict in results:
            if statement.supported == (verdict.level is None):
                print(
                    "DROPPED " if statement.supported else "ACCEPTED",
                    statement.kind,
                    verdict.reason,
                    verdict.likeness,
                    statement.sentence,
                )


def _row(kind: str, verdicts: Sequence[Verdict]) -> str:
    accepted = sum(verdict.level is not None for verdict in verdicts)
    low, high = interval(accepted, len(verdicts))
    levels = Counter(verdict.level for verdict in verdicts if verdict.level)
    share = accepted / len(verdicts) if verdicts else 0.0
    by_level = " | ".join(str(levels.get(level, 0)) for level in ("verbatim", "close"))
    return f"| {kind} | {len(verdicts)} | {share:.1%} | {low:.1%} – {high:.1%} | {by_level} |"


def main() -> None:
    """Measures the sets asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sentences", type=int, default=600, help="of each set of ../shared/data, to be perturbed")
    parser.add_argument("--verbose", action="store_true", help="print what was wrong")
    chosen = parser.parse_args()
    likeness = Likeness(embedder().token_vectors)
    if CASES.exists():
        report("cases that others wrote (held out)", judged(statements(CASES), likeness), verbose=chosen.verbose)
    report(
        "statements written here (the likeness is trained on them)",
        judged(statements(WRITTEN), likeness),
        verbose=chosen.verbose,
    )
    report(
        "made by perturbing and rewriting", judged(generated(SEED, chosen.sentences), likeness), verbose=chosen.verbose
    )


if __name__ == "__main__":
    main()
