"""The policy of answers over HTTP."""

from typing import Annotated

from fastapi import APIRouter, status
from fastapi.responses import JSONResponse

from backend.answers.generators import Generators
from backend.answers.policy import service
from backend.answers.policy.models import AnswerPolicy, NewAnswerPolicy, PendingChange
from backend.audit.recorder import Recorder
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import GuardedRoute, Requires
from backend.identity.callers.permissions import Permission
from backend.identity.joint_acts.models import Pending
from backend.provided import Provided
from backend.tenancy import Tenancy

router = APIRouter(prefix="/answer/policy", tags=["answers"], route_class=GuardedRoute)


@router.get("", summary="Which models answer, and how sure a sentence must be")
async def read_answer_policy(
    tenancy: Provided[Tenancy], generators: Provided[Generators], caller: Annotated[Caller, Requires()]
) -> AnswerPolicy:
    """Returns what the tenant chose, and what it could choose."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await service.read_policy(connection, caller, generators)


@router.put(
    "",
    response_model=AnswerPolicy,
    responses={
        202: {"model": PendingChange | Pending, "description": "Waits for a second person; nothing has changed yet."}
    },
    summary="Choose which models answer, and how sure a sentence must be",
)
async def set_answer_policy(
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    generators: Provided[Generators],
    body: NewAnswerPolicy,
    caller: Annotated[Caller, Requires(Permission.COLLECTIONS_MANAGE)],
) -> AnswerPolicy | JSONResponse:
    """Replaces the tenant's choice, from the next question on. What is left out is as the operator has it.

    A model that the operator offers no more does not answer; when none is left, questions are answered 503. Where the tenant lets
    changes wait (`PUT /evaluations/rule`), the change is proposed: it takes effect when another person approves a run of it.
    Elsewhere, sentences of a level that was not shown are shown when another person asks for the same.
    """
    async with tenancy.transaction(caller.claims()) as connection:
        answered = await service.set_policy(connection, caller, recorder, generators, body)
    if isinstance(answered, PendingChange | Pending):
        return JSONResponse(answered.model_dump(mode="json"), status.HTTP_202_ACCEPTED)
    return answered
