"""What an embedding model is that runs in this process: an int8 ONNX graph, made from the weights in pinned packages."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, files, version
from pathlib import Path
from typing import Literal

from tokenizers import Tokenizer

Kind = Literal["bert", "mpnet"]


class ModelWeightsError(RuntimeError):
    """An embedding model's weights are missing or are not the pinned ones."""


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model, and where its files come from."""

    name: str  # recorded with every chunk
    kind: Kind  # of graph
    dimensions: int
    max_tokens: int  # what the model was trained on, its two markers included; its position table would allow more
    markers: tuple[str, str]  # the tokens that frame each text
    weights_sha256: str
    read: Callable[[str], bytes]  # a file of the model by its name; raises ModelWeightsError

    def tokenizer(self) -> Tokenizer:
        """Returns the model's tokenizer, which neither cuts nor fills up what it encodes."""
        return _tokenizer(self)

    def onnx_model(self, folder: Path) -> Path:
        """Returns the quantised model's path in `folder`, building it there first (a few seconds) if it is absent.

        Raises ModelWeightsError if the installed weights are missing or are not the pinned ones.
        """
        path = folder / f"{self.name}-{self._build_id()}.onnx"
        if not path.exists():
            from backend.retrieval.embedding import graph  # noqa: PLC0415 - half a second, and needed once

            weights = self._verified(self.read("model.safetensors"))
            folder.mkdir(parents=True, exist_ok=True)
            graph.write_quantised(self.kind, weights, path)
        return path

    def _build_id(self) -> str:
        """Names all that shapes the model, so that a new builder, runtime or weights never meets an old cache."""
        builder = Path(__file__).with_name("graph.py").read_bytes()
        versions = f"{self.weights_sha256} {version('onnx')} {version('onnxruntime')}".encode()
        return hashlib.sha256(builder + versions).hexdigest()[:16]

    def _verified(self, weights: bytes) -> bytes:
        found = hashlib.sha256(weights).hexdigest()
        if found != self.weights_sha256:
            message = f"The weights of {self.name} have SHA-256 {found}, not the pinned {self.weights_sha256}."
            raise ModelWeightsError(message)
        return weights


@cache
def _tokenizer(model: LocalModel) -> Tokenizer:
    loaded = Tokenizer.from_buffer(model.read("tokenizer.json"))
    loaded.no_padding()
    loaded.no_truncation()
    return loaded


def package_file(package: str, ending: str, *, install: str) -> Path:
    """Returns the path of the package's file that ends so; importing the package instead might ask for torch.

    Raises ModelWeightsError, which says what to `install`, when there is none.
    """
    try:
        recorded = files(package) or []
    except PackageNotFoundError as error:
        message = f"The package {package}, which holds weights of an embedding model, is not installed: {install}."
        raise ModelWeightsError(message) from error
    for file in recorded:
        if file.as_posix().endswith(ending):
            return Path(str(file.locate()))
    message = f"The package {package} has no file {ending}: {install}."
    raise ModelWeightsError(message)
