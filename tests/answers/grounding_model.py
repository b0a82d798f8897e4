"""The check of sentences as the service has it, for tests that need no service."""

from functools import cache
from pathlib import Path
from tempfile import gettempdir

from backend.answers.grounding.judge import Judge
from backend.answers.grounding.likeness import Likeness
from backend.answers.grounding.support import Grounding
from backend.answers.grounding.verdict import Support
from backend.retrieval.embedding.embedder import LocalEmbedder


@cache
def likeness() -> Likeness:
    """Returns the trained model over the built-in embedder, which is built once a machine."""
    folder = Path(gettempdir()) / "affidavit-test-models"
    return Likeness(LocalEmbedder.load(folder, 1))


def grounding(judge: Judge | None = None, levels: frozenset[Support] | None = None) -> Grounding:
    """Returns the check."""
    return Grounding(likeness(), judge, levels) if levels else Grounding(likeness(), judge)
