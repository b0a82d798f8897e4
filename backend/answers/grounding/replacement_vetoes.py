"""Rules on statements that copy a sentence but for a word or a phrase: what was put in its place, or left out, was meant."""

from collections import Counter
from itertools import pairwise

from backend.answers.grounding.alignment import Alignment, Grade
from backend.answers.grounding.verdict import Reason
from backend.language.bounds import Bound

_LEFT_OUT = 0.15  # of the evidence's words, by a statement that copies it


def replacements(alignment: Alignment) -> Reason | None:
    """Refuses a copy in which a word stands where the evidence has another one.

    A paraphrase changes more than one word; whoever changes just one changes what is said.
    """
    source = alignment.source
    places = _places(alignment)
    replaced = {place for gap in _gaps(alignment, places) for place in gap}
    used = set(places.values())
    left = [place for place in source.content if place not in used and place not in replaced]
    return Reason.WORDING if replaced and len(left) <= _LEFT_OUT * len(source.content) else None


def _places(alignment: Alignment) -> dict[int, int]:
    """Returns where the evidence has each word of the statement; of a word that it has once, only the first."""
    taken: Counter[int] = Counter()
    places = {}
    for said in alignment.statement.content:
        pair = alignment.pairs.get(said)
        if pair is None or pair.grade in {Grade.OPPOSITE, Grade.PARTY} or taken[pair.source]:
            continue
        taken[pair.source] += 1
        places[said] = pair.source
    return places


def _gaps(alignment: Alignment, places: dict[int, int]) -> list[list[int]]:
    """Returns the words of the evidence that one other word of the statement stands for, between the same neighbours."""
    statement, source = alignment.statement, alignment.source
    used, carriers = set(places.values()), statement.language.rule("carriers")
    edges = [(-1, -1), *places.items(), (len(statement.tokens), len(source.tokens))]
    found = []
    for (said, written), (next_said, next_written) in pairwise(edges):
        new = [
            place
            for place in statement.content
            if said < place < next_said and statement.tokens[place].form not in carriers
        ]
        old = [place for place in source.content if written < place < next_written and place not in used]
        if len(new) == len(old) == 1:
            found.append(old)
    return found


def limits(alignment: Alignment) -> Reason | None:
    """Refuses a copy without the period or the bound under which the evidence says it: "within fourteen days"."""
    statement, source = alignment.statement, alignment.source
    left = [place for place in source.content if place not in alignment.sources()]
    if len(left) > _LEFT_OUT * len(source.content):
        return None
    bounded = (
        quantity
        for quantity, bound in zip(source.quantities, source.bounds, strict=True)
        if bound is not Bound.NONE and quantity.unit != "ordinal"
    )
    lost = any(not any(said.says(quantity) for said in statement.quantities) for quantity in bounded)
    return Reason.CONDITION if lost else None
