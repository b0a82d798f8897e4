"""The operator's pages: tenants with size and state, sealing, jobs, doctor's findings. Nothing that a tenant holds."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Depends, Form, Path, Request
from fastapi.responses import Response

from backend.console.page import page, to
from backend.console.page import router as pages
from backend.console.visit import OPERATOR, cookie_name, refuse_other_sites
from backend.database import transaction
from backend.errors import NotFound, ServiceError, Unauthenticated
from backend.identity.callers.guard import origin_of
from backend.identity.sign_in.browsers import form_token
from backend.identity.sign_in.seal import Seal
from backend.operation import operator_keys
from backend.operation.deployment_state import state
from backend.operation.guard import OperatorDatabase
from backend.operation.models import Slug
from backend.operation.tenants import OperatorActor, Tenants
from backend.provided import Provided, of
from backend.schema import Text
from backend.self_check import check, check_clocks, check_conditions, check_sealer, check_server
from backend.settings import Settings, required
from backend.tenancy import Claims, Tenancy

router = pages()

_LASTS_SECONDS = 15 * 60


@dataclass(frozen=True, slots=True)
class Signed:
    """Who acts for the operator, and the token that belongs into every form."""

    operator: OperatorActor
    form_token: str


async def signed_in(request: Request, database: Provided[OperatorDatabase]) -> Signed:
    """Returns who looks at a page; raises Unauthenticated, which leads to the operator's sign-in."""
    cookie = request.cookies.get(_cookie(request)[0], "")
    key_id = UUID(bytes=_seal(request).open(cookie, max_age=_LASTS_SECONDS))
    if database.pool is None:
        raise _not_configured()
    address = origin_of(request).source_address
    operator = await operator_keys.known(database.pool, key_id, address, timeout=database.timeout)
    return Signed(operator, form_token(cookie))


Operator = Annotated[Signed, Depends(signed_in)]


@router.get("/operator/sign-in")
async def show_sign_in(request: Request) -> Response:
    """Shows the form."""
    return page(request, "operator_sign_in.html", None, said=None)


@router.post("/operator/sign-in")
async def sign_in(
    request: Request, database: Provided[OperatorDatabase], key: Annotated[Text, Form(max_length=128)]
) -> Response:
    """Takes a key of the operator; the browser keeps which one it was, sealed, and not the key."""
    refuse_other_sites(request)
    try:
        if database.pool is None:
            raise _not_configured()
        address = origin_of(request).source_address
        operator = await operator_keys.resolve(database.pool, key.strip(), address, timeout=database.timeout)
    except ServiceError as error:
        return page(request, "operator_sign_in.html", None, status=error.status, said=error.detail)
    assert operator.key_id is not None
    response = to(OPERATOR)
    name, secure = _cookie(request)
    sealed = _seal(request).close(operator.key_id.bytes)
    response.set_cookie(name, sealed, _LASTS_SECONDS, httponly=True, secure=secure, samesite="strict", path="/")
    return response


@router.post("/operator/sign-out")
async def sign_out(request: Request) -> Response:
    """Forgets which key it was."""
    refuse_other_sites(request)
    response = to(f"{OPERATOR}/sign-in")
    response.delete_cookie(_cookie(request)[0], path="/")
    return response


@router.get("/operator")
async def overview(
    request: Request, signed: Operator, database: Provided[OperatorDatabase], tenancy: Provided[Tenancy]
) -> Response:  # fmt: skip
    """Shows tenants, and the findings of the self-check as the role that serves."""
    async with _acting(request, database, signed.operator) as tenants:
        rows = await tenants.list()
        deployed = await state(tenants.connection)
    async with tenancy.transaction(Claims(request_id=request.state.request_id)) as connection:
        findings = await check(connection)
        findings += [await ask(connection) for ask in (check_sealer, check_conditions, check_server, check_clocks)]
    return page(request, "operator.html", None, signed=signed, tenants=rows, findings=findings, state=deployed)


@router.post("/operator/tenants/{slug}/status")
async def set_status(
    request: Request, signed: Operator, database: Provided[OperatorDatabase], slug: Annotated[Slug, Path()],
    status: Annotated[Literal["suspended", "active"], Form()], form_token: Annotated[Text, Form(max_length=128)] = "",
) -> Response:  # fmt: skip
    """Suspends a tenant from its next request on, or lets it work again."""
    refuse_other_sites(request)
    if form_token != signed.form_token:
        raise Unauthenticated(reason="console:form_token")
    async with _acting(request, database, signed.operator) as tenants:
        await (tenants.suspend(slug) if status == "suspended" else tenants.resume(slug))
    return to(OPERATOR)


@asynccontextmanager
async def _acting(request: Request, database: OperatorDatabase, operator: OperatorActor) -> AsyncIterator[Tenants]:
    assert database.pool is not None  # or nobody would be signed in
    async with transaction(database.pool, timeout=database.timeout) as connection:
        yield Tenants(connection, operator, request.state.request_id)


def _cookie(request: Request) -> tuple[str, bool]:
    name, secure = cookie_name(request)
    return f"{name}-operator", secure


def _seal(request: Request) -> Seal:
    return Seal(required(of(request, Settings).payload_key, "PAYLOAD_KEY"), "operator cookie")


def _not_configured() -> NotFound:
    return NotFound("The operator's role is not configured here.", reason="operator:not_configured")
