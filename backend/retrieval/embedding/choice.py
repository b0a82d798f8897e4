"""Chooses the embedder that the settings ask for."""

from pathlib import Path
from typing import TYPE_CHECKING

from backend.retrieval.embedding.embedder import Embedder, LocalEmbedder
from backend.retrieval.embedding.minilm import MINILM
from backend.retrieval.embedding.mpnet import MPNET
from backend.settings import Settings
from backend.settings.retrieval import has_quality_packages

if TYPE_CHECKING:
    from backend.retrieval.embedding.remote import RemoteEmbedder

_LOCAL = {"small": MINILM, "quality": MPNET}


def from_settings(settings: Settings) -> Embedder:
    """Returns a client of the embeddings server, or without one the model of the profile, built at first use."""
    return remote_from_settings(settings) or LocalEmbedder.load(
        settings.home_folder / "models", settings.embedding_threads, _LOCAL[settings.embedding_profile]
    )


def convert(folder: Path) -> None:
    """Makes the graphs of all models that are installed, for who can write nothing later."""
    for local in [MINILM, *([MPNET] if has_quality_packages() else [])]:
        local.onnx_model(folder)


def remote_from_settings(settings: Settings) -> "RemoteEmbedder | None":
    """Returns a client of the embeddings server, if there is one."""
    if settings.embeddings_url is None:
        return None
    from backend.retrieval.embedding.remote import RemoteEmbedder  # noqa: PLC0415 - half a second

    assert settings.embeddings_model is not None
    assert settings.embeddings_dimensions is not None
    return RemoteEmbedder(
        settings.embeddings_url, settings.embeddings_model, settings.embeddings_api_key, settings.embeddings_dimensions,
        revision=settings.embeddings_revision, max_tokens=settings.embeddings_max_tokens,
        timeout=settings.embeddings_timeout,
    )  # fmt: skip
