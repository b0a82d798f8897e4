"""How much one request may ask for. The protocol's library goes through all members of a group for each operation on it.

That is done in a thread, so that nobody else waits for it.
"""

from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread

from backend.errors import TooLarge

MOST_OPERATIONS = 500
LONGEST_PATH = 1_000  # characters
MOST_STEPS = 500_000  # members that are looked at, once for each operation or condition; at most some three seconds
_AT_ONCE = CapacityLimiter(1)
_LOOKING_ONCE = frozenset({"add", "replace"})  # whatever they name

T = TypeVar("T")


def check_operations(body: Mapping[str, Any], members: int = 0) -> None:
    """Raises TooLarge for more operations, on so many members and those that they name, than a provider needs at once."""
    # However the list is called: to the protocol, "operations" is "Operations", and of two the library takes one.
    lists = [value for value in body.values() if isinstance(value, list)]
    operations = [_named_small(each) for each in chain.from_iterable(lists) if isinstance(each, dict)]
    if len(operations) > MOST_OPERATIONS:
        message = f"At most {MOST_OPERATIONS} operations are taken at once."
        raise TooLarge(message)
    if any(len(_path(operation)) > LONGEST_PATH for operation in operations):
        message = f"A path has at most {LONGEST_PATH} characters."
        raise TooLarge(message)
    named = [_listed(operation.get("value")) for operation in operations]
    if (members + sum(named)) * sum(map(_looks, operations, named)) > MOST_STEPS:
        message = "These are too many operations for a group of this size: send fewer at once."
        raise TooLarge(message)


def _named_small(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name.lower(): value for name, value in attributes.items()}


def _path(operation: Mapping[str, Any]) -> str:
    return str(operation.get("path") or "")


def _listed(value: object) -> int:
    """Returns how many elements the lists in a value hold, one at least."""
    count, unread = 0, [value]
    while unread:  # no recursion: a value may be nested as deep as JSON can
        one = unread.pop()
        if isinstance(one, list):
            count += len(one)
            unread += one
        elif isinstance(one, dict):
            unread += one.values()
    return max(count, 1)


def _looks(operation: Mapping[str, Any], named: int) -> int:
    """Returns how often the library looks at each member: for every condition of a path, and every value to be removed."""
    conditions = max(_path(operation).count(" "), 1)  # each has a space at least
    return conditions if str(operation.get("op")).lower() in _LOOKING_ONCE else conditions * named


async def aside(work: Callable[..., T], *arguments: object) -> T:
    """Returns what a function returns that may take a second."""
    return await to_thread.run_sync(work, *arguments, limiter=_AT_ONCE)
