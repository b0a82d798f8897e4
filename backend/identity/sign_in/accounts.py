"""What people do with their own sign-in: change the password, choose one by a one-time link, and end sessions."""

from dataclasses import dataclass, replace
from uuid import UUID

import asyncpg

from backend.audit.actions.sign_in import PasswordChanged, SessionEnded
from backend.audit.events import Event
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.errors import Forbidden, InvalidInput, NotFound, Unauthenticated
from backend.identity.callers.caller import Caller, Origin
from backend.identity.sign_in import passwords, reset_links, throttle
from backend.identity.sign_in.models import Session, SessionList
from backend.tenancy import PLATFORM_TENANT, Claims, Purpose, Tenancy

queries = Queries.beside(__file__)


@dataclass(frozen=True, slots=True)
class Accounts:
    """Changes how users sign in, on their own word."""

    tenancy: Tenancy
    recorder: Recorder

    async def change_password(self, caller: Caller, old: str, new: str) -> None:
        """Sets another password and ends all sessions but this; raises Forbidden for a wrong one, and TooManyRequests.

        The old one is guessed no faster than at signing in.
        """
        _require_user(caller)
        new_hash = await _hash(new)
        account = throttle.Account(caller.tenant_slug, caller.name)
        async with self.tenancy.transaction(Claims(caller.request_id, PLATFORM_TENANT)) as connection:
            if refused := await throttle.count_attempt(connection, account, caller.source_address):
                raise refused
        if not await self._is_password(caller, old):
            raise Forbidden("The old password is wrong.", reason="password:wrong")
        async with self.tenancy.transaction(Claims(caller.request_id, PLATFORM_TENANT)) as connection:
            await throttle.forgive_attempt(connection, account, caller.source_address)
        claims = caller.claims(presented={Purpose.SETTING_PASSWORD_OF: str(caller.principal_id)})
        async with self.tenancy.transaction(claims) as connection:
            try:
                await connection.execute(queries.set_password, new_hash)
            except asyncpg.InsufficientPrivilegeError as error:  # it became a reviewer, or was disabled, meanwhile
                raise Forbidden("The old password is wrong.", reason="password:wrong") from error
            await connection.execute(
                queries.revoke_other_sessions,
                caller.tenant_id,
                caller.principal_id,
                caller.session_id,
                "password changed",
            )
            await self.recorder.record(connection, caller, Event(PasswordChanged(method="password")))

    async def reset_password(self, token: str, password: str, origin: Origin) -> None:
        """Sets the password that the holder of a one-time link chooses, and ends all sessions of its user.

        Raises Unauthenticated for a link that is none, was used or has expired, and TooManyRequests.
        """
        try:
            parsed = reset_links.parse(token)
        except reset_links.MalformedResetToken as error:
            raise Unauthenticated(reason="reset:malformed") from error
        async with self.tenancy.transaction(Claims(origin.request_id, PLATFORM_TENANT)) as connection:
            await throttle.count_exchange(connection, origin.source_address, begins=False)
        claims = Claims(origin.request_id, presented={Purpose.DIGEST: parsed.digest.hex()}, tag=parsed.tag)
        if await self._presented_reset(claims) is None:
            raise Unauthenticated(reason="reset:unknown")
        new_hash = await _hash(password)  # slow: no connection is held meanwhile
        async with self.tenancy.transaction(claims) as connection:
            row = await connection.fetchrow(queries.presented_reset)
            if row is None:  # somebody was quicker
                raise Unauthenticated(reason="reset:used")
            tenant_id, user_id = row["tenant_id"], row["user_id"]
            presented = {Purpose.SETTING_PASSWORD_OF: str(user_id), Purpose.DIGEST: parsed.digest.hex()}
            bound = replace(claims, tenant_id=tenant_id, principal_id=user_id, kind="user", presented=presented)
            await self.tenancy.bind(connection, bound)
            try:
                await connection.execute(queries.set_password, new_hash)
            except asyncpg.InsufficientPrivilegeError as error:  # its user became a reviewer meanwhile
                raise Unauthenticated(reason="reset:used") from error
            await connection.execute(queries.revoke_other_sessions, tenant_id, user_id, None, "password reset")
            actor = replace(Caller.nobody(origin, tenant_id=tenant_id), principal_id=user_id, kind="user")
            await self.recorder.record(connection, actor, Event(PasswordChanged(method="reset")))

    async def _presented_reset(self, claims: Claims) -> UUID | None:
        async with self.tenancy.transaction(claims) as connection:
            row = await connection.fetchrow(queries.presented_reset)
            return None if row is None else row["user_id"]

    async def _is_password(self, caller: Caller, password: str) -> bool:
        claims = caller.claims(presented={Purpose.PASSWORD_OF: str(caller.principal_id)})
        async with self.tenancy.transaction(claims) as connection:
            stored = await connection.fetchval(queries.password_hash)
        if stored is None:
            return await passwords.verify_against_nothing_async(password)
        return await passwords.verify_password_async(password, stored)


async def list_sessions(connection: Connection, caller: Caller) -> SessionList:
    """Returns the caller's sign-ins that have not ended; none for a key."""
    rows = await connection.fetch(queries.sessions, caller.tenant_id, caller.principal_id)
    return SessionList(sessions=[Session(**dict(row), current=row["id"] == caller.session_id) for row in rows])


async def end_session(connection: Connection, caller: Caller, recorder: Recorder, session_id: UUID | None) -> None:
    """Signs one of the caller's sessions out; raises NotFound, and Forbidden for a key, which has none."""
    _require_user(caller)
    ended = await connection.fetchval(queries.revoke_session, caller.tenant_id, session_id, "signed out")
    if ended is None:
        raise NotFound(reason="session:unknown")
    await recorder.record(connection, caller, Event(SessionEnded(ended=ended)))


def _require_user(caller: Caller) -> None:
    if caller.kind != "user":
        raise Forbidden("A key has neither a password nor sessions.", reason="account:not_a_user")


async def _hash(password: str) -> str:
    try:
        return await passwords.hash_password_async(password)
    except passwords.UnacceptablePassword as error:
        raise InvalidInput(f"password: {error}") from error
