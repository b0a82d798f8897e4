"""The rules of second factors: set up with an app, asked for when signing in, and each code taken once."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from backend.audit.actions.sign_in import SecondFactorChanged, SignInRuleChanged
from backend.audit.events import Event
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries, fetch_row
from backend.errors import Conflict, Forbidden, NotFound, Unauthenticated
from backend.identity.callers.caller import Caller, Origin
from backend.identity.joint_acts import service as joint_acts
from backend.identity.joint_acts.models import Pending
from backend.identity.joint_acts.service import JointAct
from backend.identity.second_factor import codes
from backend.identity.second_factor.models import Enrolment, RecoveryCodes, SecondFactor, SignInRule
from backend.identity.sign_in import throttle
from backend.identity.sign_in.seal import Seal
from backend.tenancy import PLATFORM_TENANT, Claims, Purpose, Tenancy

queries = Queries.beside(__file__)


class SecondFactorRequired(Unauthenticated):
    """The password is right, and a code of the second factor is needed besides."""

    code = "second_factor_required"
    detail = "A code of your second factor is needed: of the app, or a recovery code."


WRONG = "The code is wrong, or was used before."


@dataclass(frozen=True, slots=True)
class StoredFactor:
    """A user's second factor, with its secret sealed, and the last time step of which a code was taken."""

    sealed_secret: str
    confirmed: bool
    last_step: int | None


@dataclass(frozen=True, slots=True)
class SecondFactors:
    """Sets up, asks for and takes away second factors. `seal` keeps their secrets; `clock` tells seconds since the epoch."""

    tenancy: Tenancy
    recorder: Recorder
    seal: Seal
    clock: Callable[[], float] = time.time

    async def prove(
        self, account: throttle.Account, tenant_id: UUID, user_id: UUID, code: str | None, origin: Origin
    ) -> bool:
        """Returns whether a user who has shown the password has shown a second factor too; False for who has none.

        Raises SecondFactorRequired without a code and for a wrong one, and TooManyRequests.
        """
        claims = Claims(origin.request_id, tenant_id, presented={Purpose.SECOND_FACTOR_OF: str(user_id)})
        stored = await self._stored(claims)
        if stored is None or not stored.confirmed:
            return False
        if code is None:
            raise SecondFactorRequired(reason="second_factor:required")
        async with self._counted(account, origin.request_id), self.tenancy.transaction(claims) as connection:
            if not await self._take(connection, stored, code):
                raise SecondFactorRequired(WRONG, reason="second_factor:wrong")
        return True

    async def begin(self, caller: Caller) -> Enrolment:
        """Returns what the caller's app needs; nothing is asked for before a code is confirmed. Raises Conflict, Forbidden."""
        _require_user(caller)
        secret = codes.new_secret()
        async with self.tenancy.transaction(caller.claims()) as connection:
            if not await connection.fetchval(queries.begin_second_factor, self.seal.close(secret)):
                raise Conflict("You have a second factor: take that away first.", reason="second_factor:exists")
            await self._record(connection, caller, caller.principal_id, "begun")
        account = f"{caller.tenant_slug}/{caller.name}"
        return Enrolment(secret=codes.spelt(secret), address=codes.address(secret, account))

    async def confirm(self, caller: Caller, code: str) -> RecoveryCodes:
        """Lets signing in ask for the factor from now on; raises Conflict without one to confirm, Forbidden, TooManyRequests.

        The caller's session goes on as one with a second factor. Its other sessions end.
        """
        stored = await self._own(caller)
        if stored is None or stored.confirmed:
            raise Conflict("There is no second factor to confirm: set one up first.", reason="second_factor:none")
        recovery = codes.new_recovery_codes()
        claims = _proving(caller)
        async with self._counted(_account(caller), caller.request_id), self.tenancy.transaction(claims) as connection:
            step = codes.step_of(self.seal.open(stored.sealed_secret), code, self.clock())
            digests = list(map(codes.recovery_digest, recovery))
            if step is None or not await connection.fetchval(queries.confirm_second_factor, step, digests):
                raise Forbidden(WRONG, reason="second_factor:wrong")
            await connection.execute(
                queries.end_other_sessions, caller.tenant_id, caller.principal_id, caller.session_id
            )
            await self._record(connection, caller, caller.principal_id, "confirmed")
        return RecoveryCodes(recovery_codes=recovery)

    async def remove(self, caller: Caller, code: str) -> None:
        """Takes the caller's own factor away, of which a code is needed; raises NotFound, Forbidden, TooManyRequests."""
        stored = await self._own(caller)
        if stored is None or not stored.confirmed:
            raise NotFound(reason="second_factor:none")
        claims = _proving(caller)
        async with self._counted(_account(caller), caller.request_id), self.tenancy.transaction(claims) as connection:
            if not await self._take(connection, stored, code):
                raise Forbidden(WRONG, reason="second_factor:wrong")
            await connection.fetchval(queries.remove_second_factor, caller.principal_id)
            await self._record(connection, caller, caller.principal_id, "removed")

    async def remove_of(self, caller: Caller, user_id: UUID) -> Pending | None:
        """Takes somebody else's factor away when two people ask for it; returns what waits for the second. Raises NotFound."""
        if user_id == caller.principal_id:
            raise Forbidden("You take your own away by showing a code of it.", reason="second_factor:own")
        async with self.tenancy.transaction(caller.claims()) as connection:
            if await connection.fetchval(queries.second_factor, caller.tenant_id, user_id) is None:
                raise NotFound(reason="second_factor:none")
            act = JointAct.SECOND_FACTOR_REMOVE
            pending = await joint_acts.ask(connection, caller, self.recorder, act, user_id)
            if pending is None:
                if not await connection.fetchval(queries.remove_second_factor, user_id):
                    raise NotFound(reason="second_factor:none")
                await self._record(connection, caller, user_id, "removed")
            return pending

    async def describe(self, caller: Caller) -> SecondFactor:
        """Returns whether the caller has a factor, and whether the tenant asks for one."""
        async with self.tenancy.transaction(caller.claims()) as connection:
            return SecondFactor(
                confirmed_at=await connection.fetchval(queries.second_factor, caller.tenant_id, caller.principal_id),
                required=await connection.fetchval(queries.second_factor_required, caller.tenant_id),
            )

    async def require(self, caller: Caller, *, required: bool) -> Pending | SignInRule:
        """Sets whether the tenant asks for a second factor. To stop asking, two people ask for it; raises Forbidden."""
        async with self.tenancy.transaction(caller.claims()) as connection:
            rule = SignInRule(second_factor_required=required)
            if await connection.fetchval(queries.second_factor_required, caller.tenant_id) == required:
                return rule
            if not required:
                act = JointAct.SECOND_FACTOR_WAIVE
                pending = await joint_acts.ask(connection, caller, self.recorder, act, caller.tenant_id)
                if pending is not None:
                    return pending
            if not await connection.fetchval(queries.require_second_factor, required):
                raise Forbidden("Only a person sets this.", reason="second_factor:rule")
            changed = SignInRuleChanged(second_factor_required=required)
            await self.recorder.record(connection, caller, Event(changed))
            return rule

    async def _own(self, caller: Caller) -> StoredFactor | None:
        _require_user(caller)
        return await self._stored(_proving(caller))

    async def _stored(self, claims: Claims) -> StoredFactor | None:
        async with self.tenancy.transaction(claims) as connection:
            return await fetch_row(connection, StoredFactor, queries.presented_second_factor)

    async def _take(self, connection: Connection, stored: StoredFactor, code: str) -> bool:
        """Uses a code up, in a transaction that presents its user; False for one that is wrong or was used."""
        if not codes.looks_like_step(code):
            return bool(await connection.fetchval(queries.take_recovery_code, codes.recovery_digest(code)))
        step = codes.step_of(self.seal.open(stored.sealed_secret), code, self.clock())
        return step is not None and bool(await connection.fetchval(queries.take_code, step))

    @asynccontextmanager
    async def _counted(self, account: throttle.Account, request_id: str) -> AsyncIterator[None]:
        """Counts an attempt to show a code before it is looked at, and takes it out of the count if nothing is raised."""
        platform = Claims(request_id, PLATFORM_TENANT)
        async with self.tenancy.transaction(platform) as connection:
            await throttle.count_code(connection, account)
        yield
        async with self.tenancy.transaction(platform) as connection:
            await throttle.forgive_code(connection, account)

    async def _record(self, connection: Connection, caller: Caller, user_id: UUID | None, change: str) -> None:
        assert user_id is not None
        await self.recorder.record(connection, caller, Event(SecondFactorChanged(id=user_id, change=change)))


def _require_user(caller: Caller) -> None:
    if caller.kind != "user":
        raise Forbidden("A key has no second factor.", reason="account:not_a_user")


def _proving(caller: Caller) -> Claims:
    """Returns the caller's claims with its own factor presented, and the session that is to count as proved."""
    presented = {Purpose.SECOND_FACTOR_OF: str(caller.principal_id), Purpose.PROVED_SESSION: str(caller.session_id)}
    return caller.claims(presented=presented)


def _account(caller: Caller) -> throttle.Account:
    return throttle.Account(caller.tenant_slug, caller.name)
