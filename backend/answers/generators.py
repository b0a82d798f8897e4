"""Chooses the generator that the settings ask for."""

from functools import cache
from pathlib import Path

from backend.answers.extractive import ExtractiveGenerator
from backend.answers.generator import Generator
from backend.answers.grounding.judge import judge_of
from backend.answers.grounding.likeness import Likeness
from backend.answers.grounding.support import Grounding
from backend.answers.grounding.verdict import Support
from backend.answers.openai_compatible import OpenAICompatibleGenerator
from backend.retrieval.embedding.embedder import Embedder, LocalEmbedder
from backend.settings import Settings


def from_settings(settings: Settings, embedder: Embedder) -> Generator:
    """Returns a client of the model server, or without one the built-in extractive generator."""
    if settings.model_url is None:
        return ExtractiveGenerator(embedder.embed_passages)
    assert settings.model_name is not None
    return OpenAICompatibleGenerator(
        settings.model_url, settings.model_name, settings.model_api_key,
        grounding=grounding_from_settings(settings, embedder), timeout=settings.model_timeout,
    )  # fmt: skip


def grounding_from_settings(settings: Settings, embedder: Embedder) -> Grounding:
    """Returns the check of sentences; words in context are always those of the built-in model."""
    local = embedder if isinstance(embedder, LocalEmbedder) else _local(settings.home_folder / "models")
    judge = None
    if settings.judge_url is not None:
        assert settings.judge_model is not None
        judge = judge_of(settings.judge_kind, settings.judge_url, settings.judge_model, settings.judge_api_key)
    return Grounding(Likeness(local.token_vectors), judge, frozenset(map(Support, settings.support_levels)))


@cache
def _local(folder: Path) -> LocalEmbedder:
    return LocalEmbedder.load(folder, 1)
