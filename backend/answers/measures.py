"""What is counted of answers: what became of questions, what supports sentences, what a model server spent."""

from backend import metrics
from backend.answers.generator import Generation
from backend.audit.actions.answers import TokensUsed


def count(generation: Generation, used: TokensUsed) -> None:
    """Counts one answer whose record is committed; `used` is what the record says of tokens and their price."""
    metrics.ANSWERS.labels("refused" if generation.refusal else "answered", generation.refusal or "none").inc()
    for claim in generation.claims:
        metrics.SENTENCES.labels(claim.support).inc()
    metrics.SENTENCES.labels("dropped").inc(len(generation.dropped))
    # By the model that is configured: what a server calls itself is its own invention.
    model = generation.model_requested
    metrics.TOKENS.labels(model, "prompt").inc(used.prompt_tokens)
    metrics.TOKENS.labels(model, "completion").inc(used.completion_tokens)
    metrics.COST.labels(model).inc(used.cost_micros or 0)


def count_abortion(reason: str) -> None:
    """Counts a question that was not answered for a reason such as `client:left`."""
    metrics.ANSWERS.labels("aborted", reason.partition(":")[0]).inc()
