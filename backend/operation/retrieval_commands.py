"""Commands that keep retrieval fast: where tenants' chunks are, and by which model they are embedded."""

from collections.abc import Callable, Coroutine
from typing import Annotated, TypeVar
from uuid import UUID

import asyncpg
import typer
from rich.console import RenderableType
from rich.progress import Progress, TimeRemainingColumn
from rich.table import Table

from backend.command_output import CommandResult, progress
from backend.operation.command_line import owner_address, read_settings, run_operator
from backend.operation.commands import tenant_app
from backend.self_check import CheckResult
from backend.settings import Settings

Slug = Annotated[str, typer.Argument(help="The tenant's slug.")]

Again = Annotated[bool, typer.Option("--again", help="Embed those that the model embedded already, too.")]


@tenant_app.command("promote")
def tenant_promote(slug: Slug) -> CommandResult:
    """Move a large tenant to a partition and indexes of its own, while it is in use; given again, it carries on.

    Example: affidavit tenant promote meridian-bank
    """
    from backend.operation import placement  # noqa: PLC0415

    _with_progress(slug, placement.promote)
    return CommandResult({"tenant": slug, "placement": "own"}, f"{slug} has its own partition and indexes.")


@tenant_app.command("demote")
def tenant_demote(slug: Slug) -> CommandResult:
    """Move a tenant back to the shared partition, while it is in use; given again, it carries on.

    Example: affidavit tenant demote meridian-bank
    """
    from backend.operation import placement  # noqa: PLC0415

    _with_progress(slug, placement.demote)
    return CommandResult({"tenant": slug, "placement": "shared"}, f"{slug} is in the shared partition.")


def reembed(slug: Slug, *, again: Again = False) -> CommandResult:
    """Embed a tenant's chunks with the configured model where another one did, while they are in use; given again, it carries on.

    A chunk that is not done yet is found by its words alone. With --again, chunks that the model embedded already are embedded as
    new ones are, and found by their vectors meanwhile: an upgrade may have changed what is embedded of a chunk.

    Example: affidavit reembed meridian-bank
    """
    from backend.operation.reembedding import reembed as run  # noqa: PLC0415
    from backend.personal_data.pseudonyms import PseudonymKeys  # noqa: PLC0415
    from backend.retrieval.embedding.choice import from_settings  # noqa: PLC0415
    from backend.settings import pseudonym_secret  # noqa: PLC0415

    settings = read_settings()
    embedder, keys = from_settings(settings), PseudonymKeys(pseudonym_secret(settings))
    _with_progress(
        slug,
        lambda owner_url, tenant_id, progress: run(owner_url, tenant_id, embedder, keys, progress, again=again),
    )
    told = f"All chunks of {slug} are embedded with {embedder.model}."
    return CommandResult({"tenant": slug, "model": embedder.model}, told)


def calibrate(slug: Slug) -> CommandResult:
    """Measure on a tenant's own texts what fits the configured embedding model, and say how it is set. Changes nothing.

    Sentences are taken out of texts and asked: the weight of words is best that finds their texts again. The result is in the
    tenant's log.

    Example: affidavit calibrate meridian-bank
    """
    from backend.operation.calibration import calibrate as run  # noqa: PLC0415
    from backend.personal_data.pseudonyms import PseudonymKeys  # noqa: PLC0415
    from backend.retrieval.embedding.choice import from_settings  # noqa: PLC0415
    from backend.settings import pseudonym_secret  # noqa: PLC0415

    settings = read_settings()
    embedder, keys = from_settings(settings), PseudonymKeys(pseudonym_secret(settings))
    profile = _with_progress(
        slug,
        lambda owner_url, tenant_id, progress: run(owner_url, tenant_id, embedder, keys, progress),
    )
    measured = profile.measured
    table = Table("weight of words", f"mean reciprocal rank of {measured.questions} texts among {measured.texts}")
    for weight, found in measured.found.items():
        table.add_row(f"{weight:g}", f"{found:.3f}")
    named = f"AFFIDAVIT_LEXICAL_WEIGHT={measured.weight:g}\nAFFIDAVIT_LEXICAL_WEIGHT_MODEL={profile.model}"
    words: list[RenderableType] = [table, f"What fits {profile.model}:\n\n{named}"]
    if profile.max_tokens is not None:
        words.append(f"AFFIDAVIT_EMBEDDINGS_MAX_TOKENS={profile.max_tokens}")
    facts = {"model": profile.model, "lexical_weight": measured.weight, "embeddings_max_tokens": profile.max_tokens}
    counts = {"questions": measured.questions, "texts": measured.texts, "mean_reciprocal_rank": measured.found}
    return CommandResult({"tenant": slug, **facts, **counts}, words)


T = TypeVar("T")


def _with_progress(
    slug: str, act: Callable[[str, UUID, Callable[[str, int, int], None]], Coroutine[None, None, T]]
) -> T:
    from backend.operation.service import operator  # noqa: PLC0415

    async def run(bar: Progress) -> T:
        owner_url = owner_address(read_settings())
        async with operator(owner_url) as acting:
            tenant_id = await acting.tenant(slug)
        task = bar.add_task("starting", total=None)
        return await act(
            owner_url,
            tenant_id,
            lambda step, done, total: bar.update(task, description=step, completed=done, total=total),
        )

    with progress(TimeRemainingColumn()) as bar:
        return run_operator(run(bar))


def uncalibrated_model(settings: Settings) -> str | None:
    """Returns the embeddings server's model when words count beside it as nobody has measured."""
    from backend.retrieval.embedding.choice import remote_from_settings  # noqa: PLC0415
    from backend.retrieval.weights import is_measured  # noqa: PLC0415

    embedder = remote_from_settings(settings)
    if embedder is None or is_measured(embedder.model):
        return None
    calibrated = settings.lexical_weight is not None and settings.lexical_weight_model in {None, embedder.model}
    return None if calibrated else embedder.model


async def embedder_finding(runtime_url: str, settings: Settings) -> CheckResult:
    """Returns whether the embeddings server answers as the model that made the stored vectors."""
    from backend.retrieval.embedding import fingerprint  # noqa: PLC0415 - loads what other commands do not need
    from backend.retrieval.embedding.choice import remote_from_settings  # noqa: PLC0415

    embedder = remote_from_settings(settings)
    assert embedder is not None
    connection = await asyncpg.connect(runtime_url, timeout=5, statement_cache_size=0)
    try:
        async with connection.transaction():
            return CheckResult("embedding model", await fingerprint.problem(connection, embedder))
    finally:
        await connection.close()
        await embedder.aclose()


async def outgrown_tenants(owner_url: str) -> list[tuple[str, int]]:
    """Returns tenants that would be served faster from a partition of their own; none when the database is away."""
    from backend.operation.placement import proposals  # noqa: PLC0415
    from backend.retrieval.crossover import CROSSOVER  # noqa: PLC0415

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
