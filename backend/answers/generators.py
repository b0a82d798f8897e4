"""Chooses the generator that the settings ask for."""

from backend.answers.extractive import ExtractiveGenerator
from backend.answers.generator import Generator
from backend.answers.openai_compatible import OpenAICompatibleGenerator
from backend.retrieval.embedding.embedder import Embedder
from backend.settings import Settings


def from_settings(settings: Settings, embedder: Embedder) -> Generator:
    """Returns a client of the model server, or without one the built-in extractive generator."""
    if settings.model_url is None:
        return ExtractiveGenerator(embedder.embed_passages)
    assert settings.model_name is not None
    return OpenAICompatibleGenerator(
        settings.model_url, settings.model_name, settings.model_api_key, timeout=settings.model_timeout
    )
