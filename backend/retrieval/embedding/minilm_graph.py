"""Builds the graph of all-MiniLM-L6-v2 from its weights. Only who builds the model imports this, which takes half a second."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from safetensors.numpy import load_file

from backend.retrieval.embedding.minilm import DIMENSIONS

_LAYERS, _HEADS = 6, 12
_HEAD_SIZE = DIMENSIONS // _HEADS


def write_quantised(weights: Path, path: Path) -> None:
    """Writes the int8 model under a private name, then renames it: no other process ever reads half of it."""
    model = _graph(load_file(weights))
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch, _without_quantiser_chatter():
        quantised = Path(scratch) / path.name
        quantize_dynamic(
            model,
            quantised,
            op_types_to_quantize=["MatMul", "Gather"],
            weight_type=QuantType.QInt8,
            per_channel=True,  # cosine to the fp32 vectors .99; one scale per matrix gives .96
            reduce_range=True,  # 7 bits: with 8, CPUs without VNNI overflow and return other vectors
        )
        quantised.replace(path)


@contextmanager
def _without_quantiser_chatter() -> Iterator[None]:
    """Drops what the quantiser tells the root logger: advice this graph does not need, a line per tensor."""
    root = logging.getLogger()
    root.addFilter(_is_not_from_quantiser)
    try:
        yield
    finally:
        root.removeFilter(_is_not_from_quantiser)


def _is_not_from_quantiser(record: logging.LogRecord) -> bool:
    return "onnxruntime" not in record.pathname


def _graph(weights: dict[str, NDArray[np.float32]]) -> onnx.ModelProto:
    """Returns token ids (1, n) → unit vector (1, 384): BERT encoder, mean over the tokens, L2 normalisation.

    The second output, "tokens" (1, n, 384), is what the mean is taken of.

    There is no attention mask because texts are never padded: each is run alone (see `embedding`).
    """
    encoder = _Encoder(weights)
    hidden = encoder.embeddings("ids")
    for layer in range(_LAYERS):
        hidden = encoder.layer(hidden, f"encoder.layer.{layer}", output="tokens" if layer == _LAYERS - 1 else "")
    mean = encoder.node("ReduceMean", hidden, encoder.constant(np.array([1])), keepdims=0)
    encoder.node("LpNormalization", mean, output="embedding", axis=-1, p=2)
    graph = helper.make_graph(
        encoder.nodes,
        "all-MiniLM-L6-v2",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, [1, "tokens"])],
        [
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, DIMENSIONS]),
            helper.make_tensor_value_info("tokens", TensorProto.FLOAT, [1, "tokens", DIMENSIONS]),
        ],
        encoder.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    return model


class _Encoder:
    """Collects the nodes and constants of a BERT encoder; every method returns the name of its output."""

    def __init__(self, weights: dict[str, NDArray[np.float32]]) -> None:
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def node(self, operator: str, *inputs: str, output: str = "", **attributes: float | list[int]) -> str:
        name = output or f"{operator}_{len(self.nodes)}"
        node = helper.make_node(operator, list(inputs), [name])
        node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
        self.nodes.append(node)
        return name

    def constant(self, value: NDArray[np.generic]) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def embeddings(self, ids: str) -> str:
        words = self.constant(self.weights["embeddings.word_embeddings.weight"])
        # Every token is of the first segment, so its segment vector is folded into the positions.
        segment = self.weights["embeddings.token_type_embeddings.weight"][0]
        positions = self.constant(self.weights["embeddings.position_embeddings.weight"] + segment)
        zero = self.constant(np.array([0]))
        length = self.node("Shape", ids, start=1, end=2)
        used = self.node("Slice", positions, zero, length, zero)
        return self.norm(self.node("Add", self.node("Gather", words, ids), used), "embeddings.LayerNorm")

    def layer(self, hidden: str, name: str, output: str = "") -> str:
        context = self.attention(hidden, f"{name}.attention.self")
        attended = self.dense(context, f"{name}.attention.output.dense")
        hidden = self.norm(self.node("Add", hidden, attended), f"{name}.attention.output.LayerNorm")
        inner = self.node("Gelu", self.dense(hidden, f"{name}.intermediate.dense"))
        outer = self.dense(inner, f"{name}.output.dense")
        return self.norm(self.node("Add", hidden, outer), f"{name}.output.LayerNorm", output)

    def attention(self, hidden: str, name: str) -> str:
        query = self.heads(self.dense(hidden, f"{name}.query", scale=_HEAD_SIZE**-0.5), [0, 2, 1, 3])
        key = self.heads(self.dense(hidden, f"{name}.key"), [0, 2, 3, 1])
        value = self.heads(self.dense(hidden, f"{name}.value"), [0, 2, 1, 3])
        weights = self.node("Softmax", self.node("MatMul", query, key), axis=-1)
        context = self.node("Transpose", self.node("MatMul", weights, value), perm=[0, 2, 1, 3])
        return self.node("Reshape", context, self.constant(np.array([0, 0, DIMENSIONS])))

    def heads(self, hidden: str, order: list[int]) -> str:
        split = self.node("Reshape", hidden, self.constant(np.array([0, 0, _HEADS, _HEAD_SIZE])))
        return self.node("Transpose", split, perm=order)

    def dense(self, hidden: str, name: str, scale: float = 1.0) -> str:
        matrix = self.constant(self.weights[f"{name}.weight"].T * np.float32(scale))
        bias = self.constant(self.weights[f"{name}.bias"] * np.float32(scale))
        return self.node("Add", self.node("MatMul", hidden, matrix), bias)

    def norm(self, hidden: str, name: str, output: str = "") -> str:
        scale = self.constant(self.weights[f"{name}.weight"])
        bias = self.constant(self.weights[f"{name}.bias"])
        return self.node("LayerNormalization", hidden, scale, bias, output=output, axis=-1, epsilon=1e-12)
