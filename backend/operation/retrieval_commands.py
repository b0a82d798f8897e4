"""Commands that keep retrieval fast: where tenants' chunks are, and by which model they are embedded."""

from collections.abc import Callable, Coroutine
from typing import Annotated
from uuid import UUID

import asyncpg
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from backend.operation.commands import tenant_app
from backend.operation.terminal import console, database_urls, errors, read_settings, run_operator

Slug = Annotated[str, typer.Argument(help="The tenant's slug.")]


@tenant_app.command("promote")
def tenant_promote(slug: Slug) -> None:
    """Move a large tenant to a partition and indexes of its own, while it is in use; given again, it carries on.

    Example: affidavit tenant promote meridian-bank
    """
    from backend.operation import placement  # noqa: PLC0415

    _with_progress(slug, placement.promote)
    console.print(f"{slug} has its own partition and indexes.")


@tenant_app.command("demote")
def tenant_demote(slug: Slug) -> None:
    """Move a tenant back to the shared partition, while it is in use; given again, it carries on.

    Example: affidavit tenant demote meridian-bank
    """
    from backend.operation import placement  # noqa: PLC0415

    _with_progress(slug, placement.demote)
    console.print(f"{slug} is in the shared partition.")


def reembed(slug: Slug) -> None:
    """Embed a tenant's chunks with the configured model where another one did, while they are in use; given again, it carries on.

    A chunk that is not done yet is found by its words alone.

    Example: affidavit reembed meridian-bank
    """
    from backend.operation.reembedding import reembed as run  # noqa: PLC0415
    from backend.retrieval.embedding.embedder import from_settings  # noqa: PLC0415

    embedder = from_settings(read_settings())
    _with_progress(slug, lambda owner_url, tenant_id, progress: run(owner_url, tenant_id, embedder, progress))
    console.print(f"All chunks of {slug} are embedded with {embedder.model}.")


def _with_progress(
    slug: str, act: Callable[[str, UUID, Callable[[str, int, int], None]], Coroutine[None, None, None]]
) -> None:
    from backend.operation.service import operator  # noqa: PLC0415

    async def run(bar: Progress) -> None:
        owner_url = database_urls(read_settings())["owner_url"]
        async with operator(owner_url) as acting:
            tenant_id = await acting.tenant(slug)
        task = bar.add_task("starting", total=None)
        await act(
            owner_url,
            tenant_id,
            lambda step, done, total: bar.update(task, description=step, completed=done, total=total),
        )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors) as bar:
        run_operator(run(bar))


async def outgrown_tenants(owner_url: str) -> list[tuple[str, int]]:
    """Returns tenants that would be served faster from a partition of their own; none when the database is away."""
    from backend.operation.placement import proposals  # noqa: PLC0415
    from backend.retrieval.search import CROSSOVER  # noqa: PLC0415

    try:
        connection = await asyncpg.connect(owner_url, timeout=5)
    except (OSError, TimeoutError, asyncpg.PostgresError):
        return []  # the check itself says so
    try:
        return await proposals(connection, CROSSOVER)
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        return []
    finally:
        await connection.close()
