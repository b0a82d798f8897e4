"""One sentence for each kind of falsehood, in each language that has rules: none is shown, and the true ones are."""

import pytest

from backend.answers.grounding.verdict import Reason
from tests.answers.grounding_model import grounding
from tests.answers.passages import passages

pytestmark = pytest.mark.anyio

PASSAGES = {
    "en": (
        "The monthly fee is $15. Customers must report a lost card within two business days. You may close the account "
        "if the balance is zero. The bank must refund the fee before 1 April 2026. The bank generally does not charge "
        "interest on deposits. A transfer costs at most $25. Only managers approve loans over $50,000."
    ),
    "de": (
        "Die monatliche Gebühr beträgt 15 EUR. Der Kunde muss eine verlorene Karte innerhalb von zwei Bankarbeitstagen melden. "
        "Der Kunde kann das Konto kündigen, wenn der Saldo null ist. Die Bank muss die Gebühr vor dem 1. April 2026 erstatten. "
        "Die Bank berechnet in der Regel keine Zinsen auf Einlagen. Eine Überweisung kostet höchstens 25 EUR."
    ),
    "fr": (
        "Les frais mensuels sont de 15 EUR. Le client doit signaler une carte perdue dans les deux jours ouvrables. "
        "Le client peut clôturer le compte si le solde est nul. La banque doit rembourser les frais avant le 1er avril 2026. "
        "En général, la banque ne facture pas d'intérêts sur les dépôts. Un virement coûte au maximum 25 EUR."
    ),
    "es": (
        "La comisión mensual es de 15 EUR. El cliente debe notificar una tarjeta perdida en un plazo de dos días hábiles. "
        "El cliente puede cerrar la cuenta si el saldo es cero. El banco debe reembolsar la comisión antes del 1 de abril de 2026. "
        "Por lo general, el banco no cobra intereses sobre los depósitos. Una transferencia cuesta como máximo 25 EUR."
    ),
    "it": (
        "La commissione mensile è di 15 EUR. Il cliente deve segnalare una carta smarrita entro due giorni lavorativi. "
        "Il cliente può chiudere il conto se il saldo è zero. La banca deve rimborsare la commissione prima del 1 aprile 2026. "
        "Di solito la banca non addebita interessi sui depositi. Un bonifico costa al massimo 25 EUR."
    ),
}

TRUE = {
    "en": [
        "The monthly fee is 15 dollars.",
        "A lost card must be reported by customers within 2 business days.",
        "If the balance is zero, you may close the account.",
        "The bank has to refund the fee before April 1, 2026.",
        "Generally, the bank does not charge interest on deposits.",
        "A transfer costs no more than $25.",
    ],
    "de": [
        "Die monatliche Gebühr beträgt fünfzehn Euro.",
        "Der Kunde muss eine verlorene Karte innerhalb von 2 Bankarbeitstagen melden.",
        "Wenn der Saldo null ist, kann der Kunde das Konto kündigen.",
        "Eine Überweisung kostet maximal 25 €.",
    ],
    "fr": [
        "Les frais mensuels sont de quinze euros.",
        "Si le solde est nul, le client peut clôturer le compte.",
        "Un virement coûte au plus 25 €.",
    ],
    "es": [
        "La comisión mensual es de quince euros.",
        "Si el saldo es cero, el cliente puede cerrar la cuenta.",
        "Una transferencia cuesta a lo sumo 25 €.",
    ],
    "it": [
        "La commissione mensile è di quindici euro.",
        "Se il saldo è zero, il cliente può chiudere il conto.",
        "Un bonifico costa fino a 25 €.",
    ],
}

FALSE = {
    "en": [
        ("number", "The monthly fee is $16."),
        ("number in words", "The monthly fee is fifty dollars."),
        ("magnitude", "The monthly fee is $15k."),
        ("dozen", "The monthly fee is a dozen dollars."),
        ("hundreds", "The monthly fee is hundreds of dollars."),
        ("half", "The monthly fee is fifteen and a half dollars."),
        ("unit", "Customers must report a lost card within two business weeks."),
        ("business days", "Customers must report a lost card within two days."),
        ("frequency", "The yearly fee is $15."),
        ("currency", "The monthly fee is 15 EUR."),
        ("date", "The bank must refund the fee before 1 May 2026."),
        ("year", "The bank must refund the fee before 1 April 2027."),
        ("negation", "The monthly fee is not $15."),
        ("negation lost", "The bank generally does charge interest on deposits."),
        ("hidden negation", "The monthly fee is n\u200bot $15."),
        ("look-alike", "The monthly fee is n\u043et $15."),
        ("false", "It is false that the monthly fee is $15."),
        ("refuses", "The bank refuses to refund the fee before 1 April 2026."),
        ("fails", "The bank fails to refund the fee before 1 April 2026."),
        ("double negation", "You do not have no monthly fee of $15."),
        ("modality", "Customers may report a lost card within two business days."),
        ("advice", "Customers should report a lost card within two business days."),
        ("duty", "You must close the account if the balance is zero."),
        ("comparison", "A transfer costs at least $25."),
        ("over", "A transfer costs more than $25."),
        ("direction", "The bank must refund the fee after 1 April 2026."),
        ("condition dropped", "You may close the account."),
        ("condition negated", "You may close the account if the balance is not zero."),
        ("condition inverted", "You may close the account unless the balance is zero."),
        ("scope", "The bank never charges interest on deposits."),
        ("hedge", "The bank does not charge interest on deposits."),
        ("only", "Managers approve loans over $50,000."),
        ("roles", "The bank must report a lost card within two business days."),
        ("other thing", "The monthly salary is $15."),
        ("name", "The Barclays monthly fee is $15."),
        ("address", "The monthly fee is $15, see refunds.example."),
        ("spliced", "Customers must report a lost card if the balance is zero."),
    ],
    "de": [
        ("number", "Die monatliche Gebühr beträgt 16 EUR."),
        ("number in words", "Die monatliche Gebühr beträgt fünfzig Euro."),
        ("unit", "Der Kunde muss eine verlorene Karte innerhalb von zwei Wochen melden."),
        ("frequency", "Die jährliche Gebühr beträgt 15 EUR."),
        ("currency", "Die monatliche Gebühr beträgt 15 USD."),
        ("date", "Die Bank muss die Gebühr vor dem 1. Mai 2026 erstatten."),
        ("negation", "Die monatliche Gebühr beträgt nicht 15 EUR."),
        ("negation lost", "Die Bank berechnet in der Regel Zinsen auf Einlagen."),
        ("refuses", "Die Bank weigert sich, die Gebühr vor dem 1. April 2026 zu erstatten."),
        ("modality", "Der Kunde kann eine verlorene Karte innerhalb von zwei Bankarbeitstagen melden."),
        ("comparison", "Eine Überweisung kostet mindestens 25 EUR."),
        ("direction", "Die Bank muss die Gebühr nach dem 1. April 2026 erstatten."),
        ("condition dropped", "Der Kunde kann das Konto kündigen."),
        ("condition negated", "Der Kunde kann das Konto kündigen, wenn der Saldo nicht null ist."),
        ("hedge", "Die Bank berechnet keine Zinsen auf Einlagen."),
        ("roles", "Die Bank muss eine verlorene Karte innerhalb von zwei Bankarbeitstagen melden."),
    ],
    "fr": [
        ("number", "Les frais mensuels sont de 16 EUR."),
        ("unit", "Le client doit signaler une carte perdue dans les deux semaines."),
        ("frequency", "Les frais annuels sont de 15 EUR."),
        ("currency", "Les frais mensuels sont de 15 USD."),
        ("date", "La banque doit rembourser les frais avant le 1er mai 2026."),
        ("negation", "Les frais mensuels ne sont pas de 15 EUR."),
        ("negation lost", "En général, la banque facture des intérêts sur les dépôts."),
        ("modality", "Le client peut signaler une carte perdue dans les deux jours ouvrables."),
        ("comparison", "Un virement coûte au moins 25 EUR."),
        ("direction", "La banque doit rembourser les frais après le 1er avril 2026."),
        ("condition dropped", "Le client peut clôturer le compte."),
        ("condition negated", "Le client peut clôturer le compte si le solde n'est pas nul."),
        ("hedge", "La banque ne facture pas d'intérêts sur les dépôts."),
        ("roles", "La banque doit signaler une carte perdue dans les deux jours ouvrables."),
    ],
    "es": [
        ("number", "La comisión mensual es de 16 EUR."),
        ("unit", "El cliente debe notificar una tarjeta perdida en un plazo de dos semanas."),
        ("frequency", "La comisión anual es de 15 EUR."),
        ("currency", "La comisión mensual es de 15 USD."),
        ("date", "El banco debe reembolsar la comisión antes del 1 de mayo de 2026."),
        ("negation", "La comisión mensual no es de 15 EUR."),
        ("negation lost", "Por lo general, el banco cobra intereses sobre los depósitos."),
        ("modality", "El cliente puede notificar una tarjeta perdida en un plazo de dos días hábiles."),
        ("comparison", "Una transferencia cuesta como mínimo 25 EUR."),
        ("direction", "El banco debe reembolsar la comisión después del 1 de abril de 2026."),
        ("condition dropped", "El cliente puede cerrar la cuenta."),
        ("condition negated", "El cliente puede cerrar la cuenta si el saldo no es cero."),
        ("hedge", "El banco no cobra intereses sobre los depósitos."),
        ("roles", "El banco debe notificar una tarjeta perdida en un plazo de dos días hábiles."),
    ],
    "it": [
        ("number", "La commissione mensile è di 16 EUR."),
        ("unit", "Il cliente deve segnalare una carta smarrita entro due settimane."),
        ("frequency", "La commissione annuale è di 15 EUR."),
        ("currency", "La commissione mensile è di 15 USD."),
        ("date", "La banca deve rimborsare la commissione prima del 1 maggio 2026."),
        ("negation", "La commissione mensile non è di 15 EUR."),
        ("negation lost", "Di solito la banca addebita interessi sui depositi."),
        ("modality", "Il cliente può segnalare una carta smarrita entro due giorni lavorativi."),
        ("comparison", "Un bonifico costa almeno 25 EUR."),
        ("direction", "La banca deve rimborsare la commissione dopo il 1 aprile 2026."),
        ("condition dropped", "Il cliente può chiudere il conto."),
        ("condition negated", "Il cliente può chiudere il conto se il saldo non è zero."),
        ("hedge", "La banca non addebita interessi sui depositi."),
        ("roles", "La banca deve segnalare una carta smarrita entro due giorni lavorativi."),
    ],
}


async def reason(language: str, sentence: str) -> Reason | None:
    checked = grounding()
    return (await checked.verdict(f"{sentence} [1]", checked.evidence(passages(PASSAGES[language])))).reason


@pytest.mark.parametrize(
    ("language", "sentence"), [(code, sentence) for code, found in TRUE.items() for sentence in found]
)
async def test_what_a_passage_says_in_other_words_is_shown(language: str, sentence: str) -> None:
    assert await reason(language, sentence) is None


@pytest.mark.parametrize(
    ("language", "kind", "sentence"), [(code, *false) for code, found in FALSE.items() for false in found]
)
async def test_a_falsehood_is_not_shown(language: str, kind: str, sentence: str) -> None:
    assert await reason(language, sentence) is not None


async def test_a_number_in_a_form_that_nobody_reads_is_the_same_character_by_character() -> None:
    checked = grounding()
    evidence = checked.evidence(
        passages("The capital minimum of a dealer is 18/52nds of its expenditure under Rule 4.3.1.")
    )
    for said in ("The capital minimum of a dealer is 180/52nds of its expenditure under Rule 4.3.1.",
                 "The capital minimum of a dealer is 18/52nds of its expenditure under Rule 4.3.2."):  # fmt: skip
        assert (await checked.verdict(f"{said} [1]", evidence)).reason is not None
    same = "Under Rule 4.3.1, the capital minimum of a dealer is 18/52nds of its expenditure."
    assert (await checked.verdict(f"{same} [1]", evidence)).level is not None
