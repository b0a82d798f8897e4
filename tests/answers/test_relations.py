"""A sentence that turns round how facts are related, or says of all what is said of a part, is not shown."""

import pytest

from backend.answers.generator import Claim
from tests.answers.grounding_model import grounding
from tests.answers.passages import passages

pytestmark = pytest.mark.anyio

PLAN = "The plan lowers the monthly payment but lengthens the loan, so the total interest is usually higher."
ONLINE = "Accounts opened with a branch receive 0.25% more than accounts opened online."
REPORTED = "Customers with paperless statements reported fewer missed payments last year."
PURCHASES = "Premium members pay no foreign transaction fee on purchases made in person; online purchases cost 1.5% of the amount."
CALL_CENTRE = "Staff at the call centre can raise your limit temporarily, for no longer than 48 hours."
MAIL = "Sending cash by mail is risky. Missing a deadline is an offence and may lead to a fine."
FORWARDED = "The broker forwards the order to the exchange before the client confirms it."
REPLACED = "Debit cards are replaced free of charge, credit cards for a fee of $10."
STAFF = "Staff should end the conversation politely and must not mention the report."


async def is_shown(passage: str, statement: str) -> bool:
    checked = grounding()
    return isinstance(await checked.claim(f"{statement} [1]", checked.evidence(passages(passage))), Claim)


@pytest.mark.parametrize(
    ("passage", "statement"),
    [
        pytest.param(PLAN, "The plan lengthens the loan because the total interest is usually higher.", id="effect as cause"),
        pytest.param(REPORTED, "Customers reported fewer missed payments because they had paperless statements.", id="invented cause"),
        pytest.param(ONLINE, "Accounts opened online receive 0.25% more than accounts opened with a branch.", id="comparison turned"),
        pytest.param(REPORTED, "Customers with paperless statements will report fewer missed payments.", id="future for past"),
        pytest.param(REPORTED, "Customers with paperless statements reported fewer missed payments this year.", id="another year"),
        pytest.param(PURCHASES, "Premium members pay no foreign transaction fee on purchases.", id="participle left out"),
        pytest.param(PURCHASES, "Premium members pay no foreign transaction fee on online purchases.", id="splice over a semicolon"),
        pytest.param(CALL_CENTRE, "Staff at the call centre can raise your limit.", id="adverb left out"),
        pytest.param("You still have to pay the undisputed part of the bill.", "You still have to pay the bill.", id="whole for part"),
        pytest.param("A replacement card is free once every calendar year.", "A replacement card is free.", id="rate left out"),
        pytest.param("The letter is sent one month before the contract ends.", "The letter is sent one month after the contract ends.", id="after for before"),
        pytest.param("Delays are compensated from the fourth hour on.", "Delays are compensated up to the fourth hour.", id="end for beginning"),
        pytest.param("For loans under $5,000, no collateral is required.", "No collateral is required.", id="introduction left out"),
        pytest.param("Members get 10% off, but not on gift cards.", "Members get 10% off.", id="but not"),
        pytest.param("If the claim is accepted, the insurer pays the expert.", "The insurer pays the expert if the claim is made.", id="condition's verb"),
        pytest.param("Suppliers must not accept gifts from employees.", "Employees must not accept gifts from suppliers.", id="actor and source"),
        pytest.param("The annual return must be sent within four months.", "The monthly return must be sent within four months.", id="monthly for annual"),
        pytest.param("Chapters 2, 3 and 6 do not apply to an insurer.", "Chapters 2, 3 and 3 do not apply to an insurer.", id="number twice"),
        pytest.param(MAIL, "Sending cash by mail is risky, and may lead to a fine.", id="half without a subject"),
        pytest.param(FORWARDED, "The exchange forwards the order to the broker before the client confirms it.", id="places changed"),
        pytest.param("The tenant pays the agent, and the agent pays the owner.", "The tenant pays the owner.", id="subject of the other part"),
        pytest.param(REPLACED, "Credit cards are replaced free of charge.", id="predicate of the other part"),
        pytest.param(REPLACED, "Debit cards are replaced for a fee of $10.", id="price of the other part"),
        pytest.param("Der Prüfer informiert den Vorstand, der Vorstand informiert die Aufsicht.", "Der Prüfer informiert die Aufsicht.", id="object of the other part in German"),
        pytest.param("El auditor informa al consejo, y el consejo informa al regulador.", "El consejo informa al auditor.", id="turned round in Spanish"),
        pytest.param("Der Gutachter besichtigt das Fahrzeug am Unfallort.", "Der Kunde besichtigt das Fahrzeug am Unfallort.", id="actor in German"),
        pytest.param("Für Ersatzkarten berechnet die Bank 12 Euro, außer bei Diebstahl.", "Für Ersatzkarten berechnet die Bank 12 Euro, auch bei Diebstahl.", id="exception in German"),
        pytest.param("Le conseiller peut accorder un découvert de 500 euros au maximum.", "Le conseiller peut accorder un découvert de 500 euros au minimum.", id="bound behind in French"),
        pytest.param("Le conseiller accorde 500 euros. Au-delà, l'accord du directeur est nécessaire.", "L'accord du directeur est nécessaire.", id="beyond that in French"),
        pytest.param("Previa autorización del titular, el gestor puede mover los fondos.", "El gestor puede mover los fondos.", id="introduction in Spanish"),
        pytest.param("Il titolare e il garante devono firmare il modulo.", "Il titolare o il garante devono firmare il modulo.", id="or for and in Italian"),
        pytest.param("Se la carta viene bloccata dopo tre tentativi errati, il cliente chiama.", "Se la carta viene bloccata dopo tre tentativi, il cliente chiama.", id="adjective in Italian"),
    ],
)  # fmt: skip
async def test_what_is_related_otherwise_is_not_shown(passage: str, statement: str) -> None:
    assert not await is_shown(passage, statement)


@pytest.mark.parametrize(
    ("passage", "statement"),
    [
        pytest.param(PLAN, "The plan lowers the monthly payment but lengthens the loan.", id="cause alone"),
        pytest.param(ONLINE, "Accounts that were opened with a branch receive 0.25% more than accounts opened online.", id="comparison kept"),
        pytest.param(REPLACED, "Debit cards are replaced free of charge.", id="one of two parts"),
        pytest.param("State laws require banks and credit unions to keep a copy of all checks.", "State laws require banks to keep a copy of all checks.", id="one of two joined by and"),
        pytest.param("Die Bank informiert den Kunden zwei Monate vor der Änderung.", "Zwei Monate vor der Änderung informiert die Bank den Kunden.", id="inversion in German"),
        pytest.param(STAFF, "Staff must not mention the report.", id="the second of two modal verbs"),
        pytest.param("The applicant can request a copy at no cost.", "At no cost, the applicant can request a copy.", id="phrase in front"),
        pytest.param("Customers may not withdraw more than $500 per day.", "Customers cannot withdraw more than $500 a day.", id="a day"),
        pytest.param("Originals need not be submitted.", "Originals do not need to be submitted.", id="need not"),
        pytest.param("Der Berater prüft die Unterlagen, bevor er den Vertrag unterschreibt.", "Bevor er den Vertrag unterschreibt, prüft der Berater die Unterlagen.", id="verb second in German"),
        pytest.param("Kunden können das Konto jederzeit schriftlich kündigen.", "Das Konto kann von Kunden jederzeit schriftlich gekündigt werden.", id="participle in German"),
        pytest.param("Le conseiller peut accorder un découvert de 500 euros au maximum.", "Un découvert d'au plus 500 euros peut être accordé par le conseiller.", id="passive in French"),
        pytest.param("Il titolare e il garante devono firmare il modulo.", "Il modulo deve essere firmato dal titolare e dal garante.", id="passive in Italian"),
    ],
)  # fmt: skip
async def test_the_same_in_other_words_is_shown(passage: str, statement: str) -> None:
    assert await is_shown(passage, statement)
