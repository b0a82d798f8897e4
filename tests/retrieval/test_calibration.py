"""How much words count beside another model's meaning is measured on a tenant's own texts, said, and left in its log."""

import asyncio
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from backend.cli import app
from backend.operation import calibration as calibrating
from backend.operation.reembedding import reembed
from backend.operation.service import OperatorError
from backend.personal_data.pseudonyms import PseudonymKeys
from backend.retrieval.calibration import Calibration, SampledText, calibrate, longest_read
from backend.retrieval.embedding.embedder import EmbedderUnavailable, LocalEmbedder, Vectors, unit
from backend.retrieval.embedding.minilm import MINILM
from backend.retrieval.weights import weights_of
from tests.documents.test_personal_data import ACCOUNT, make
from tests.service import Secrets, Service, Tenant

pytestmark = pytest.mark.anyio

KEYS = PseudonymKeys("a secret of these tests")
SUBJECTS = ["wire", "card", "loan", "fee", "check", "deposit", "branch", "account", "transfer", "statement"]
COUNTED = 80


def text_of(number: int) -> str:
    """Returns a text whose middle sentence shares a rare word with it, and words with the texts beside it.

    How many tildes it has says which one it is; they are no words.
    """
    mark, word, other = "~" * (number + 1), f"zq{number}x", SUBJECTS[number % 10]
    around = f"The {other} of {word} is described at length where customers of each branch can read it every day"
    return f"{around}. {mark} Nobody pays for the {other} called {word} before noon. {around} again and again {mark}."


class MarkedEmbedder:
    """A model that knows each text by its tildes, or, without `understands`, draws its vector from a hash."""

    model = "marked"
    dimensions = 256
    in_process = False
    max_tokens = 512

    def __init__(self, *, understands: bool, reads: int = 10**6, takes: int = 10**6) -> None:
        self.understands, self.reads, self.takes = understands, reads, takes
        self.given: list[str] = []

    def count_each(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    async def embed_query(self, text: str) -> Vectors:
        return self.vector(text)

    async def embed_passages(self, texts: Sequence[str], _titles: Sequence[str] = ()) -> Vectors:
        if max(self.count_each(texts)) > self.takes:
            raise EmbedderUnavailable
        self.given += texts
        return np.stack([self.vector(text) for text in texts])

    def vector(self, text: str) -> Vectors:
        marks = re.search("~+", text)
        read = marks[0] if self.understands and marks else " ".join(text.split()[: self.reads])
        seed = int.from_bytes(hashlib.sha256(read.encode()).digest()[:8])
        return unit(np.random.default_rng(seed).standard_normal(self.dimensions).astype(np.float32))


async def measured(embedder: MarkedEmbedder, texts: Sequence[str]) -> Calibration | None:
    return await calibrate([SampledText(text, "", "english", embedder.vector(text)) for text in texts], embedder)


async def test_words_count_little_beside_a_model_that_understands_and_much_beside_one_that_does_not() -> None:
    texts = [text_of(number) for number in range(COUNTED)]
    # What a question says stands elsewhere alone, word for word: only the model knows which text it was taken out of.
    misleading = [*texts, *(text.split(". ")[1].lstrip("~") for text in texts)]
    understanding = await measured(MarkedEmbedder(understands=True), misleading)
    guessing = await measured(MarkedEmbedder(understands=False), texts)
    assert understanding is not None
    assert guessing is not None
    assert (understanding.questions, understanding.texts) == (COUNTED, 2 * COUNTED)
    assert understanding.weight < 0.02 < guessing.weight
    assert understanding.found[0.0] == 1.0
    assert guessing.found[0.04] > 0.7
    assert guessing.found[0.0] < 0.2


async def test_too_few_texts_tell_nothing() -> None:
    assert await measured(MarkedEmbedder(understands=True), [text_of(number) for number in range(49)]) is None
    assert (
        await measured(MarkedEmbedder(understands=True), ["One sentence alone is no text to calibrate on."] * 99)
        is None
    )


@pytest.mark.parametrize(("reads", "takes", "expected"), [(700, 10**6, 512), (10**6, 300, 256), (10**6, 10**6, None)])
async def test_what_a_model_does_not_read_is_found_out(reads: int, takes: int, expected: int | None) -> None:
    assert await longest_read(MarkedEmbedder(understands=False, reads=reads, takes=takes)) == expected


def test_a_weight_that_nobody_measured_for_a_model_is_told() -> None:
    with capture_logs() as logged:
        weights_of("another-model")
        weights_of("another-model", 0.005)
        weights_of(MINILM.name)
    assert [(line["event"], line["model"]) for line in logged] == [("embedding model not calibrated", "another-model")]


def test_a_weight_that_was_calibrated_for_another_model_is_not_used() -> None:
    with capture_logs() as logged:
        assert weights_of(MINILM.name, 0.005, calibrated="another-model") == weights_of(MINILM.name)
    assert [line["event"] for line in logged] == ["lexical weight is another model's"]
    assert weights_of(MINILM.name, 0.005, calibrated=MINILM.name).lexical == 0.005


def quietly(step: str, done: int, total: int) -> None:
    """Takes progress and shows none."""


@pytest.fixture(scope="module")
async def filled(service: Service) -> Tenant:
    tenant = await service.create_tenant()
    await make(service, tenant, "mask", "mask")
    chunks = [
        {
            "doc_id": f"text-{number}", "source_type": "policy", "collection": "default" if number % 2 else "mask",
            "chunk_text": text_of(number) + f" The account is {ACCOUNT}.",
        }
        for number in range(COUNTED)
    ]  # fmt: skip
    answer = await service.post("/ingest/batch", tenant, "editor", {"chunks": chunks})
    assert answer.status_code == 201, answer.text
    return tenant


async def test_a_tenants_texts_calibrate_another_model_and_its_log_tells_what_was_found(
    service: Service, filled: Tenant
) -> None:
    owner_url, embedder = service.database.owner_url, MarkedEmbedder(understands=False)
    with pytest.raises(OperatorError, match="affidavit reembed"):
        await calibrating.calibrate(owner_url, filled.id, embedder, KEYS, quietly)
    await reembed(owner_url, filled.id, embedder, KEYS, quietly)
    embedder.given.clear()
    profile = await calibrating.calibrate(owner_url, filled.id, embedder, KEYS, quietly)
    assert (profile.model, profile.measured.questions, profile.measured.texts) == ("marked", COUNTED, COUNTED)
    assert profile.measured.weight > 0.02
    event = (await service.events(filled, action="tenant:changed", limit=1))[0]
    assert event["event"]["calibrated"] == {
        "model": "marked", "questions": COUNTED, "lexical_micros": round(profile.measured.weight * 1_000_000),
    }  # fmt: skip
    # Of the collections, every other text is in the one that masks.
    assert [ACCOUNT in text for text in embedder.given if "The account is" in text].count(True) == COUNTED // 2


async def test_the_command_says_what_to_set(
    service: Service, filled: Tenant, run_secrets: Secrets, model_home: Path
) -> None:
    environment = {
        "AFFIDAVIT_HOME": str(model_home), "AFFIDAVIT_DATABASE_URL": service.database.owner_url,
        "AFFIDAVIT_RUNTIME_DATABASE_URL": service.database.runtime_url,
        "AFFIDAVIT_CONTEXT_KEY": run_secrets.context_key, "AFFIDAVIT_PAYLOAD_KEY": run_secrets.payload_key,
    }  # fmt: skip
    other = await service.create_tenant()
    refused = await asyncio.to_thread(CliRunner().invoke, app, ["calibrate", other.slug], env=environment)
    assert refused.exit_code == 1
    assert "add documents" in " ".join(refused.output.split())
    await reembed(service.database.owner_url, filled.id, LocalEmbedder.load(model_home / "models", 1), KEYS, quietly)
    done = await asyncio.to_thread(CliRunner().invoke, app, ["calibrate", filled.slug], env=environment)
    assert done.exit_code == 0, done.output
    assert re.search(
        rf"What fits {MINILM.name}:\s+AFFIDAVIT_LEXICAL_WEIGHT=0\.\d+\s+AFFIDAVIT_LEXICAL_WEIGHT_MODEL={MINILM.name}\n",
        done.output,
    ), done.output
    assert "AFFIDAVIT_EMBEDDINGS_MAX_TOKENS" not in done.output  # the built-in model knows what it reads
