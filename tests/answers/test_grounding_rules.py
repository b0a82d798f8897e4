"""Each rule of the check alone, on pairs so small that it is plain which word decides; nothing here needs a model."""

import re
from collections.abc import Callable

import numpy as np
import pytest

from backend.answers.grounding import (
    agent_vetoes,
    exchange_vetoes,
    features,
    link_vetoes,
    modality_vetoes,
    omission_vetoes,
    quantity_vetoes,
    replacement_vetoes,
    role_vetoes,
    scope_vetoes,
    splice_vetoes,
    vetoes,
)
from backend.answers.grounding.alignment import Alignment, aligned
from backend.answers.grounding.check import Evidence
from backend.answers.grounding.evidence import PassageEvidence
from backend.answers.grounding.features import NAMES, Features, Vectors
from backend.answers.grounding.verdict import Reason, Support
from backend.language.languages import detected
from backend.language.parsed_sentences import parsed
from tests.answers.passages import passages

Veto = Callable[[Alignment], Reason | None]
FROZEN = "The bank may freeze the account after two unanswered requests."
STOLEN = "You are liable if the card is stolen or if its number was copied before you report the loss in writing to the branch."


def alignment(written: str, said: str) -> Alignment:
    unit = PassageEvidence(written, None).units[-1]
    assert unit.language is not None
    assert unit.parsed is not None
    return aligned(parsed(said, unit.language), unit, unit.parsed)


@pytest.mark.parametrize(
    ("veto", "written", "said", "reason"),
    [
        (quantity_vetoes.rates, "The storage fee is $5 per day.", "The storage fee is $5 per month.", Reason.UNIT),
        (quantity_vetoes.attachments, "A fee of $25 is due for each transfer.", "A transfer of $25 has a fee.", Reason.ASSOCIATION),
        (quantity_vetoes.numbers, "The rate of the loan rises to 3% after a year.", "The rate rises by 3%.", Reason.COMPARISON),
        (quantity_vetoes.numbers, "The rate of the loan rises to 3% in May.", "By 3% the rate of the loan rises.", Reason.COMPARISON),
        (role_vetoes.names, "The FDIC insures deposits of members.", "The SEC insures deposits of members.", Reason.NAME),
        (role_vetoes.voices, "You are notified of the change by the bank.", "You notified the bank of the change.", Reason.ROLE),
        (agent_vetoes.doers, "The card will be sent to your branch.", "You send the card to your branch.", Reason.ROLE),
        (agent_vetoes.doers, "Laptops are encrypted by the security team.", "Employees encrypt laptops for the security team.", Reason.ROLE),
        (agent_vetoes.doers, "The balances are transferred to the state treasury.", "The state treasury transfers the balances.", Reason.ROLE),
        (agent_vetoes.doers, "If the machine keeps your card, you must call us.", "If the machine keeps your card, the branch must call you.", Reason.ROLE),
        (agent_vetoes.doers, "The committee approves each loan.", "Each loan is approved by the guarantor.", Reason.ROLE),
        (agent_vetoes.doers, "Der Berater muss den Kunden informieren.", "Der Kunde muss den Berater informieren.", Reason.ROLE),
        (agent_vetoes.doers, "The committee approves each loan.", "Each loan is approved by the committee.", None),
        (agent_vetoes.doers, "Laptops are encrypted by the security team.", "The security team encrypts laptops.", None),
        (agent_vetoes.doers, "Claims must be made within a month.", "You must make claims within a month.", None),
        (vetoes.negation, "Die Bank sperrt die Karte nicht mehr.", "Die Bank sperrt die Karte.", Reason.NEGATION),
        (vetoes.negation, "La banca non blocca più la carta.", "La banca blocca la carta.", Reason.NEGATION),
        (vetoes.conditions, "El cliente puede cerrar la cuenta si no acepta el cambio.", "El cliente puede cerrar la cuenta.", Reason.CONDITION),
        (modality_vetoes.modality, "No one can remove the note.", "No one must remove the note.", Reason.MODALITY),
        (modality_vetoes.modality, "El prestatario debe contratar un seguro.", "La contratación de un seguro es obligatoria para el prestatario.", None),
        (modality_vetoes.modality, "El prestatario puede contratar un seguro.", "La contratación de un seguro es obligatoria para el prestatario.", Reason.MODALITY),
        (role_vetoes.voices, "The bank closes the account, and the customer is notified of the change.",
         "When notified, the customer may complain of the change.", None),  # the passive is in a clause of its own
        (link_vetoes.links, "The wires of all members return if the account is closed.",
         "The wires of all members return because the account is closed.", Reason.CONDITION),
        (link_vetoes.links, "If the balance is low the fee is due, because wires cost money.",
         "The fee is due because the balance of wires is low.", Reason.CONDITION),  # of two clauses, the first decides
        (link_vetoes.restrictions, "All transfers approved by managers are free.", "All transfers are free.", Reason.CONDITION),
        (link_vetoes.restrictions, "The checks over $5,000 may be held for a week.", "The checks may be held.", Reason.CONDITION),
        (link_vetoes.restrictions, "The checks of $5,000 may be held for a week.", "The checks may be held.", None),  # no bound
        (vetoes.conditions, STOLEN, "You are liable if the card is stolen.", None),  # "before" belongs to the other case
        (vetoes.conditions, "You pay the fee unless the loan ends or unless the bank sells the house.",
         "You pay the fee unless the loan ends.", Reason.CONDITION),  # of two limits, neither can be left out
        (vetoes.conditions, "If the balance is zero, you may close the account.", "You may close a zero balance account.", None),
        (vetoes.negation, "Wires are free, and checks are not accepted at any branch of the bank.", "Wires are free.", None),
        (quantity_vetoes.association, "A $5 stamp per wire costs two hundred dollars to the bank that is in the town.", "Each wire is $5.",
         Reason.ASSOCIATION),  # the wire is as near to the first word of the other number
        (replacement_vetoes.replacements, "The borrower must pay the whole balance to the bank.",
         "The guarantor must pay the whole balance to the bank.", Reason.WORDING),
        (replacement_vetoes.replacements, "Issuers may lower credit limits without any notice.",
         "Issuers may lower credit limits without any credit.", Reason.WORDING),  # a word that stands elsewhere, too
        (replacement_vetoes.replacements, "The servicer may offer a plan to the owner of the house.",
         "The insurer may offer a plan to the owner of the house.", Reason.WORDING),  # one firm for another
        (replacement_vetoes.replacements, "The borrower must pay the whole balance to the bank.",
         "The guarantor must pay.", None),  # no copy: other rules decide
        (replacement_vetoes.replacements, "The borrower must pay the whole balance to the bank.",
         "The whole balance must be paid to the bank by the borrower.", None),
        (replacement_vetoes.limits, "The customer may leave the contract within fourteen days of signing.",
         "The customer may leave the contract on signing.", Reason.CONDITION),
        (replacement_vetoes.limits, "The customer may leave the contract within fourteen days of signing.",
         "The customer may leave the contract within 14 days of signing.", None),
        (vetoes.conditions, "The fee is due if the card is new and if the card is used.",
         "The fee is due if the card is new or if the card is used.", Reason.CONDITION),
        (splice_vetoes.spliced_clauses, "A wire is free of charge, but a check is taxed at a branch.", "A wire is taxed at a branch.",
         Reason.SPLICED),
        (modality_vetoes.modality, "Members must be there.", "Members must be there.", None),  # by the word before "must" alone
        (modality_vetoes.modality, "The bank keeps papers and cards as required by law.", "As required, the bank keeps cards.", None),
        (modality_vetoes.modality, "Members may close joint accounts at any branch of ours; the bank sends letters.",
         "To close accounts at a branch the bank will send letters.", None),  # "send" decides, which is no option
        (modality_vetoes.modality, "If the balance of a joint account is low, the bank can close it.",
         "If the balance of a joint account is low, the bank charges no fee.", Reason.MODALITY),  # a condition is passed over
        (role_vetoes.directions, "The bank comes to the holiday of the account.", "The bank comes from the holiday of the account.",
         Reason.DIRECTION),  # by the word right after the preposition
        (role_vetoes.voices, "You notified the bank of the change.", "You are notified of the change by the bank.", Reason.ROLE),
        (role_vetoes.roles, "The bank closes the account, and you pay the fee.", "You close the account.", Reason.ROLE),
        (splice_vetoes.splicing, "Wires are free; the checks cost money.", "Wires cost money.", Reason.SPLICED),
        (vetoes.negation, "Members have an account with no fee.", "Members have an account.", None),  # what is lacked is left out
        (vetoes.conditions, "The member is liable, if card is stolen before you report it.", "The member is liable, if card is stolen.",
         None),  # no comma stands before "before": it belongs to the condition
        (quantity_vetoes.association, "Each transfer for a loan costs $5, and the withdrawal for a account costs $30 at the check of the deposit.",
         "The check of the deposit for the transfer of the account is $5.", None),  # too far from the number to say what it is about
        (omission_vetoes.omissions, FROZEN, "The bank may freeze the account.", Reason.CONDITION),
        (omission_vetoes.omissions, FROZEN, "The bank may freeze the account after two requests.", Reason.CONDITION),
        (omission_vetoes.omissions, FROZEN, "After two unanswered requests, the bank may freeze the account.", None),
        (omission_vetoes.omissions, "To open a joint account, both holders must come to the branch.", "Both holders must come to the branch.",
         Reason.CONDITION),
        (omission_vetoes.omissions, "In addition, both holders must come to the branch.", "Both holders must come to the branch.", None),
        (omission_vetoes.omissions, "Interest on uninsured bonds is paid in May.", "Interest on bonds is paid in May.", Reason.CONDITION),
        (omission_vetoes.omissions, "Interest on underlying bonds is paid in May.", "Interest on bonds is paid in May.", None),
        (omission_vetoes.omissions, "Zinsen auf ungedeckte Anleihen zahlt die Bank im Mai an alle Kunden.",
         "Zinsen auf Anleihen zahlt die Bank im Mai an alle Kunden.", Reason.CONDITION),
        (omission_vetoes.omissions, "Zinsen auf unterlegte Anleihen zahlt die Bank im Mai an alle Kunden.",
         "Zinsen auf Anleihen zahlt die Bank im Mai an alle Kunden.", None),
        (omission_vetoes.omissions, "The card is activated by phone or in the app.", "The card is activated by phone.", None),
        (omission_vetoes.omissions, "The issuers lower the limit of customers who miss a payment.", "The issuers lower the limit.",
         Reason.CONDITION),
        (omission_vetoes.omissions, "Interest on federal loans can be paid later.", "Interest can be paid later.", Reason.CONDITION),
        (omission_vetoes.omissions, "Interest on federal loans can be paid later.", "Interest on loans can be paid later.", Reason.CONDITION),
        (omission_vetoes.omissions, "No interest accrues on purchases in the grace period.", "No interest accrues in the grace period.",
         Reason.CONDITION),  # what is denied of one thing is not denied of all
        (omission_vetoes.omissions, "The bank sends the letter within two weeks of the request, and no later than 30 days.",
         "The bank sends the letter no later than 30 days.", None),  # of two limits one is enough
        (omission_vetoes.omissions, "The terms are told before purchase of the card.", "The terms are told before people buy the card.", None),
        (exchange_vetoes.exchanges, "The bank informs the branch of the change.", "The branch informs the bank of the change.", Reason.ROLE),
        (exchange_vetoes.exchanges, "The bank informs the branch of the change.", "The branch is informed of the change by the bank.", None),
        (exchange_vetoes.exchanges, "The guarantor pays after the lender has sued the heir.",
         "The heir pays after the lender has sued the guarantor.", Reason.ROLE),
        (exchange_vetoes.exchanges, "Claims are decided by the network of the bank.", "Claims are decided by the cardholder.", Reason.ROLE),
        (scope_vetoes.scope, "Sometimes the court reduces the fee.", "Often the court reduces the fee.", Reason.SCOPE),
        (scope_vetoes.scope, "Usually the court reduces the fee.", "Generally the court reduces the fee.", None),
        (splice_vetoes.strange_clauses, "The fee may not be changed.", "If a broker wins a lottery, the fee may not be changed.",
         Reason.SPLICED),
        (modality_vetoes.modality, "The applicants are required to provide a number.", "The applicants provide a number.", Reason.MODALITY),
        (modality_vetoes.modality, "The bank must complete the review of your letter and of all papers in 90 days.",
         "The bank has 90 days to complete the review.", None),
        (modality_vetoes.modality, "If you can repay the whole loan in advance at a branch of ours, the bank charges no fee.",
         "If you repay the loan in advance, the bank charges no fee.", Reason.MODALITY),  # in a condition, too
        (role_vetoes.roles, "The lender that rejects an application must state the reasons.",
         "The applicant that rejects an application must state the reasons.", Reason.ROLE),
    ],
)  # fmt: skip
def test_a_rule_decides(veto: Veto, written: str, said: str, reason: Reason | None) -> None:
    assert veto(alignment(written, said)) is reason


def test_a_modal_verb_is_about_the_fourteen_words_after_it() -> None:
    rest = "go to the one of the two or to the one of the two or to the one of it"
    written = alignment(f"Members may {rest}.", "Members may go.").source
    (modal,) = written.modals
    assert len(modality_vetoes._after(written, modal)) == 14


def test_a_comma_or_a_conjunction_is_as_far_as_six_words() -> None:
    found = alignment("The fee of a wire, or of a check, is $25 and it is due at once.", "A fee is $25.")
    (amount,) = found.source.quantities
    words = {"fee": 1, "wire": 4, "check": 9, "due": 17}
    distances = {word: quantity_vetoes._distance(found, place, amount) for word, place in words.items()}
    assert distances == {"fee": 12 + 3 * 6, "wire": 9 + 3 * 6, "check": 4 + 6, "due": 4 + 6}


@pytest.mark.parametrize(
    ("written", "said", "clauses"),
    [
        # Of two clauses with as many words, the one that is no condition either comes first.
        ("If the balance is negative, the fee is due.", "The balance has a fee.", {0: (1, 0)}),
        # Two of five words are a share, one of five is none.
        ("If the balance of a joint account turns negative, the fee is due.", "The joint balance is a fee due.", {0: (1, 0)}),
        ("If the balance of a joint account turns negative, the fee is due.", "The balance is a fee due.", {0: (1,)}),
    ],
)  # fmt: skip
def test_a_clause_draws_on_those_that_give_it_a_share_of_their_words(
    written: str, said: str, clauses: dict[int, tuple[int, ...]]
) -> None:
    assert alignment(written, said).clauses == clauses


def test_a_word_that_two_clauses_have_is_taken_from_the_one_that_has_most_of_the_statement() -> None:
    found = alignment(
        "The bank charges a fee for wires, and the branch charges no fee for checks.",
        "The fee is charged by the branch.",
    )
    assert (found.clauses, found.sources()) == ({0: (1,)}, {10, 11, 13})


@pytest.mark.parametrize(
    ("text", "leads"),
    [
        ("You may pay by:\n- a wire to us\n- a check of yours\n\nThe fee of the bank is due.", ["", "You may pay by:", "You may pay by:", ""]),
        ("Free of charge are:\nCards of members. Wires cost $25 at every branch.", ["", "Free of charge are:", ""]),
    ],
)  # fmt: skip
def test_a_line_introduces_the_items_below_it_and_no_sentence_beside_one(text: str, leads: list[str]) -> None:
    assert [unit.lead for unit in PassageEvidence(text, None).units] == leads


def test_a_word_that_is_said_twice_draws_on_two_places() -> None:
    found = alignment("Fees of wires and fees of checks are due.", "Fees and fees are due.")
    assert {said: pair.source for said, pair in found.pairs.items()} == {0: 0, 2: 4, 4: 8}


def test_words_that_stand_apart_in_the_evidence_count_by_their_share() -> None:
    assert features._apart(alignment("Fees of wires and of all checks are due.", "Fees checks are due.")) == 1.0


def test_it_may_refer_to_the_title_and_to_the_two_sentences_before() -> None:
    text = "The wires are free. The checks are not. The cards cost money. It is due in May."
    last = PassageEvidence(text, "Prices").units[-1]
    named = {word: word in last.context_forms for word in ("prices", "wires", "checks", "cards", "due")}
    assert named == {"prices": True, "wires": False, "checks": True, "cards": True, "due": False}


@pytest.mark.parametrize(
    ("sentence", "units"),
    [("Wires cost $30 and checks of members cost $40.", 0), ("Wires cost $30 and checks cost $40.", 1)],
)
def test_a_unit_is_evidence_from_a_fifth_of_the_words_and_numbers_on(sentence: str, units: int) -> None:
    evidence = Evidence(passages("The branch sends wires on every day of the week."), lambda _: 1.0, 0.5)
    language = detected(sentence)
    assert language is not None
    assert len(evidence.alignments(parsed(sentence, language), 1)) == units


def test_a_sentence_too_short_to_tell_its_language_has_that_of_the_passage() -> None:
    evidence = Evidence(passages("The monthly fee of the account is 15 EUR at every branch."), lambda _: 1.0, 0.5)
    assert detected("Monthly account fee 15 EUR.") is None
    assert evidence.verdict("Monthly account fee 15 EUR.", [1]).level is Support.CLOSE


def pieces(text: str) -> tuple[list[tuple[int, int]], Vectors]:
    """Gives each word a vector by its first letter: the same for the same words, another for most others."""
    words = list(re.finditer(r"\w+|\S", text.casefold()))
    return [word.span() for word in words], np.eye(128, dtype=np.float32)[[ord(word[0][0]) % 128 for word in words]]


@pytest.mark.parametrize(
    ("written", "said", "expected"),
    [
        (
            "Wires leave the bank on the same day of the week.",
            "The bank sends wires on day 2.",
            [1, 1.099, 0.333, 0, 0, 0, 0.667, 0, 0, 1, 1, 0.829, 1, 0, 0.333, 0.333, 0.667, 1, 0, 0, 0],
        ),
        (
            "Members hold accounts. The bank sends cards, and couriers carry letters for $5 at noon.",
            "The bank mails members a big letters card for $5 and a box for $6.",
            [1, 1.946, 0.286, 0.143, 0.143, 0, 0.571, 1, 1, 1, 1, 0.695, 0.333, 0.5, 0, 0.429, 1.2, 2, 0, 0, 1],
        ),
        (
            "The bank sends cards. They cost a fee.",
            "Zebras jump.",
            [1, 0.693, 1, 0, 0, 0, 0, 1, 2, 0.5, 0.5, 0.258, 0, 0, 0, 1, 0.6, 0, 1, 0, 2],
        ),
    ],
)
def test_an_alignment_in_numbers(written: str, said: str, expected: list[float]) -> None:
    found = Features(pieces)(alignment(written, said)).round(3).tolist()
    assert dict(zip(NAMES, found, strict=True)) == dict(zip(NAMES, expected, strict=True))
