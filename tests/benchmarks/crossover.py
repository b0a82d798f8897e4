"""From how many chunks on a tenant's own indexes cost less than comparing all of them."""

from collections.abc import Sequence

from backend.retrieval import search
from backend.retrieval.stages import Question
from tests.benchmarks.cost import cpu_seconds
from tests.benchmarks.platforms import Platform, Subject
from tests.benchmarks.synthetic import Progress


async def crossover(
    platform: Platform, small: Subject, medium: Subject, asked: int, progress: Progress
) -> dict[str, float]:
    """Returns the server's processor milliseconds of a hybrid search that compares all, and of one by the indexes.

    Comparing costs the same for every chunk, so the line through two sizes says where it meets the indexes' cost.
    """
    questions = [platform.question(k=5) for _ in range(asked)]
    measured = {}
    for number, (name, subject, exact) in enumerate(
        (("all, small", small, True), ("all, medium", medium, True), ("indexes, medium", medium, False))
    ):
        progress("comparing all against the indexes", number, 3)
        measured[name] = await _milliseconds(platform, subject, questions, exact=exact)
    progress("comparing all against the indexes", 3, 3)
    each = (measured["all, medium"] - measured["all, small"]) / (medium.chunks - small.chunks)
    return {**measured, "chunks": small.chunks + (measured["indexes, medium"] - measured["all, small"]) / each}


async def _milliseconds(platform: Platform, subject: Subject, questions: Sequence[Question], *, exact: bool) -> float:
    caller = subject.caller()
    async with platform.tenancy.transaction(caller.claims()) as connection:
        coverage = await search.survey(connection, caller, questions[0].request, questions[0].weights)
        await connection.execute(search.queries.plan_for_values)
        started = cpu_seconds(connection.get_server_pid())
        for question in questions:
            if exact:
                await search._exact(connection, caller, question, coverage, question.request.k)
            else:
                await search.search(connection, caller, question, coverage, question.request.k)
        return (cpu_seconds(connection.get_server_pid()) - started) / len(questions) * 1000
