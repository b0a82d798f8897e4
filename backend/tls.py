"""Certificate authorities, read once: a service has a dozen clients, and reading some hundred certificates takes each 50 ms."""

import os
import ssl
from collections.abc import Callable
from functools import lru_cache


def shared(make: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """Returns what `make` makes of the authorities that this process trusts; the same one until the environment names others.

    Each library makes its own: they differ in which authorities they trust where the operator names none.
    """
    return _read(make, os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@lru_cache(maxsize=8)
def _read(make: Callable[[], ssl.SSLContext], _file: str | None, _folder: str | None) -> ssl.SSLContext:
    return make()
