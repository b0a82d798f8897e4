"""Second factors: one's own, those of others, and whether the tenant asks for one."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Response, status
from fastapi.responses import JSONResponse

from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import GuardedRoute, Requires
from backend.identity.callers.permissions import Permission
from backend.identity.joint_acts.models import Pending
from backend.identity.joint_acts.routes import PENDING, accepted
from backend.identity.second_factor.models import Enrolment, RecoveryCodes, SecondFactor, ShownCode, SignInRule
from backend.identity.second_factor.service import SecondFactors
from backend.provided import Provided

router = APIRouter(tags=["identity"], route_class=GuardedRoute)

Anyone = Annotated[Caller, Requires()]
Manager = Annotated[Caller, Requires(Permission.USERS_MANAGE)]


@router.get("/auth/second-factor", summary="One's second factor")
async def describe(factors: Provided[SecondFactors], caller: Anyone) -> SecondFactor:
    """Returns whether the caller has a second factor, and whether its tenant asks for one."""
    return await factors.describe(caller)


@router.post("/auth/second-factor", status_code=status.HTTP_201_CREATED, summary="Set a second factor up")
async def begin(factors: Provided[SecondFactors], caller: Anyone) -> Enrolment:
    """Returns, once, what an authenticator app needs. Signing in asks for it when a code of the app was confirmed.

    Whoever begins again before that gets another secret.
    """
    return await factors.begin(caller)


@router.post("/auth/second-factor/confirm", summary="Confirm a second factor")
async def confirm(factors: Provided[SecondFactors], body: ShownCode, caller: Anyone) -> RecoveryCodes:
    """Returns recovery codes, once, for a code of the app; the caller's other sessions end."""
    return await factors.confirm(caller, body.code)


@router.post(
    "/auth/second-factor/remove", status_code=status.HTTP_204_NO_CONTENT, summary="Take one's second factor away"
)
async def remove(factors: Provided[SecondFactors], body: ShownCode, caller: Anyone) -> None:
    """Takes the caller's second factor and its recovery codes away; a code of it is needed."""
    await factors.remove(caller, body.code)


@router.delete(
    "/users/{user_id}/second-factor", status_code=status.HTTP_204_NO_CONTENT, responses=PENDING,
    summary="Take somebody's second factor away",
)  # fmt: skip
async def remove_of(factors: Provided[SecondFactors], user_id: UUID, caller: Manager) -> Response:
    """For who has lost app and recovery codes: done when another person asks for the same."""
    pending = await factors.remove_of(caller, user_id)
    return Response(status_code=status.HTTP_204_NO_CONTENT) if pending is None else accepted(pending)


@router.put(
    "/auth/sign-in-rule", response_model=SignInRule, responses=PENDING, summary="Ask everybody for a second factor"
)
async def set_rule(factors: Provided[SecondFactors], body: SignInRule, caller: Manager) -> SignInRule | JSONResponse:
    """Sets whether everybody who signs in with a password needs a second factor. To stop asking, two people ask for it."""
    done = await factors.require(caller, required=body.second_factor_required)
    return accepted(done) if isinstance(done, Pending) else done
