"""Records what was refused: denials and bad credentials are events too, in a transaction of their own."""

from backend.audit.actions.sign_in import AccessDenied, AuthFailed
from backend.audit.events import Event, Outcome
from backend.audit.recorder import Recorder
from backend.errors import Forbidden, NotFound, ServiceError, TooManyRequests, Unauthenticated
from backend.identity.callers.caller import Caller, Origin
from backend.tenancy import Tenancy

_METHODS = {"/auth/token": "refresh", "/oauth/token": "oauth"}


async def record_denial(
    tenancy: Tenancy, recorder: Recorder, error: ServiceError, caller: Caller | None, origin: Origin, route: str
) -> None:
    """Records a refused request; raises Unavailable when that is impossible.

    A request without any credentials is only logged: anyone could fill the log with those.
    """
    if error.recorded or not isinstance(error, Unauthenticated | Forbidden | NotFound | TooManyRequests):
        return
    if isinstance(error, Unauthenticated):
        if error.reason == "credentials:missing":
            return
        method = _METHODS.get(route, "bearer")
        event = Event(AuthFailed(method=method, route=route), Outcome.FAILED, error.reason)
    else:
        event = Event(AccessDenied(route=route), Outcome.DENIED, error.reason)
    actor = caller or error.actor or Caller.nobody(origin)
    async with tenancy.transaction(actor.claims()) as connection:
        await recorder.record(connection, actor, event)
