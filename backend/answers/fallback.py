"""Asks the first of several models that can answer."""

import time
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace

from backend.answers.generator import (
    Claim,
    FailedModel,
    Generation,
    Generator,
    GeneratorError,
    GeneratorTimeout,
    Prompt,
)

REST_SECONDS = 30.0


class Failures:
    """Remembers which models have just failed, so that nobody waits for them first."""

    def __init__(self) -> None:
        self._rests_until: dict[str, float] = {}

    def note(self, model: str) -> None:
        """Takes note of a failure."""
        self._rests_until[model] = time.monotonic() + REST_SECONDS

    def last(self, models: Sequence[Generator]) -> list[Generator]:
        """Returns the models in their order, those that have just failed behind the others."""
        now = time.monotonic()
        return sorted(models, key=lambda model: self._rests_until.get(model.name, now) > now)


class Fallback:
    """Several models as one generator: what the first cannot answer, the next is asked.

    A model that has begun to answer is not replaced: an answer is of one model.
    """

    def __init__(self, models: Sequence[Generator], failures: Failures) -> None:
        """Takes at least one model, in the order in which they are to be asked."""
        self._models = failures.last(models)
        self._failures = failures

    @property
    def name(self) -> str:
        """The model that is asked first."""
        return self._models[0].name

    @property
    def others(self) -> tuple[str, ...]:
        """The models that are asked after it."""
        return tuple(model.name for model in self._models[1:])

    @property
    def parameters(self) -> Mapping[str, str | int]:
        """The parameters of the model that is asked first."""
        return self._models[0].parameters

    @property
    def longest_answer(self) -> int:
        """The most tokens that any of them writes."""
        return max(model.longest_answer for model in self._models)

    async def generate(self, prompt: Prompt) -> Generation:
        """Returns the answer of the first model that has one; raises what the last one raised."""
        failed: list[FailedModel] = []
        for model, is_last in self._in_turn():
            try:
                return replace(await model.generate(prompt), failed=tuple(failed))
            except GeneratorError as error:
                failed.append(self._failed(model, error))
                if is_last:
                    raise
        raise AssertionError

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Claim | Generation]:
        """Yields the sentences and the generation of the first model that answers; raises what the last one raised."""
        failed: list[FailedModel] = []
        for model, is_last in self._in_turn():
            begun = False
            try:
                async with aclosing(model.stream(prompt)) as made:
                    async for item in made:
                        begun = True
                        yield replace(item, failed=tuple(failed)) if isinstance(item, Generation) else item
            except GeneratorError as error:
                failed.append(self._failed(model, error))
                if begun or is_last:
                    raise
            else:
                return

    def _in_turn(self) -> Iterator[tuple[Generator, bool]]:
        last = len(self._models) - 1
        return ((model, position == last) for position, model in enumerate(self._models))

    def _failed(self, model: Generator, error: GeneratorError) -> FailedModel:
        self._failures.note(model.name)
        return FailedModel(model.name, timed_out=isinstance(error, GeneratorTimeout))
