"""A duty, a permission, advice and a release stay what they are, in each language that has rules."""

from itertools import product

import pytest

from backend.answers.grounding.verdict import Reason
from tests.answers.grounding_model import grounding
from tests.answers.passages import passages

pytestmark = pytest.mark.anyio

FORMS = {
    "en": {
        "sentence": "The customer {} the written complaint to the branch within thirty days.",
        "must": ["must send", "has to send", "needs to send", "shall send", "is required to send", "is obliged to send"],
        "may": ["may send", "can send", "is allowed to send", "is permitted to send", "is entitled to send"],
        "should": ["should send", "ought to send"],
        "need not": ["need not send", "does not have to send", "does not need to send", "is not required to send"],
        "must not": ["must not send", "cannot send", "shall not send", "is not allowed to send", "is not permitted to send"],
        "will": ["will send"],
    },
    "de": {
        "sentence": "Der Kunde {} die schriftliche Beschwerde innerhalb von dreißig Tagen an die Filiale {}.",
        "must": ["muss / senden", "ist verpflichtet, / zu senden", "hat / zu senden"],
        "may": ["kann / senden", "darf / senden", "ist berechtigt, / zu senden"],
        "should": ["sollte / senden", "soll / senden"],
        "need not": ["muss / nicht senden", "ist nicht verpflichtet, / zu senden", "braucht / nicht zu senden"],
        "must not": ["darf / nicht senden", "kann / nicht senden"],
    },
    "fr": {
        "sentence": "Le client {} la réclamation écrite à l'agence dans les trente jours.",
        "must": ["doit envoyer", "est tenu de envoyer", "est obligé de envoyer"],
        "may": ["peut envoyer", "est autorisé à envoyer", "a le droit de envoyer"],
        "should": ["devrait envoyer"],
        "need not": ["n'est pas tenu de envoyer", "n'est pas obligé de envoyer"],
        "must not": ["ne doit pas envoyer", "ne peut pas envoyer", "n'est pas autorisé à envoyer"],
    },
    "es": {
        "sentence": "El cliente {} la reclamación escrita a la sucursal en un plazo de treinta días.",
        "must": ["debe enviar", "tiene que enviar", "está obligado a enviar", "deberá enviar"],
        "may": ["puede enviar", "está autorizado a enviar", "tiene derecho a enviar", "podrá enviar"],
        "should": ["debería enviar"],
        "need not": ["no tiene que enviar", "no está obligado a enviar"],
        "must not": ["no debe enviar", "no puede enviar", "no está autorizado a enviar"],
    },
    "it": {
        "sentence": "Il cliente {} il reclamo scritto alla filiale entro trenta giorni.",
        "must": ["deve inviare", "è tenuto a inviare", "è obbligato a inviare", "dovrà inviare"],
        "may": ["può inviare", "è autorizzato a inviare", "ha il diritto di inviare", "potrà inviare"],
        "should": ["dovrebbe inviare"],
        "need not": ["non è tenuto a inviare", "non è obbligato a inviare"],
        "must not": ["non deve inviare", "non può inviare", "non è autorizzato a inviare"],
    },
}  # fmt: skip


def sentence(language: str, form: str) -> str:
    return str(FORMS[language]["sentence"]).format(*form.split(" / "))


def pairs(*, same: bool) -> list[tuple[str, str, str]]:
    """Returns (language, what a passage says, what is said of it), of one meaning or of two."""
    found = []
    for language, forms in FORMS.items():
        meanings = [name for name in forms if name != "sentence"]
        for one, other in product(meanings, meanings):
            if (one == other) is same:
                found += [
                    (language, first, second) for first in forms[one] for second in forms[other] if first != second
                ]
    return found


async def reason(language: str, passage: str, statement: str) -> Reason | None:
    checked = grounding()
    cited = f"{sentence(language, statement)} [1]"
    return (await checked.verdict(cited, checked.evidence(passages(sentence(language, passage))))).reason


async def test_no_modal_verb_is_shown_for_one_that_means_something_else() -> None:
    shown = [pair for pair in pairs(same=False) if await reason(*pair) is None]
    assert not shown


async def test_most_modal_verbs_are_shown_for_others_of_their_meaning() -> None:
    told = pairs(same=True)
    dropped = [pair for pair in told if await reason(*pair) is not None]
    assert len(dropped) <= 0.1 * len(told), dropped


@pytest.mark.parametrize(
    ("passage", "statement"),
    [
        ("You may lose all of your deposit.", "You lose all of your deposit."),
        ("The rate can rise, and you may lose your deposit.", "The rate can rise, and you lose your deposit."),
        ("The bank charges a fee for paper statements.", "The bank may charge a fee for paper statements."),
        ("You pay a fee for paper statements.", "You must pay a fee for paper statements."),
        ("You should keep a copy of the letter.", "You keep a copy of the letter."),
        ("Your lender may not offer this service.", "Your lender cannot offer this service."),
        ("Call the bank and ask what you can do about the charge.", "Call the bank and ask what you must do about the charge."),
        ("These records help you if you have a dispute.", "These records help you if you may have a dispute."),
        ("The number must not exceed four digits.", "The number need not exceed four digits."),
        ("A safety deposit box is optional for members.", "A safety deposit box is required for members."),
        ("The recommended disclosures are printed on the form.", "The required disclosures are printed on the form."),
        ("Members have a right to vote at the meeting.", "Members have a duty to vote at the meeting."),
    ],
)  # fmt: skip
async def test_what_is_meant_otherwise_is_not_shown(passage: str, statement: str) -> None:
    checked = grounding()
    assert (await checked.verdict(f"{statement} [1]", checked.evidence(passages(passage)))).level is None


@pytest.mark.parametrize(
    ("passage", "statement"),
    [
        ("You should keep a copy of the letter.", "Keep a copy of the letter."),
        ("You may also need to consult an attorney.", "You may need to consult an attorney."),
        ("You cannot be charged a late fee if you paid on time.", "No late fee may be charged if you paid on time."),
        ("The issuer must correct the error and send a notice to you.", "The issuer must send a notice to you."),
        ("Banks are generally not required by law to return checks.", "Banks are generally not legally required to return checks."),
    ],
)  # fmt: skip
async def test_the_same_meaning_in_other_words_is_shown(passage: str, statement: str) -> None:
    checked = grounding()
    assert (await checked.verdict(f"{statement} [1]", checked.evidence(passages(passage)))).level is not None
