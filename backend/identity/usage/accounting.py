"""Holds keys to their budgets. What an answer may use is reserved before a model is asked, and what it used is counted after.

Every door comes through here, since every answer does. Users have no budgets; what they use is counted all the same.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from backend.audit.actions.answers import TokensUsed
from backend.database import Connection, Queries
from backend.errors import BudgetExhausted
from backend.identity.callers.caller import Caller
from backend.settings.answers import Price

queries = Queries.beside(__file__)

MICROS = 1_000_000
_BYTES_PER_TOKEN = 3  # fewer than in the languages that are served, so that an estimate is rather too high
_NAMES = {
    "tokens_day": "tokens a day", "tokens_month": "tokens a month", "cost_day": "money a day", "cost_month": "money a month",
}  # fmt: skip


def estimated_tokens(*texts: str) -> int:
    """Returns about how many tokens a model counts in texts, and rather too many."""
    return sum(math.ceil(len(text.encode()) / _BYTES_PER_TOKEN) for text in texts)


@dataclass(frozen=True, slots=True)
class Tokens:
    """How much a model read and wrote; `estimated` when no server counted it."""

    prompt: int
    completion: int
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Reservation:
    """What is about to be asked of a model, at most; `collection` is the slug of the one that is asked about, or empty.

    `others` are models that may be asked in its place.
    """

    id: UUID
    model: str
    collection: str
    most: Tokens
    others: tuple[str, ...] = ()


class Accounting:
    """Knows what models cost, and keeps the accounts."""

    def __init__(self, prices: Mapping[str, Price]) -> None:
        """`prices` are those of a million tokens, by the name of the model that is asked for."""
        self._prices = prices

    def cost_micros(self, model: str, used: Tokens) -> int | None:
        """Returns what tokens cost, in millionths of the currency and rounded up; None for a model without a price."""
        price = self._prices.get(model)
        return None if price is None else math.ceil(_micros(price, used))

    def described(self, model: str, used: Tokens) -> TokensUsed:
        """Returns what was used, for the record."""
        return TokensUsed(
            prompt_tokens=used.prompt,
            completion_tokens=used.completion,
            estimated=used.estimated,
            cost_micros=self.cost_micros(model, used),
        )

    async def reserve(self, connection: Connection, caller: Caller, wanted: Reservation) -> None:
        """Reserves room in the budgets of a calling key; raises BudgetExhausted, and the model must then not be asked."""
        if caller.kind != "key":
            return
        tokens, cost = wanted.most.prompt + wanted.most.completion, self._highest_cost(wanted)
        full = await connection.fetchrow(queries.reserve, wanted.id, tokens, cost)
        if full is not None:
            raise _exhausted(full["budget"], unpriced=full["budget"].startswith("cost_") and cost is None)

    async def settle(
        self, connection: Connection, reserved: Reservation, used: Tokens | None = None, model: str | None = None
    ) -> None:
        """Counts what was used in place of what was reserved; all of that, when nobody knows what was used.

        `model` is the one that used it, unless the first.
        """
        counted, model = used or reserved.most, model or reserved.model
        cost = self.cost_micros(model, counted) or 0
        await connection.execute(
            queries.count, reserved.id, reserved.collection, model, counted.prompt, counted.completion, cost
        )

    async def release(self, connection: Connection, reserved: Reservation) -> None:
        """Gives back what was reserved: the model was not asked, or did not answer."""
        await connection.execute(queries.settle, reserved.id)

    def _highest_cost(self, wanted: Reservation) -> int | None:
        """Returns what the dearest of the models would cost; None when one of them has no price."""
        costs = [self.cost_micros(model, wanted.most) for model in (wanted.model, *wanted.others)]
        return None if None in costs else max(cost for cost in costs if cost is not None)


def _micros(price: Price, used: Tokens) -> Decimal:
    return used.prompt * price.prompt + used.completion * price.completion


def _exhausted(budget: str, *, unpriced: bool) -> BudgetExhausted:
    now = datetime.now(UTC)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    next_month = (today.replace(day=1) + timedelta(days=32)).replace(day=1)
    renewed = today + timedelta(days=1) if budget.endswith("_day") else next_month
    detail = f"This key's budget of {_NAMES[budget]} has no room for the request; it is renewed at {renewed:%Y-%m-%dT%H:%M:%SZ}."
    if unpriced:
        detail = "This key has a budget of money, and the service knows no price of its model."
    return BudgetExhausted(
        detail, retry_after=math.ceil((renewed - now).total_seconds()), reason=f"budget:{'unpriced' if unpriced else budget}"
    )  # fmt: skip
