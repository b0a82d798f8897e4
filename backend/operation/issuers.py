"""Which OpenID provider a tenant trusts. Only the database's owner sets it: with it, one can sign in to the tenant as anyone."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import asyncpg
from uuid_utils.compat import uuid7

from backend.audit.actions.people import DistrustedIssuer, IssuerChanged, TrustedIssuer, UserChanged
from backend.database import Connection, Queries, fetch_rows
from backend.identity.callers.permissions import Role
from backend.operation.service import OperatorError
from backend.operation.tenants import COMMAND_LINE, Tenants

queries = Queries.beside(__file__)


@dataclass(frozen=True, slots=True)
class IssuerRow:
    """Which provider a tenant trusts, as which client of it."""

    tenant: str
    issuer: str
    client_id: str
    scopes: str
    groups_claim: str
    creates_users: bool


async def trust(
    owner: Connection, slug: str, issuer: str, client_id: str, role_of_group: Mapping[str, Role], *,
    creates_users: bool = False, sealed_secret: str | None = None, groups_claim: str = "groups",
    scopes: str = "openid profile email",
) -> None:  # fmt: skip
    """Lets users of an issuer's client sign in to a tenant; raises OperatorError.

    `sealed_secret` is the client's secret, closed by `client_secret_seal`; a public client, which has only PKCE, has none.
    """
    if urlsplit(issuer).scheme not in {"https", "http"} or not urlsplit(issuer).hostname:
        raise OperatorError(f"{issuer!r} is no address of an issuer")
    tenant_id = (await Tenants(owner).get(slug)).id
    try:
        await owner.execute(
            queries.add_issuer, tenant_id, uuid7(), issuer, client_id, sealed_secret, scopes, groups_claim,
            json.dumps(dict(role_of_group)), creates_users,
        )  # fmt: skip
    except asyncpg.UniqueViolationError as error:
        own = error.constraint_name == "issuer_one_of_a_tenant"
        raise OperatorError(
            f"{slug} trusts an issuer already: distrust that first"
            if own
            else "another tenant is this client of the issuer"
        ) from None
    except asyncpg.CheckViolationError:
        raise OperatorError("the issuer or the client is too long") from None
    trusted = TrustedIssuer(
        issuer=issuer, client=client_id, creates_users=creates_users, role_of_group=dict(role_of_group)
    )
    await COMMAND_LINE.record(owner, tenant_id, IssuerChanged(trusted=trusted))


async def distrust(owner: Connection, slug: str) -> None:
    """Lets nobody sign in through the tenant's issuer any more; raises OperatorError.

    Ends the sessions of all who did, and suspends their keys until another person hands them over.
    """
    tenant_id = (await Tenants(owner).get(slug)).id
    for statement in (
        queries.hold_issuer, queries.hold_external_identities, queries.end_external_sessions, queries.suspend_external_keys,
    ):  # fmt: skip
        await owner.execute(statement, tenant_id)
    issuer = await owner.fetchval(queries.remove_issuer, tenant_id)
    if issuer is None:
        raise OperatorError(f"{slug} trusts no issuer")
    await COMMAND_LINE.record(owner, tenant_id, IssuerChanged(distrusted=DistrustedIssuer(issuer=issuer)))


async def link(owner: Connection, slug: str, username: str, subject: str) -> None:
    """Says that a user of the tenant is a subject of its issuer; raises OperatorError."""
    tenant_id = (await Tenants(owner).get(slug)).id
    try:
        user_id = await owner.fetchval(queries.link_user, tenant_id, username, subject)
    except (asyncpg.UniqueViolationError, asyncpg.CheckViolationError):
        raise OperatorError("the subject is another user, or too long") from None
    if user_id is None:
        raise OperatorError(f"{slug} has no user {username!r}, or trusts no issuer")
    await COMMAND_LINE.record(owner, tenant_id, UserChanged(id=user_id, change="linked"))


async def trusted(owner: Connection) -> list[IssuerRow]:
    """Returns which issuer each tenant trusts, by tenant."""
    return await fetch_rows(owner, IssuerRow, queries.issuers)
