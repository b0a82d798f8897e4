"""`affidavit key …`: API keys of a tenant, with everything that can bound them."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, TypeVar
from uuid import UUID

import typer
from rich.table import Table

from backend.command_output import CommandFailed, CommandGroup, CommandResult
from backend.database import Connection
from backend.identity.callers.permissions import Permission
from backend.operation.command_line import as_owner

key_app = CommandGroup(help="Create, list, change, rotate and revoke API keys.")

Slug = Annotated[str, typer.Argument(help="The tenant's slug.")]
Named = Annotated[str, typer.Argument(help="The key's id, or its name if no other key has it.")]

_MICROS = 1_000_000
_MOST = 1_000_000_000_000
Purpose = Annotated[str | None, typer.Option(help="What it is for; recorded with each use.")]
Networks = Annotated[
    list[str] | None, typer.Option("--network", help="A network (CIDR) it works from; repeat for more.")
]
Expires = Annotated[datetime | None, typer.Option(help="When it ends.", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S%z"])]
PerMinute = Annotated[int | None, typer.Option(help="Requests a minute.", min=1, max=1_000_000)]
PerDay = Annotated[int | None, typer.Option(help="Requests a day in UTC.", min=1, max=1_000_000_000)]
TokensDay = Annotated[int | None, typer.Option(help="Tokens of models a day.", min=1, max=_MOST)]
TokensMonth = Annotated[int | None, typer.Option(help="Tokens of models a month.", min=1, max=_MOST)]
CostDay = Annotated[
    float | None, typer.Option(help="Cost of models a day, by the service's prices.", min=0.000001, max=1e9)
]
CostMonth = Annotated[
    float | None, typer.Option(help="Cost of models a month, by the service's prices.", min=0.000001, max=1e9)
]

_Result = TypeVar("_Result")


class NamedBound(StrEnum):
    """What can be taken away of a key, by the name of its option."""

    PURPOSE = "purpose"
    NETWORK = "network"
    EXPIRES = "expires"
    PER_MINUTE = "per-minute"
    PER_DAY = "per-day"
    TOKENS_DAY = "tokens-day"
    TOKENS_MONTH = "tokens-month"
    COST_DAY = "cost-day"
    COST_MONTH = "cost-month"


@key_app.command("create")
def key_create(  # noqa: PLR0913 - one parameter an option
    tenant: Slug,
    name: Annotated[str, typer.Argument(help="What to call the key.")],
    permission: Annotated[list[Permission], typer.Option(help="What it may do; repeat for more.")],
    collection: Annotated[list[str] | None, typer.Option(help="A collection it may read; repeat for more.")] = None,
    write: Annotated[list[str] | None, typer.Option(help="A collection it may write; repeat for more.")] = None,
    purpose: Purpose = None,
    owner: Annotated[str | None, typer.Option(help="The user who answers for it, and whose rights bound it.")] = None,
    network: Networks = None,
    expires: Expires = None,
    per_minute: PerMinute = None,
    per_day: PerDay = None,
    tokens_day: TokensDay = None,
    tokens_month: TokensMonth = None,
    cost_day: CostDay = None,
    cost_month: CostMonth = None,
    assertion_key: Annotated[
        Path | None, typer.Option(help="PEM file of a P-256 public key, with which end users must be signed.")
    ] = None,
) -> CommandResult:
    """Create an API key and print it, the only time that it is shown.

    Example: affidavit key create meridian-bank portal --permission retrieval:query --permission answers:create --purpose
    "Answers in the portal" --network 203.0.113.0/24 --expires 2027-06-30 --tokens-month 5000000 --cost-month 250
    """
    from uuid_utils.compat import uuid7  # noqa: PLC0415 - loads what --help does not need

    from backend.operation.service import KeyBounds, Operator  # noqa: PLC0415

    readable, key_id = collection or ["default"], uuid7()
    bounds = KeyBounds(
        purpose=_purpose(purpose), networks=[_network(text) for text in network or ()], per_minute=per_minute, per_day=per_day,
        tokens_day=tokens_day, tokens_month=tokens_month,
        cost_day_micros=_micros(cost_day), cost_month_micros=_micros(cost_month),
        assertion_key=_public_key(assertion_key),
    )  # fmt: skip

    async def create(connection: Connection, tenant_id: UUID) -> str:
        return await Operator(connection).create_key(
            tenant_id, name, permission, readable, _moment(expires), writable=write or (), owner=owner, bounds=bounds,
            key_id=key_id,
        )  # fmt: skip

    key = _of_tenant(tenant, create)
    return CommandResult({"id": key_id, "name": name, "key": key}, key)


@key_app.command("list")
def key_list(tenant: Slug) -> CommandResult:
    """List a tenant's keys that have not ended, with what bounds them.

    Example: affidavit key list meridian-bank --json
    """
    from backend.operation import keys  # noqa: PLC0415

    rows = [asdict(key) for key in _of_tenant(tenant, keys.listed)]
    table = Table("id", "name", "owner", "may", "reads", "bounds", "last used")
    for row in rows:
        used = f"{row['last_used_at']:%Y-%m-%d %H:%M}" if row["last_used_at"] else "never"
        may, reads = ", ".join(row["permissions"]), ", ".join(row["collections"])
        table.add_row(str(row["id"]), row["name"], row["owner"], may, reads, _bounds(row), used)
    return CommandResult(rows, table)


@key_app.command("change")
def key_change(  # noqa: PLR0913 - one parameter an option
    tenant: Slug,
    key: Named,
    name: Annotated[str | None, typer.Option(help="What to call it from now on.")] = None,
    purpose: Purpose = None,
    network: Networks = None,
    expires: Expires = None,
    per_minute: PerMinute = None,
    per_day: PerDay = None,
    tokens_day: TokensDay = None,
    tokens_month: TokensMonth = None,
    cost_day: CostDay = None,
    cost_month: CostMonth = None,
    without: Annotated[list[NamedBound] | None, typer.Option(help="A bound to take away; repeat for more.")] = None,
) -> CommandResult:
    """Change what bounds a key, from its next request on. What is not named stays.

    Example: affidavit key change meridian-bank portal --tokens-month 8000000 --without cost-month
    """
    from backend.operation import keys  # noqa: PLC0415

    wanted: dict[str, Any] = {
        "name": name, "purpose": _purpose(purpose), "networks": [_network(text) for text in network or ()] or None,
        "expires_at": _moment(expires), "per_minute": per_minute, "per_day": per_day, "tokens_day": tokens_day,
        "tokens_month": tokens_month, "cost_day_micros": _micros(cost_day), "cost_month_micros": _micros(cost_month),
    }  # fmt: skip
    bounds = {column: value for column, value in wanted.items() if value is not None}
    gone = {_COLUMNS.get(bound, bound.value.replace("-", "_")): bound for bound in without or ()}
    if both := bounds.keys() & gone.keys():
        raise CommandFailed(f"--{gone[min(both)]} is both set and taken away")
    bounds |= {column: [] if column == "networks" else None for column in gone}
    if not bounds:
        raise CommandFailed("name what is to change, such as --tokens-month or --without")
    key_id = _of_tenant(tenant, lambda owner, of: keys.change(owner, of, key, bounds))
    return CommandResult({"id": key_id, "changed": sorted(bounds)}, f"Changed {key}.")


@key_app.command("rotate")
def key_rotate(
    tenant: Slug,
    key: Named,
    overlap_seconds: Annotated[
        int, typer.Option(help="How long the present secret stays good.", min=0, max=30 * 86_400)
    ] = 86_400,
) -> CommandResult:
    """Give a key another secret and print it, the only time that it is shown.

    Example: affidavit key rotate meridian-bank portal --overlap-seconds 3600
    """
    from backend.operation import keys  # noqa: PLC0415

    key_id, secret = _of_tenant(tenant, lambda owner, of: keys.rotate(owner, of, key, overlap_seconds))
    return CommandResult({"id": key_id, "key": secret, "overlap_seconds": overlap_seconds}, secret)


@key_app.command("revoke")
def key_revoke(tenant: Slug, key: Named) -> CommandResult:
    """End a key; its next request is refused.

    Example: affidavit key revoke meridian-bank portal
    """
    from backend.operation import keys  # noqa: PLC0415

    key_id = _of_tenant(tenant, lambda owner, of: keys.revoke(owner, of, key))
    return CommandResult({"id": key_id, "revoked": True}, f"Revoked {key}.")


_COLUMNS = {
    NamedBound.NETWORK: "networks", NamedBound.EXPIRES: "expires_at", NamedBound.COST_DAY: "cost_day_micros",
    NamedBound.COST_MONTH: "cost_month_micros",
}  # fmt: skip


def _of_tenant(slug: str, act: Callable[[Connection, UUID], Awaitable[_Result]]) -> _Result:
    """Runs something about a tenant in one transaction of the owner."""
    from backend.operation.service import Operator  # noqa: PLC0415

    async def of_tenant(owner: Connection) -> _Result:
        return await act(owner, await Operator(owner).tenant(slug))

    return as_owner(of_tenant)


def _purpose(text: str | None) -> str | None:
    if text is not None and not 3 <= len(text) <= 500:
        raise CommandFailed("--purpose must have 3 to 500 characters")
    return text


def _network(text: str) -> str:
    try:
        return str(ip_network(text))
    except ValueError as error:
        raise CommandFailed(f"--network: {error}") from None


def _moment(given: datetime | None) -> datetime | None:
    if given is None:
        return None
    moment = given if given.tzinfo else given.replace(tzinfo=UTC)
    if moment <= datetime.now(UTC):
        raise CommandFailed("--expires must be in the future")
    return moment


def _public_key(path: Path | None) -> str | None:
    from backend.identity.callers import on_behalf_of  # noqa: PLC0415

    if path is None:
        return None
    try:
        pem = path.read_text(encoding="ascii")
        on_behalf_of.load_public_key(pem)
    except (OSError, ValueError) as error:
        raise CommandFailed(f"--assertion-key: {error}") from None
    return pem


def _micros(cost: float | None) -> int | None:
    return None if cost is None else round(cost * _MICROS)


def _bounds(row: dict[str, Any]) -> str:
    told = {
        "until": row["expires_at"] and f"{row['expires_at']:%Y-%m-%d}", "from": ", ".join(row["networks"]),
        "requests a minute": row["per_minute"], "requests a day": row["per_day"], "tokens a day": row["tokens_day"],
        "tokens a month": row["tokens_month"],
        "money a day": row["cost_day_micros"] and f"{row['cost_day_micros'] / _MICROS:g}",
        "money a month": row["cost_month_micros"] and f"{row['cost_month_micros'] / _MICROS:g}",
    }  # fmt: skip
    return "; ".join(f"{name} {value}" for name, value in told.items() if value)
