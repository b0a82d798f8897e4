"""In which language, and in which time zone, somebody reads pages."""

from dataclasses import dataclass
from functools import cache
from zoneinfo import ZoneInfo

from babel import Locale, negotiate_locale
from fastapi import Request

LANGUAGES = {"en": "English", "de": "Deutsch"}
LANGUAGE_COOKIE, ZONE_COOKIE = "language", "zone"  # preferences; a script of every page sets the second


@dataclass(frozen=True, slots=True)
class Viewer:
    """The language, and the zone by which times are shown."""

    language: str
    zone: ZoneInfo

    @property
    def locale(self) -> Locale:
        """How dates and numbers are written."""
        return _locale(self.language)


@cache
def _locale(language: str) -> Locale:
    return Locale.parse({"en": "en_GB"}.get(language, language))


def viewer_of(request: Request) -> Viewer:
    """Returns what the viewer chose, else what the browser asks for, else English and UTC."""
    return Viewer(_language(request), _zone(request.cookies.get(ZONE_COOKIE, "")))


def _language(request: Request) -> str:
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    if chosen in LANGUAGES:
        return chosen
    asked = [part.split(";")[0].strip() for part in request.headers.get("accept-language", "")[:200].split(",")]
    return negotiate_locale([name for name in asked if name], list(LANGUAGES), sep="-") or "en"


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name[:64].replace("%2F", "/")) if name else ZoneInfo("UTC")
    except (ValueError, OSError):  # also ZoneInfoNotFoundError, which is a KeyError
        return ZoneInfo("UTC")
    except KeyError:
        return ZoneInfo("UTC")
