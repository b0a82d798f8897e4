"""PDFium's functions called with plain addresses, for what is asked of every object or character of a page.

They keep the interpreter's lock: letting go of it and taking it again costs more than most of them do.
"""

import ctypes
from typing import Any


def by_address(function: Any, returned: Any, *more: Any) -> Any:  # noqa: ANN401 — types of ctypes
    """Returns the function with the address of its object as the first argument, and `more` types of arguments after it."""
    return ctypes.PYFUNCTYPE(returned, ctypes.c_void_p, *more)(_address_of(function))


def unchecked(function: Any, returned: Any) -> Any:  # noqa: ANN401 — types of ctypes
    """Returns the function with arguments that nobody checks, which takes half the time.

    Addresses must be given as `c_void_p`, never as numbers, of which only 32 bits would be passed on.
    """
    return ctypes.PYFUNCTYPE(returned)(_address_of(function))


def _address_of(function: Any) -> int:  # noqa: ANN401 — types of ctypes
    return ctypes.cast(function, ctypes.c_void_p).value or 0
