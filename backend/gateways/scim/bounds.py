"""How much one request may ask for. The protocol's library goes through all members of a group for each operation on it.

That is done in a thread, so that nobody else waits for it.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread

from backend.errors import TooLarge

MOST_OPERATIONS = 500
LONGEST_PATH = 1_000  # characters
MOST_STEPS = 500_000  # operations times members, which takes about a second
_AT_ONCE = CapacityLimiter(1)

T = TypeVar("T")


def check_operations(body: Mapping[str, Any], members: int = 0) -> None:
    """Raises TooLarge for more operations, on so many members and those that they name, than a provider needs at once."""
    operations = body.get("Operations")
    if not isinstance(operations, list):
        return
    if len(operations) > MOST_OPERATIONS:
        message = f"At most {MOST_OPERATIONS} operations are taken at once."
        raise TooLarge(message)
    if any(
        len(str(operation.get("path") or "")) > LONGEST_PATH for operation in operations if isinstance(operation, dict)
    ):
        message = f"A path has at most {LONGEST_PATH} characters."
        raise TooLarge(message)
    if len(operations) * (members + sum(map(_named, operations))) > MOST_STEPS:
        message = "These are too many operations for a group of this size: send fewer at once."
        raise TooLarge(message)


def _named(operation: object) -> int:
    """Returns how many values an operation names."""
    value = operation.get("value") if isinstance(operation, dict) else None
    if isinstance(value, dict):
        return max((len(part) for part in value.values() if isinstance(part, list)), default=1)
    return len(value) if isinstance(value, list) else 1


async def aside(work: Callable[..., T], *arguments: object) -> T:
    """Returns what a function returns that may take a second."""
    return await to_thread.run_sync(work, *arguments, limiter=_AT_ONCE)
