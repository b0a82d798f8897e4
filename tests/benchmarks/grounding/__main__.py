"""False accept and false drop of the check of sentences, by kind of falsehood and level, with confidence intervals.

make bench-grounding
"""

import argparse
import json
import math
from collections import Counter
from collections.abc import Sequence

from backend.answers.grounding.check import Evidence
from backend.answers.grounding.likeness import Likeness
from backend.answers.grounding.verdict import Support, Verdict
from tests.answers.passages import passages
from tests.benchmarks.grounding.statements import (
    CASES,
    DECEPTIONS,
    HELD_BACK,
    WRITTEN,
    Statement,
    embedder,
    evidence_of,
    generated,
    restated,
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
    read: dict[tuple[str, ...], Evidence] = {}  # reading a passage takes longer than checking a sentence
    results = []
    for statement in found:
        if statement.passages not in read:
            read[statement.passages] = Evidence(evidence_of(statement.passages)[0], likeness, likeness.threshold)
        evidence = read[statement.passages]
        results.append((statement, evidence.verdict(statement.sentence, list(evidence.passages))))
    return results


def deceptions(likeness: Likeness, chosen: str) -> list[tuple[Statement, Verdict]]:
    """Checks statements of a set that were written against the rules: each has its own passages."""
    results = []
    for line in DECEPTIONS.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row.get("set", "first") != chosen:
            continue
        texts = passages(*written(row["passage"]))
        evidence = Evidence(texts, likeness, likeness.threshold)
        numbers = [passage.number for passage in texts]
        listed = [*((kind, sentence) for kind, found in row["false"].items() for sentence in found)]
        for kind, sentence in [*listed, *(("", sentence) for sentence in row["true"])]:
            statement = Statement((), sentence, kind or "paraphrase", supported=not kind)
            results.append((statement, evidence.verdict(sentence, numbers)))
    return results


def written(passage: str | list[str]) -> list[str]:
    """Returns the passages of a row: one, or several."""
    return [passage] if isinstance(passage, str) else passage


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
    by_level = " | ".join(str(levels[level]) for level in (Support.VERBATIM, Support.CLOSE))
    return f"| {kind} | {len(verdicts)} | {share:.1%} | {low:.1%} – {high:.1%} | {by_level} |"


def main() -> None:
    """Measures the sets asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sentences", type=int, default=600, help="of each set of ../shared/data, to be perturbed")
    parser.add_argument("--verbose", action="store_true", help="print what was wrong")
    chosen = parser.parse_args()
    likeness = Likeness(embedder())
    if CASES.exists():
        report("cases that others wrote (held out)", judged(statements(CASES), likeness), verbose=chosen.verbose)
    report(
        "statements written here (the likeness is trained on them)",
        judged(statements(WRITTEN), likeness),
        verbose=chosen.verbose,
    )
    report("written to deceive, in five languages", deceptions(likeness, "first"), verbose=chosen.verbose)
    for name in ("second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh"):
        held_back = name in HELD_BACK
        title = f"{name} set, held back" if held_back else f"{name} set"
        report(f"written to deceive, {title}", deceptions(likeness, name), verbose=chosen.verbose and not held_back)
    for name in ("twelfth", "thirteenth"):
        held_back = name in HELD_BACK
        title = f"{name} set, held back" if held_back else f"{name} set"
        report(f"restated, {title}", judged(restated(name), likeness), verbose=chosen.verbose and not held_back)
    report(
        "made by perturbing and rewriting", judged(generated(SEED, chosen.sentences), likeness), verbose=chosen.verbose
    )


if __name__ == "__main__":
    main()
