"""Words that say nothing of what a text is about, read from `data/stop_words.toml`, which says why each use has its own."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

RANKING, SEARCHING, SUBJECTS = "ranking", "searching", "subjects"


@cache
def stop_words(use: str, language: str = "english") -> frozenset[str]:
    """Returns the words that are left out for one of the uses above; none for a language without a list."""
    return frozenset(_lists()[use].get(language, "").split())


@cache
def _lists() -> Mapping[str, Mapping[str, str]]:
    return tomllib.loads(files("backend.language").joinpath("data", "stop_words.toml").read_text(encoding="utf-8"))
