"""PDFium's functions called with plain addresses, for what is asked of every object or character of a page."""

import ctypes
from typing import Any


def by_address(function: Any, returned: Any, *more: Any) -> Any:  # noqa: ANN401 — types of ctypes
    """Returns the function with the address of its object as the first argument, and `more` types of arguments after it."""
    prototype = ctypes.CFUNCTYPE(returned, ctypes.c_void_p, *more)
    return prototype(ctypes.cast(function, ctypes.c_void_p).value or 0)
