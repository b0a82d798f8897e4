"""Which code and which configuration a record was made by."""

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import orjson
from pydantic import SecretStr

from backend.settings import Settings

try:
    VERSION = version("affidavit")
except PackageNotFoundError:  # run from a checkout that was not installed
    VERSION = "0.2.0"

_DIGITS = 16
_SOURCES = {".py", ".sql", ".txt"}


def provenance(settings: Settings) -> Mapping[str, str]:
    """Returns what every envelope says of the service that wrote it: `code` and `configuration`."""
    return {"code": code(), "configuration": configuration(settings)}


@cache
def code() -> str:
    """Returns the version and the head of a SHA-256 over the package's sources, in the order of their paths."""
    folder, digest = Path(__file__).parent, sha256()
    for path in sorted(path for path in folder.rglob("*") if path.suffix in _SOURCES):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode() + content)
    return f"{VERSION}+{digest.hexdigest()[:_DIGITS]}"


def configuration(settings: Settings) -> str:
    """Returns the head of a SHA-256 over all settings but secrets; of those it tells only whether they are set."""
    plain = settings.model_dump(mode="json")
    secret = {name: True for name in plain if isinstance(getattr(settings, name), SecretStr)}
    return sha256(orjson.dumps(plain | secret, option=orjson.OPT_SORT_KEYS)).hexdigest()[:_DIGITS]
