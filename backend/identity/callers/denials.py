"""Records what was refused: denials and bad credentials are events too, in a transaction of their own."""

from backend.audit.events import Action, Event, Outcome
from backend.audit.recorder import Recorder
from backend.errors import Forbidden, NotFound, ServiceError, TooManyRequests, Unauthenticated
from backend.identity.callers.caller import Caller, Origin
from backend.tenancy import Tenancy


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
        method = "refresh" if route == "/auth/token" else "bearer"
        event = Event(Action.AUTH_FAILED, Outcome.FAILED, error.reason, details={"method": method, "route": route})
    else:
        event = Event(Action.ACCESS_DENIED, Outcome.DENIED, error.reason, details={"route": route})
    actor = caller or error.actor or Caller.nobody(origin)
    async with tenancy.transaction(actor.claims()) as connection:
        await recorder.record(connection, actor, event)
