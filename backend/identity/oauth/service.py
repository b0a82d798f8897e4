"""The authorization server: codes with PKCE (RFC 7636) for one resource (RFC 8707), exchanged once for tokens that rotate.

A code is kept nowhere. It is what the person agreed to, sealed, and opens for a minute; that it was used is kept, and who
presents it again ends the session that came of it (RFC 6749, section 4.1.2).
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit
from uuid import UUID

import orjson
from uuid_utils.compat import uuid7

from backend.audit.actions.sign_in import AuthFailed, ClientAllowed, SessionEnded
from backend.audit.events import Event, Outcome
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.errors import Forbidden, InvalidInput, NotFound, ServiceError, Unauthenticated
from backend.identity.callers.caller import Caller, Origin
from backend.identity.callers.permissions import Permission
from backend.identity.oauth import scopes
from backend.identity.oauth.clients import Client, Clients
from backend.identity.oauth.errors import RefusedGrant, RefusedRequest
from backend.identity.sign_in.models import TokenPair
from backend.identity.sign_in.seal import Seal
from backend.identity.sign_in.service import SignIn
from backend.identity.sign_in.tokens import AccessTokens, InvalidToken
from backend.tenancy import Claims, Tenancy, tag_before, tagged

queries = Queries.beside(__file__)

CODE_SECONDS = 60
_MOST_PARAMETERS = 30  # of a request
_LONGEST_ID = 300  # of a program that may be made up, on record
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """What a client asks a person for. All of it was checked, but not agreed to."""

    client: Client
    redirect_uri: str
    redirect_named: bool
    challenge: str
    resource: str
    scope: frozenset[Permission]
    state: str | None


@dataclass(frozen=True, slots=True)
class Code:
    """What a person agreed to, in the session `given_in`. `session` is the one that the code opens."""

    tenant: str
    user: str
    given_in: str
    session: str
    method: str
    second_factor: bool
    client_id: str
    client_name: str
    redirect_uri: str | None
    challenge: str
    resource: str
    scope: str


@dataclass(frozen=True, slots=True)
class AuthorizationServer:
    """Lets people allow clients to act for them, and gives those their tokens."""

    tenancy: Tenancy
    recorder: Recorder
    sign_in: SignIn
    tokens: AccessTokens
    clients: Clients
    codes: Seal
    issuer: str
    resource: str

    async def check(self, caller: Caller, asked: Mapping[str, str]) -> AuthorizationRequest:
        """Returns a request for authorization as it may be shown to the caller; what is refused is on record.

        Raises NotFound and InvalidInput while nobody knows where an answer would go, and RefusedRequest afterwards.
        """
        try:
            return await self._checked(caller, asked)
        except (NotFound, InvalidInput, RefusedRequest) as error:
            await self._record_refusal(caller, asked.get("client_id", ""), "", error.reason)
            error.recorded = True
            raise

    async def _checked(self, caller: Caller, asked: Mapping[str, str]) -> AuthorizationRequest:
        if caller.kind != "user":
            raise Forbidden("A key allows nobody to act for it.", reason="oauth:not_a_user")
        async with self.tenancy.transaction(caller.claims()) as connection:
            allowed = await self._allowed_hosts(connection, caller.tenant_id)
        client = await self.clients.find(asked.get("client_id", ""), allowed)
        redirect, state = client.redirect(asked.get("redirect_uri")), asked.get("state")

        def refused(code: str, detail: str) -> ServiceError:
            if not client.may_be_told(redirect):
                return InvalidInput(detail, reason=f"oauth:{code}")
            return RefusedRequest(
                code, detail, redirect=self._answer(redirect, state, error=code, error_description=detail)
            )

        if asked.get("response_type") != "code":
            raise refused("unsupported_response_type", "Only codes are given.")
        challenge = asked.get("code_challenge", "")
        if asked.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(challenge):
            raise refused("invalid_request", "A code_challenge with the method S256 is needed.")
        if asked.get("resource", self.resource).rstrip("/") != self.resource:
            raise refused("invalid_target", f"The only resource is {self.resource}.")
        try:
            wanted = scopes.asked_for(asked.get("scope"))
        except ValueError:
            raise refused("invalid_scope", f"A client may have: {scopes.spelled(scopes.OFFERED)}.") from None
        granted = wanted & caller.permissions
        if not granted:
            raise refused("access_denied", "The person may do nothing of what is asked for.")
        named = "redirect_uri" in asked
        return AuthorizationRequest(client, redirect, named, challenge, self.resource, granted, state)

    async def allow(self, caller: Caller, asked: AuthorizationRequest) -> str:
        """Returns where to send the caller's browser, with a code for what it agreed to; that it did is on record."""
        assert caller.principal_id is not None
        async with self.tenancy.transaction(caller.claims()) as connection:
            signed_in = await connection.fetchrow(queries.own_session, caller.tenant_id, caller.session_id)
            if signed_in is None:
                raise Unauthenticated(reason="session:ended")
            code = Code(
                tenant=str(caller.tenant_id), user=str(caller.principal_id), given_in=str(caller.session_id),
                session=str(uuid7()),
                method=signed_in["method"], second_factor=signed_in["second_factor"],
                client_id=asked.client.id, client_name=asked.client.name,
                redirect_uri=asked.redirect_uri if asked.redirect_named else None,
                challenge=asked.challenge, resource=asked.resource, scope=scopes.spelled(asked.scope),
            )  # fmt: skip
            allowed = ClientAllowed(
                id=code.client_id, name=code.client_name, resource=code.resource, scope=sorted(asked.scope),
                session=UUID(code.session),
            )  # fmt: skip
            await self.recorder.record(connection, caller, Event(allowed))
        sealed = tagged(caller.tenant_id, self.codes.close(orjson.dumps(asdict(code))))
        return self._answer(asked.redirect_uri, asked.state, code=sealed)

    async def deny(self, caller: Caller, asked: AuthorizationRequest) -> str:
        """Returns where to send the browser of a caller who does not agree, which is on record too."""
        await self._record_refusal(caller, asked.client.id, asked.client.name, "oauth:denied")
        return self._answer(asked.redirect_uri, asked.state, error="access_denied")

    async def _record_refusal(self, caller: Caller, client_id: str, name: str, reason: str) -> None:
        storable = client_id[:_LONGEST_ID].replace("\0", "\ufffd")
        refused = ClientAllowed(id=storable, name=name)
        async with self.tenancy.transaction(caller.claims()) as connection:
            await self.recorder.record(connection, caller, Event(refused, Outcome.DENIED, reason))

    async def exchange(self, form: Mapping[str, str], origin: Origin) -> tuple[TokenPair, str]:
        """Returns tokens for a code, and their scope; raises RefusedGrant. A code that comes again ends what came of it."""
        self.tenancy.refuse_elsewhere(tag_before(form.get("code", "")), origin.request_id)
        code = self._opened(form.get("code", "").rpartition(".")[2])
        tenant_id, user_id, session_id = UUID(code.tenant), UUID(code.user), UUID(code.session)
        # Of what the code says, not of its spelling: Base64 is read leniently, so that one code has many spellings.
        digest = hashlib.sha256(b"code of session " + session_id.bytes).digest()
        claims = Claims(request_id=origin.request_id, tenant_id=tenant_id, principal_id=user_id, kind="user")
        person = _person(origin, tenant_id, user_id, session_id)
        try:
            self._check_holder(code, form)
        except RefusedGrant as error:
            error.actor = person
            raise
        until = datetime.now(UTC) + timedelta(seconds=2 * CODE_SECONDS)
        pair = None
        async with self.tenancy.transaction(claims) as connection:
            if await connection.fetchrow(queries.own_session, tenant_id, UUID(code.given_in)) is None:
                raise _refused_to(person, "code_of_ended_session")
            await connection.execute(queries.hosts_stay, str(tenant_id))
            if not self.clients.still_takes(code.client_id, await self._allowed_hosts(connection, tenant_id)):
                raise _refused_to(person, "client_not_allowed")
            if await connection.fetchval(queries.spend, digest, until):
                await self._open_session(connection, code, origin)
                pair = await self.sign_in.continue_session(
                    connection, tenant_id, user_id, session_id, origin, method="oauth"
                )
            else:
                await connection.execute(queries.revoke_session, tenant_id, session_id, "authorization code reused")
                event = Event(AuthFailed(method="oauth"), Outcome.FAILED, "oauth:code_reused")
                await self.recorder.record(connection, person, event)
        if pair is None:  # only now, so that the end of the session is committed
            raise RefusedGrant(reason="code_reused", recorded=True)
        return pair, code.scope

    async def refresh(self, form: Mapping[str, str], origin: Origin) -> TokenPair:
        """Returns the next tokens for a refresh token of the same client; raises RefusedGrant."""
        try:
            self._check_resource(form)
            self._check_registration(form)
        except RefusedGrant as error:
            holder = await self.sign_in.session_of(form.get("refresh_token", ""), origin)
            error.actor = None if holder is None else _person(origin, *holder)
            raise
        try:
            return await self.sign_in.with_refresh_token(
                form.get("refresh_token", ""), origin, client_id=form.get("client_id", "")
            )
        except Unauthenticated as error:
            refused = RefusedGrant(reason=error.reason, recorded=error.recorded)
            refused.actor = error.actor
            raise refused from error

    async def revoke(self, form: Mapping[str, str], origin: Origin) -> None:
        """Ends the session of an access or refresh token of a client (RFC 7009); does nothing for what is no such token."""
        token, client_id = form.get("token", ""), form.get("client_id", "")
        try:
            access = self.tokens.verify(token)
            tenant_id, user_id, session_id = access.tenant_id, access.subject, access.session_id
        except InvalidToken:
            found = await self.sign_in.session_of(token, origin)
            if found is None:
                return
            tenant_id, user_id, session_id = found
        claims = Claims(request_id=origin.request_id, tenant_id=tenant_id, principal_id=user_id, kind="user")
        person = _person(origin, tenant_id, user_id, session_id)
        async with self.tenancy.transaction(claims) as connection:
            ended = await connection.fetchval(
                queries.revoke_client_session, tenant_id, session_id, client_id, "revoked"
            )
            if ended is not None:
                await self.recorder.record(connection, person, Event(SessionEnded(ended=session_id)))

    async def _allowed_hosts(self, connection: Connection, tenant_id: UUID) -> list[str]:
        return [row["host"] for row in await connection.fetch(queries.client_hosts, tenant_id)]

    def _opened(self, sealed: str) -> Code:
        try:
            return Code(**orjson.loads(self.codes.open(sealed, max_age=CODE_SECONDS)))
        except Unauthenticated as error:
            raise RefusedGrant(reason="code_unknown") from error

    def _check_holder(self, code: Code, form: Mapping[str, str]) -> None:
        """Raises RefusedGrant unless whoever presents the code is the client that asked for it."""
        self._check_resource(form)
        if form.get("client_id") != code.client_id:
            raise RefusedGrant(reason="code_of_other_client")
        if code.redirect_uri is not None and form.get("redirect_uri") != code.redirect_uri:
            raise RefusedGrant(reason="redirect_uri")
        verifier = form.get("code_verifier", "")
        if not _VERIFIER.fullmatch(verifier) or not hmac.compare_digest(_challenge_of(verifier), code.challenge):
            raise RefusedGrant(reason="pkce")

    def _check_resource(self, form: Mapping[str, str]) -> None:
        if form.get("resource", self.resource).rstrip("/") != self.resource:
            raise RefusedGrant(reason="resource", code="invalid_target")

    def _check_registration(self, form: Mapping[str, str]) -> None:
        if self.clients.is_turned_off(form.get("client_id", "")):
            raise RefusedGrant(reason="client_not_allowed")

    async def _open_session(self, connection: Connection, code: Code, origin: Origin) -> None:
        await connection.execute(
            queries.open_session, UUID(code.tenant), UUID(code.session), UUID(code.user), self.sign_in.refresh_days,
            code.method, code.second_factor, origin.source_address, code.client_id, code.client_name, code.resource,
            code.scope.split(" "),
        )  # fmt: skip

    def _answer(self, redirect: str, state: str | None, **members: str) -> str:
        """Returns the redirect address with the answer, which names the issuer: no other can be taken for it (RFC 9207)."""
        parts = urlsplit(redirect)
        known = {
            name: value for name, value in {**members, "state": state, "iss": self.issuer}.items() if value is not None
        }
        query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *known.items()])
        return urlunsplit(parts._replace(query=query))


def _person(origin: Origin, tenant_id: UUID, user_id: UUID, session_id: UUID) -> Caller:
    """Returns the person for whom a client acts, as whom its requests are on record before they have a caller."""
    nobody = Caller.nobody(origin, tenant_id=tenant_id)
    return replace(nobody, principal_id=user_id, kind="user", session_id=session_id)


def _refused_to(person: Caller, reason: str) -> RefusedGrant:
    """Returns a refusal that stands in the log of the person's own tenant."""
    refused = RefusedGrant(reason=reason)
    refused.actor = person
    return refused


def _challenge_of(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def parsed(query: str) -> dict[str, str]:
    """Returns the parameters of a request for authorization; raises InvalidInput when one comes twice (RFC 6749, section 3.1)."""
    try:
        pairs = parse_qsl(query, keep_blank_values=False, max_num_fields=_MOST_PARAMETERS)
    except ValueError as error:
        message = f"The request has more than {_MOST_PARAMETERS} parameters."
        raise InvalidInput(message, reason="oauth:too_many") from error
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidInput("A parameter comes twice.", reason="oauth:twice")
    return found
