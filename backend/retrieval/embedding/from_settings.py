"""Chooses the embedder that the settings ask for."""

from backend.retrieval.embedding.embedder import Embedder, LocalEmbedder, RemoteEmbedder
from backend.settings import Settings


def from_settings(settings: Settings) -> Embedder:
    """Returns a client of the embeddings server, or without one the built-in MiniLM, built at first use."""
    if settings.embeddings_url is None:
        return LocalEmbedder.load(settings.home_folder / "models", settings.embedding_threads)
    assert settings.embeddings_model is not None
    assert settings.embeddings_dimensions is not None
    return RemoteEmbedder(
        settings.embeddings_url, settings.embeddings_model, settings.embeddings_api_key, settings.embeddings_dimensions
    )
