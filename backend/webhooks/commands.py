"""`affidavit webhook …`: who is told of what happens, as an administrator of a tenant says it."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import typer
from rich.table import Table

from backend.client import Client
from backend.command_output import CommandGroup, CommandResult
from backend.identity.sign_in.as_caller import as_caller
from backend.webhooks.kinds import EventKind

webhook_app = CommandGroup(help="Tell other systems of a tenant what happens (Standard Webhooks).")

Endpoint = Annotated[UUID, typer.Argument(help="The endpoint's id, as `affidavit webhook list` shows it.")]


@webhook_app.command("create")
@as_caller
def create(
    client: Client,
    address: Annotated[str, typer.Argument(help="Where messages are sent: HTTPS, on a host that the operator allows.")],
    kinds: Annotated[list[EventKind], typer.Option("--kind", help="What it is told of; say it for each.")],
) -> CommandResult:
    """Tell an address of events from now on, and print its id and its secret, the only time that it is shown.

    Example: affidavit webhook create https://hooks.bank.example/ --kind hold.placed --tenant meridian-bank --username admin
    """
    made = client.webhooks.create(address, [kind.value for kind in kinds])
    return CommandResult(made, f"{made.id}\n{made.secret}")


@webhook_app.command("list")
@as_caller
def list_endpoints(
    client: Client,
) -> CommandResult:
    """List endpoints, and how they fare.

    Example: affidavit webhook list --tenant meridian-bank --username admin
    """
    found = client.webhooks.list()
    table = Table("id", "address", "state", "waiting", "given up", "kinds")
    for one in found:
        state = one.status if one.disabled_because is None else f"{one.status} ({one.disabled_because})"
        table.add_row(str(one.id), one.url, state, str(one.waiting), str(one.dead), ", ".join(one.kinds))
    return CommandResult(found, table)


@webhook_app.command("deliveries")
@as_caller
def deliveries(
    client: Client,
    endpoint: Endpoint,
) -> CommandResult:
    """List what was last sent to an endpoint.

    Example: affidavit webhook deliveries ID --tenant meridian-bank --username admin
    """
    found = client.webhooks.deliveries(endpoint)
    table = Table("id", "kind", "state", "attempts", "made", "answer")
    for one in found:
        answer = str(one.response_status or one.failure or "")
        table.add_row(
            str(one.id), one.kind, one.state, str(one.attempts), f"{one.created_at:%Y-%m-%d %H:%M:%S}Z", answer
        )
    return CommandResult(found, table)


@webhook_app.command("replay")
@as_caller
def replay(
    client: Client,
    endpoint: Endpoint,
    delivery: Annotated[UUID | None, typer.Option(help="One message alone, by its `webhook-id`.")] = None,
    since: Annotated[
        datetime | None,
        typer.Option(help="Everything since this moment, in UTC.", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    ] = None,
) -> CommandResult:
    """Send a message again, or everything since a moment, each under its `webhook-id`.

    Example: affidavit webhook replay ID --since 2026-11-01 --tenant meridian-bank --username admin
    """
    if (delivery is None) == (since is None):
        raise typer.BadParameter("say --delivery or --since")
    if delivery is not None:
        client.webhooks.replay_delivery(endpoint, delivery)
        return CommandResult({"endpoint": endpoint, "delivery": delivery}, "It is sent again.")
    assert since is not None
    events = client.webhooks.replay(endpoint, since.replace(tzinfo=UTC))
    return CommandResult(
        {"endpoint": endpoint, "events": events}, f"What {events} events of the log tell is sent again."
    )


@webhook_app.command("test")
@as_caller
def send_test(
    client: Client,
    endpoint: Endpoint,
) -> CommandResult:
    """Send an endpoint a message that tells of nothing, and print its id.

    Example: affidavit webhook test ID --tenant meridian-bank --username admin
    """
    sent = client.webhooks.test(endpoint)
    return CommandResult(sent, str(sent.id))


@webhook_app.command("rotate")
@as_caller
def rotate(
    client: Client,
    endpoint: Endpoint,
    overlap: Annotated[int, typer.Option(help="Seconds for which the present one signs as well.", min=0)] = 86_400,
) -> CommandResult:
    """Give an endpoint another secret, and print it, the only time that it is shown.

    Example: affidavit webhook rotate ID --tenant meridian-bank --username admin
    """
    rotated = client.webhooks.rotate(endpoint, overlap)
    return CommandResult(rotated, rotated.secret)


@webhook_app.command("enable")
@as_caller
def enable(
    client: Client,
    endpoint: Endpoint,
) -> CommandResult:
    """Tell an endpoint everything again, also what it was not told meanwhile.

    Example: affidavit webhook enable ID --tenant meridian-bank --username admin
    """
    return CommandResult(client.webhooks.change(endpoint, status="enabled"), "It is told of events again.")


@webhook_app.command("disable")
@as_caller
def disable(
    client: Client,
    endpoint: Endpoint,
) -> CommandResult:
    """Tell an endpoint nothing until it is enabled again.

    Example: affidavit webhook disable ID --tenant meridian-bank --username admin
    """
    return CommandResult(client.webhooks.change(endpoint, status="disabled"), "It is told nothing until it is enabled.")


@webhook_app.command("delete")
@as_caller
def delete(
    client: Client,
    endpoint: Endpoint,
) -> CommandResult:
    """Forget an endpoint, and what was sent to it.

    Example: affidavit webhook delete ID --tenant meridian-bank --username admin
    """
    client.webhooks.delete(endpoint)
    return CommandResult({"endpoint": endpoint, "deleted": True}, "It is forgotten.")
