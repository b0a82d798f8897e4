"""A service that outlives the examples of a property-based test, and the event loop in which it runs."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from backend.embedded_postgres import EmbeddedPostgres
from tests.service import Secrets, Service, cloned_database, running, settings_for

Result = TypeVar("Result")


class Everyone:
    """The service and its event loop; each example makes tenants of its own."""

    def __init__(self, loop: asyncio.Runner, service: Service) -> None:
        self._loop = loop
        self.service = service
        self.tenants = 0

    def run(self, awaitable: Coroutine[Any, Any, Result]) -> Result:
        return self._loop.run(awaitable)

    def hold(self, machine: type[RuleBasedStateMachine], *, examples: int, steps: int) -> None:
        """Runs a state machine, always through the same examples; raises what one of them finds."""
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=examples, stateful_step_count=steps, deadline=None, derandomize=True,
                phases=[Phase.generate], suppress_health_check=list(HealthCheck),
            ),
        )  # fmt: skip


@contextmanager
def everyone(postgres: EmbeddedPostgres, secrets: Secrets, home: Path) -> Iterator[Everyone]:
    """Runs the service on a database of its own until the block ends."""

    @asynccontextmanager
    async def serving() -> AsyncIterator[Service]:
        async with (
            cloned_database(postgres) as database,
            running(settings_for(database, secrets, home), database) as service,
        ):
            yield service

    with asyncio.Runner() as loop:
        started: asyncio.Future[Service] = loop.get_loop().create_future()
        done = asyncio.Event()

        async def serve() -> None:  # in one task, since some of what starts must end in the task that started it
            async with serving() as service:
                started.set_result(service)
                await done.wait()

        async def begin() -> Service:
            await asyncio.wait([task, started], return_when=asyncio.FIRST_COMPLETED)
            if not started.done():
                await task  # which raises
            return started.result()

        async def end() -> None:
            done.set()
            await task

        task = loop.get_loop().create_task(serve())
        try:
            yield Everyone(loop, loop.run(begin()))
        finally:
            loop.run(end())
