"""A real, small language model behind a real server: it says much that is untrue, and nothing of it is shown."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from backend.answers.generator import NOT_SUPPORTED, UNSUPPORTED, Claim, Generation, GeneratorTimeout
from backend.answers.openai_compatible import OpenAICompatibleGenerator
from backend.answers.prompt import REFUSAL, render
from backend.demo import smollm2_server
from backend.demo.small_model import GRAMMAR, serving
from backend.settings.answers import ModelServerSettings
from tests.answers.grounding_model import grounding
from tests.answers.passages import passages

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(
        not smollm2_server.is_installed(),
        reason="needs the packages of requirements-models.lock: make test-models",
    ),
]

TEXT = "An outgoing domestic wire costs $25."
PROMPT = render("What does an outgoing domestic wire cost?", passages(TEXT))
PATIENCE = 240.0  # seconds; on one busy core the prompt alone takes half a minute


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving() as server:
        yield server.url


@pytest.fixture
async def generators(url: str) -> AsyncIterator[Any]:
    made: list[OpenAICompatibleGenerator] = []

    def generator(
        *, grammar: str | None = None, timeout: float = PATIENCE, tokens: int = 40
    ) -> OpenAICompatibleGenerator:
        made.append(
            OpenAICompatibleGenerator(
                ModelServerSettings(
                    name="smollm2", url=url, timeout=timeout, max_tokens=tokens,
                    extra_body={"grammar": grammar} if grammar else {},
                ),
                grounding(), max_retries=0,
            )
        )  # fmt: skip
        return made[-1]

    yield generator
    for one in made:
        await one._client.close()


def choosing(*amounts: str) -> str:
    """Returns a grammar that lets the model choose an amount, and makes it cite the passage."""
    quoted = " | ".join(f'"{amount}"' for amount in amounts)
    return f'root ::= "An outgoing domestic wire costs $" ({quoted}) " [1]."'


async def test_a_model_that_a_grammar_makes_cite_answers(generators: Any) -> None:
    generation = await generators(grammar=choosing("25")).generate(PROMPT)
    assert [claim.sentence for claim in generation.claims] == [TEXT]
    assert generation.claims[0].quotes[0].text == TEXT
    assert generation.completion == "An outgoing domestic wire costs $25 [1]."


async def test_what_the_model_cannot_but_say_wrongly_is_dropped(generators: Any) -> None:
    generation = await generators(grammar=choosing("26", "45", "99")).generate(PROMPT)
    assert (generation.claims, generation.refusal) == ((), UNSUPPORTED)
    assert generation.completion
    assert len(generation.dropped) == 1


async def test_a_model_left_to_itself_shows_only_what_the_passage_says(generators: Any) -> None:
    generation = await generators().generate(PROMPT)
    assert generation.completion
    assert all(quote.text in TEXT for claim in generation.claims for quote in claim.quotes)
    assert all("$25" in claim.sentence for claim in generation.claims)


async def test_a_stream_gives_each_sentence_after_its_check_and_then_the_generation(generators: Any) -> None:
    grammar = 'root ::= "An outgoing domestic wire costs $25 [1]. An outgoing domestic wire costs $99 [1]."'
    parts = [part async for part in generators(grammar=grammar, tokens=80).stream(PROMPT)]
    assert [part.sentence for part in parts if isinstance(part, Claim)] == [TEXT]
    assert isinstance(parts[-1], Generation)
    assert parts[-1].completion.endswith("$99 [1].")


async def test_the_demo_s_grammar_makes_it_cite_or_refuse(generators: Any) -> None:
    said = (await generators(grammar=GRAMMAR, tokens=80).generate(PROMPT)).completion
    assert said == REFUSAL or "[" in said


async def test_the_model_s_refusal_is_a_refusal(generators: Any) -> None:
    generation = await generators(grammar=f'root ::= "{REFUSAL}"').generate(PROMPT)
    assert (generation.claims, generation.refusal) == ((), NOT_SUPPORTED)


async def test_a_model_that_takes_too_long_is_given_up_and_the_next_question_is_answered(generators: Any) -> None:
    with pytest.raises(GeneratorTimeout):
        await generators(timeout=0.05).generate(PROMPT)
    assert (await generators(grammar=choosing("25")).generate(PROMPT)).claims


async def test_a_question_that_is_taken_back_frees_the_model(generators: Any) -> None:
    endless = generators(tokens=1000, grammar="root ::= [a-z] root")  # which never may end
    abandoned = asyncio.create_task(endless.generate(PROMPT))
    await asyncio.sleep(0.2)
    abandoned.cancel()
    with pytest.raises(asyncio.CancelledError):
        await abandoned
    assert (await asyncio.wait_for(generators(grammar=choosing("25")).generate(PROMPT), PATIENCE)).claims
