"""A sentence that copies another without what narrows it is not shown."""

import pytest

from tests.answers.grounding_model import grounding
from tests.answers.passages import passages

pytestmark = pytest.mark.anyio

LOAN = "Gig workers who have been active for at least six months can apply for a loan of up to 3,000 dollars."
TOLD = "The owner is told by letter one month before."
KEPT = "Data on salaries is deleted two years after the loan has been repaid."
FEES = "If you stop paying your bills, you will usually incur late fees, and creditors will likely call you."


@pytest.mark.parametrize(
    ("passage", "statement"),
    [
        pytest.param(LOAN, "Gig workers can apply for a loan of up to 3,000 dollars.", id="relative clause"),
        pytest.param(TOLD, "The owner is told by letter.", id="number"),
        pytest.param(KEPT, "Data on salaries is deleted after the loan has been repaid.", id="number of two"),
        pytest.param(
            "Transfers to a new payee are held for 24 hours unless you confirm them in the app.",
            "Transfers are held for 24 hours unless you confirm them in the app.",
            id="phrase",
        ),
        pytest.param(
            "The bank can refuse a transfer if it suspects fraud or if the payee is on a list.",
            "The bank can refuse a transfer if it suspects fraud and if the payee is on a list.",
            id="and for or",
        ),
        pytest.param(
            "Le virement est gratuit lorsque le compte du bénéficiaire se trouve dans la zone euro.",
            "Le virement est gratuit lorsque le compte se trouve dans la zone euro.",
            id="attribute in French",
        ),
        pytest.param(
            "Los clientes que tengan menos de 30 años no pagan cuota durante el primer año.",
            "Los clientes que tengan menos de 30 años no pagan cuota.",
            id="period in Spanish",
        ),
        pytest.param(
            "Das Konto ist für Studenten kostenlos. Andernfalls kostet das Konto 4 Euro im Monat.",
            "Das Konto kostet 4 Euro im Monat.",
            id="otherwise",
        ),
        pytest.param(
            FEES,
            "If you stop paying your bills, you will incur late fees, and creditors will likely call you.",
            id="one hedge of two",
        ),
        pytest.param(
            "The consent is effective until it is revoked, or unless the bank terminates the service.",
            "The consent is effective until it is revoked, or.",
            id="unfinished",
        ),
        pytest.param(
            "Can your loan balance increase? Ask the lender how interest is added.",
            "Your loan balance can increase.",
            id="question",
        ),
    ],
)
async def test_what_narrows_a_claim_is_not_left_out_of_a_copy(passage: str, statement: str) -> None:
    checked = grounding()
    verdict = await checked.verdict(f"{statement} [1]", checked.evidence(passages(passage)))
    assert verdict.level is None


@pytest.mark.parametrize(
    ("passage", "statement"),
    [
        (LOAN, "Gig workers who have been active for at least six months may apply for a loan of up to $3,000."),
        (
            "Contact your bank or credit union directly if you need to obtain a copy of a cancelled check.",
            "Contact your bank directly if you need a copy of a cancelled check.",
        ),
        (
            "Tip: If you have a problem with your mortgage, you can submit a complaint with the CFPB online or by calling us.",
            "If you have a problem with your mortgage, you may submit a complaint to the CFPB online.",
        ),
    ],
)
async def test_what_narrows_nothing_may_be_left_out(passage: str, statement: str) -> None:
    checked = grounding()
    verdict = await checked.verdict(f"{statement} [1]", checked.evidence(passages(passage)))
    assert verdict.level is not None
