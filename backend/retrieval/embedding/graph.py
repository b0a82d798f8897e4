"""Builds the graphs of embedding models from their weights. Only who builds a model imports this, which takes half a second."""

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
from safetensors.numpy import load

from backend.retrieval.embedding.local_model import Kind

Weights = dict[str, NDArray[np.float32]]

_HEADS = 12  # of every kind
_MPNET_TOKENS = 384  # what the model was trained on
_FAR = 128  # tokens apart, from which on distances are one range


def write_quantised(kind: Kind, weights: bytes, path: Path) -> None:
    """Writes the int8 model under a private name, then renames it: no other process ever reads half of it."""
    model = _graph(_ENCODERS[kind](load(weights)))
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


def _graph(encoder: "_Encoder") -> onnx.ModelProto:
    """Returns token ids (1, n) → unit vector (1, dimensions): encoder, mean over the tokens, L2 normalisation.

    The second output, "tokens" (1, n, dimensions), is what the mean is taken of.

    There is no attention mask because texts are never padded: each is run alone (see `embedding`).
    """
    hidden = encoder.embeddings("ids")
    for layer in range(encoder.layers):
        hidden = encoder.layer(hidden, f"encoder.layer.{layer}", output="tokens" if layer == encoder.layers - 1 else "")
    mean = encoder.node("ReduceMean", hidden, encoder.constant(np.array([1])), keepdims=0)
    encoder.node("LpNormalization", mean, output="embedding", axis=-1, p=2)
    graph = helper.make_graph(
        encoder.nodes,
        "embedding",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, [1, "tokens"])],
        [
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, encoder.dimensions]),
            helper.make_tensor_value_info("tokens", TensorProto.FLOAT, [1, "tokens", encoder.dimensions]),
        ],
        encoder.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    return model


class _Encoder:
    """Collects the nodes and constants of a BERT encoder; every method returns the name of its output."""

    epsilon = 1e-12
    # What a layer's parts are called in the weights.
    query, key, value = "attention.self.query", "attention.self.key", "attention.self.value"
    attended, attended_norm = "attention.output.dense", "attention.output.LayerNorm"

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.dimensions = weights["embeddings.word_embeddings.weight"].shape[1]
        self.head_size = self.dimensions // _HEADS
        self.layers = sum(name.endswith(".intermediate.dense.bias") for name in weights)
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
        used = self.cut(self.positions(), self.length(ids), axes=[0])
        return self.norm(self.node("Add", self.node("Gather", words, ids), used), "embeddings.LayerNorm")

    def positions(self) -> NDArray[np.float32]:
        # Every token is of the first segment, so its segment vector is folded into the positions.
        segment = self.weights["embeddings.token_type_embeddings.weight"][0]
        added: NDArray[np.float32] = self.weights["embeddings.position_embeddings.weight"] + segment
        return added

    def length(self, ids: str) -> str:
        return self.node("Shape", ids, start=1, end=2)

    def cut(self, table: NDArray[np.float32], length: str, axes: list[int]) -> str:
        """Returns the beginning of a table, as long as the text on each of the axes."""
        ends = self.node("Concat", *[length] * len(axes), axis=0) if len(axes) > 1 else length
        starts = self.constant(np.zeros(len(axes), dtype=np.int64))
        return self.node("Slice", self.constant(table), starts, ends, self.constant(np.array(axes)))

    def layer(self, hidden: str, name: str, output: str = "") -> str:
        attended = self.dense(self.attention(hidden, name), f"{name}.{self.attended}")
        hidden = self.norm(self.node("Add", hidden, attended), f"{name}.{self.attended_norm}")
        inner = self.node("Gelu", self.dense(hidden, f"{name}.intermediate.dense"))
        outer = self.dense(inner, f"{name}.output.dense")
        return self.norm(self.node("Add", hidden, outer), f"{name}.output.LayerNorm", output)

    def attention(self, hidden: str, name: str) -> str:
        scaled = self.dense(hidden, f"{name}.{self.query}", scale=self.head_size**-0.5)
        query = self.heads(scaled, [0, 2, 1, 3])
        key = self.heads(self.dense(hidden, f"{name}.{self.key}"), [0, 2, 3, 1])
        value = self.heads(self.dense(hidden, f"{name}.{self.value}"), [0, 2, 1, 3])
        weights = self.node("Softmax", self.scores(self.node("MatMul", query, key)), axis=-1)
        context = self.node("Transpose", self.node("MatMul", weights, value), perm=[0, 2, 1, 3])
        return self.node("Reshape", context, self.constant(np.array([0, 0, self.dimensions])))

    def scores(self, likeness: str) -> str:
        """Returns how much each token looks at each other one, by how alike they are."""
        return likeness

    def heads(self, hidden: str, order: list[int]) -> str:
        split = self.node("Reshape", hidden, self.constant(np.array([0, 0, _HEADS, self.head_size])))
        return self.node("Transpose", split, perm=order)

    def dense(self, hidden: str, name: str, scale: float = 1.0) -> str:
        matrix = self.constant(self.weights[f"{name}.weight"].T * np.float32(scale))
        bias = self.constant(self.weights[f"{name}.bias"] * np.float32(scale))
        return self.node("Add", self.node("MatMul", hidden, matrix), bias)

    def norm(self, hidden: str, name: str, output: str = "") -> str:
        scale = self.constant(self.weights[f"{name}.weight"])
        bias = self.constant(self.weights[f"{name}.bias"])
        return self.node("LayerNormalization", hidden, scale, bias, output=output, axis=-1, epsilon=self.epsilon)


class _MPNet(_Encoder):
    """Adds to what tokens have of each other what their distance alone says; that is the same in all layers."""

    epsilon = 1e-5
    query, key, value = "attention.attn.q", "attention.attn.k", "attention.attn.v"
    attended, attended_norm = "attention.attn.o", "attention.LayerNorm"

    def embeddings(self, ids: str) -> str:
        table = np.ascontiguousarray(self.distances(_MPNET_TOKENS)[None])
        self.by_distance = self.cut(table, self.length(ids), axes=[2, 3])
        return super().embeddings(ids)

    def positions(self) -> NDArray[np.float32]:
        return self.weights["embeddings.position_embeddings.weight"][2:]  # the first two were for padding

    def distances(self, tokens: int) -> NDArray[np.float32]:
        """Returns what a distance adds (heads, tokens, tokens): to the left and to the right are 16 ranges of distances each."""
        by_range = self.weights["encoder.relative_attention_bias.weight"]
        place = np.arange(tokens)
        away = place[None, :] - place[:, None]
        half, exact = len(by_range) // 2, len(by_range) // 4
        far = np.log(np.maximum(np.abs(away), 1) / exact) / np.log(_FAR / exact) * (half - exact)
        ranges = np.where(np.abs(away) < exact, np.abs(away), np.minimum(exact + far.astype(np.int64), half - 1))
        added: NDArray[np.float32] = by_range[ranges + half * (away > 0)].transpose(2, 0, 1)
        return added

    def scores(self, likeness: str) -> str:
        return self.node("Add", likeness, self.by_distance)


_ENCODERS: dict[Kind, type[_Encoder]] = {"bert": _Encoder, "mpnet": _MPNet}
