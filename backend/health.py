"""Whether the process lives, and whether it can do its job."""

from typing import Literal

import asyncpg
from fastapi import APIRouter, Request

from backend.errors import Unavailable
from backend.provided import Provided
from backend.schema import ApiModel
from backend.self_check import check, check_conditions, check_sealer
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


@router.get("/ready", summary="Can it serve")
async def ready(request: Request, tenancy: Provided[Tenancy], settings: Provided[Settings]) -> Health:
    """Answers 200 only when the database passes the self-check and events are being sealed; otherwise 503."""
    try:
        # Bound to a context, as the transactions of requests are: what keeps those from working makes this fail too.
        async with tenancy.transaction(Claims(request_id=request.state.request_id)) as connection:
            findings = await check(connection)
            if not settings.accept_conditions_before_policies:
                findings.append(await check_conditions(connection))
            problems = [finding for finding in findings if finding.problem]
            if not problems and (sealer := await check_sealer(connection)).problem:
                problems = [sealer]
    except asyncpg.PostgresError as error:
        raise Unavailable("The database does not answer the self-check.", reason="self_check") from error
    if problems:
        raise Unavailable("The self-check failed; run `affidavit doctor`.", reason=f"self_check:{problems[0].check}")
    return Health()
