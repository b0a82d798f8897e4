"""Takes every kind of key one step further; between two steps the processes are replaced."""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from backend.operation.exchange.folder import KeyKind, SecretsFolder, now
from backend.operation.exchange.kinds import (
    CheckpointKeys,
    ContextKeys,
    Exchangeable,
    PayloadKeys,
    SearchKeys,
    TokenKeys,
)
from backend.operation.exchange.passwords import DatabasePasswords
from backend.settings import Settings


class Step(StrEnum):
    """What happens to the new key of a kind."""

    LEARN = "learn"
    WRITE = "write"
    FORGET = "forget"


_NEXT = {None: Step.LEARN, Step.LEARN: Step.WRITE, Step.WRITE: Step.FORGET}


def next_step(folder: SecretsFolder, name: str) -> Step:
    """Returns which step of a kind comes next."""
    last = folder.record().get(name, {}).get("step")
    return _NEXT[Step(last) if last else None]


def under_way(folder: SecretsFolder) -> list[KeyKind]:
    """Returns the kinds whose exchange has begun and is not over."""
    return [kind for kind in KeyKind if next_step(folder, kind) is not Step.LEARN]


def all_kinds(settings: Settings) -> Mapping[str, Exchangeable]:
    """Returns every kind by name."""
    kinds = (
        ContextKeys(),
        PayloadKeys(settings),
        SearchKeys(settings),
        TokenKeys(),
        CheckpointKeys(),
        DatabasePasswords(),
    )
    return {kind.name: kind for kind in kinds}


async def advance(folder: SecretsFolder, settings: Settings, names: Iterable[str]) -> dict[str, Step]:
    """Takes the next step of each kind, and returns which it was; raises OperatorError, and can then be run again.

    What comes after a step that failed is not begun. What came before it stays taken.
    """
    taken, kinds = dict[str, Step](), all_kinds(settings)
    for name in names:
        kind, step = kinds[name], next_step(folder, name)
        if step is Step.LEARN:
            await kind.learn(folder)
            folder.note(name, step=step, stepped=now())
        elif step is Step.WRITE:
            await kind.write(folder)
            folder.note(name, step=step, stepped=now(), made=now())
        else:
            await kind.forget(folder)
            folder.note(name, step=None, stepped=None)
            folder.over(name)
        taken[name] = step
    return taken
