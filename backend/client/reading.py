"""Reads what the service returns into the classes of `models`."""

import types
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from functools import cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints
from uuid import UUID

T = TypeVar("T")


_hints: Callable[[Any], dict[str, Any]] = cache(get_type_hints)


def read(kind: type[T], told: Mapping[str, Any]) -> T:
    """Returns one object; members that the class does not know are left out, so that a newer service can say more."""
    hints = _hints(kind)
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: _value(hints[name], value) for name, value in told.items() if name in known})


def _value(hint: Any, value: Any) -> Any:  # noqa: ANN401 - any JSON
    if value is None:
        return None
    if isinstance(hint, types.UnionType):
        (hint,) = (option for option in get_args(hint) if option is not types.NoneType)
    if get_origin(hint) is tuple:
        return tuple(_value(get_args(hint)[0], each) for each in value)
    if is_dataclass(hint):
        return read(hint, value)  # type: ignore[arg-type]
    if hint is UUID:
        return UUID(value)
    return datetime.fromisoformat(value) if hint is datetime else value
