"""Whether the process lives, and whether it can do its job."""

from typing import Literal

import asyncpg
from fastapi import APIRouter, Request
from pydantic import Field

from backend.errors import Unavailable
from backend.provided import Provided
from backend.schema import ApiModel
from backend.self_check import SelfCheck, check_conditions, check_sealer
from backend.settings import Settings
from backend.tenancy import Claims, Tenancy

router = APIRouter(tags=["operation"])


class Health(ApiModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


@router.get("/health", summary="Is the process alive")
async def health() -> Health:
    """Answers without touching anything."""
    return Health()


class Readiness(ApiModel):
    """The service answers requests; `warnings` names the checks of `affidavit doctor` that somebody should look at."""

    status: Literal["ok"] = "ok"
    warnings: list[str] = Field(default=[], examples=[["sealer"]])


@router.get("/ready", summary="Can it serve")
async def ready(
    request: Request, tenancy: Provided[Tenancy], settings: Provided[Settings], self_check: Provided[SelfCheck]
) -> Readiness:
    """Answers 200 only when the database passes the self-check, and warns when events are not being sealed; otherwise 503.

    Requests are answered while nobody seals: what they record is sealed later, and until then has no proof.
    """
    try:
        # Bound to a context, as the transactions of requests are: what keeps those from working makes this fail too.
        async with tenancy.transaction(Claims(request_id=request.state.request_id)) as connection:
            findings = await self_check.findings(connection)
            if not settings.accept_conditions_before_policies:
                findings.append(await check_conditions(connection))
            problems = [finding for finding in findings if finding.problem]
            warnings = [] if problems else [await check_sealer(connection)]
    except asyncpg.PostgresError as error:
        raise Unavailable("The database does not answer the self-check.", reason="self_check") from error
    if problems:
        raise Unavailable("The self-check failed; run `affidavit doctor`.", reason=f"self_check:{problems[0].check}")
    return Readiness(warnings=[finding.check for finding in warnings if finding.problem])
