"""Which models may answer: those that the operator offers, and of them those that a tenant chose."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from backend.answers.extractive import ExtractiveGenerator
from backend.answers.fallback import Failures, Fallback
from backend.answers.generator import Generator
from backend.answers.grounding.judge import judge_of
from backend.answers.grounding.likeness import Likeness
from backend.answers.grounding.support import Grounding
from backend.answers.grounding.verdict import Support
from backend.errors import Unavailable
from backend.retrieval.embedding.embedder import Embedder, LocalEmbedder
from backend.retrieval.embedding.minilm import MINILM
from backend.settings import Settings

if TYPE_CHECKING:
    from backend.answers.openai_compatible import OpenAICompatibleGenerator


@dataclass(frozen=True, slots=True)
class Offer:
    """A model on a server, and the tenants that may use it, by their slugs; None means all."""

    generator: "OpenAICompatibleGenerator"
    tenants: frozenset[str] | None = None


@dataclass(frozen=True)
class Generators:
    """All that can answer. Without a choice the operator's models are asked in order, or else the built-in generator."""

    servers: Sequence[Offer]
    built_in: Generator
    levels: frozenset[Support]  # of support that the operator lets be shown
    failures: Failures = field(default_factory=Failures, compare=False)
    judge: str | None = None  # the model that judges sentences

    def offered(self, tenant: str) -> Sequence[str]:
        """Returns the names of what a tenant can choose, in the operator's order."""
        return [generator.name for generator in [*self._servers_for(tenant), self.built_in]]

    def chosen(self, tenant: str, models: Sequence[str] | None) -> Fallback:
        """Returns what answers a tenant that chose these models; raises Unavailable when none of them is offered any more."""
        left = self._in_turn(tenant, models)
        if not left:
            raise Unavailable(
                "No model that your institution chose is offered any more.", reason="generator:not_offered"
            )
        return Fallback(left, self.failures)

    def asked_in_turn(self, tenant: str, models: Sequence[str] | None) -> list[str]:
        """Returns the names of what answers such a tenant, in the order in which they are asked."""
        return [generator.name for generator in self._in_turn(tenant, models)]

    def _in_turn(self, tenant: str, models: Sequence[str] | None) -> list[Generator]:
        servers = self._servers_for(tenant)
        if models is None:
            return servers or [self.built_in]
        known = {generator.name: generator for generator in [*servers, self.built_in]}
        return [known[name] for name in models if name in known]

    async def aclose(self) -> None:
        """Closes the connections to servers."""
        for offer in self.servers:
            await offer.generator.aclose()

    def _servers_for(self, tenant: str) -> list[Generator]:
        return [offer.generator for offer in self.servers if offer.tenants is None or tenant in offer.tenants]


def from_settings(settings: Settings, embedder: Embedder) -> Generators:
    """Returns clients of the configured model servers, and the built-in generator."""
    offers = list(_offers(settings, embedder)) if settings.model_servers else []
    levels = frozenset(map(Support, settings.support_levels))
    local = _built_in(settings, embedder)
    built_in = ExtractiveGenerator(local, retrieves=embedder.model == local.model)
    judge = settings.judge_model if settings.judge_url is not None else None
    return Generators(offers, built_in, levels, judge=judge)


def _offers(settings: Settings, embedder: Embedder) -> Iterator[Offer]:
    from backend.answers.openai_compatible import OpenAICompatibleGenerator  # noqa: PLC0415 - half a second

    grounding = grounding_from_settings(settings, embedder)
    for server in settings.model_servers:
        tenants = None if server.tenants is None else frozenset(server.tenants)
        yield Offer(OpenAICompatibleGenerator(server, grounding), tenants)


def grounding_from_settings(settings: Settings, embedder: Embedder) -> Grounding:
    """Returns the check of sentences; words in context are always those of the built-in model."""
    local = _built_in(settings, embedder)
    judge = None
    if settings.judge_url is not None:
        assert settings.judge_model is not None
        judge = judge_of(settings.judge_kind, settings.judge_url, settings.judge_model, settings.judge_api_key)
    return Grounding(Likeness(local), judge, frozenset(map(Support, settings.support_levels)))


def _built_in(settings: Settings, embedder: Embedder) -> LocalEmbedder:
    """Returns MiniLM, for which likenesses and thresholds were calibrated, whichever one retrieves."""
    if isinstance(embedder, LocalEmbedder) and embedder.model == MINILM.name:
        return embedder
    return _local(settings.home_folder / "models")


@cache
def _local(folder: Path) -> LocalEmbedder:
    return LocalEmbedder.load(folder, 1)
