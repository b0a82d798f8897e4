"""How values are written on pages: dates by the viewer's language and zone, numbers, states, and changed words."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from babel.dates import format_date, format_datetime, format_timedelta
from babel.numbers import format_decimal
from jinja2 import Environment, pass_context
from jinja2.runtime import Context

from backend.console.viewer import Viewer
from backend.console.wording import N_, words

# The colour and shape of a state; the word always stands beside it.
STATES = {
    "approved": "good", "succeeded": "good", "active": "good", "returned": "good", "joined": "good", "correct": "good",
    "passed": "good", "not_passed": "bad",
    "in_review": "wait", "draft": "wait", "refused": "wait", "queued": "wait", "running": "wait", "waiting": "wait",
    "rejected": "bad", "failed": "bad", "denied": "bad", "aborted": "bad", "disabled": "bad", "wrong": "bad", "suspended": "bad",
}  # fmt: skip
WORDS = {
    "approved": N_("approved"), "succeeded": N_("succeeded"), "active": N_("active"), "in_review": N_("in review"),
    "draft": N_("draft"), "refused": N_("refused"), "queued": N_("waiting to begin"), "running": N_("under way"),
    "rejected": N_("rejected"), "failed": N_("failed"), "denied": N_("denied"), "aborted": N_("broken off"),
    "disabled": N_("disabled"), "superseded": N_("superseded"), "retired": N_("retired"), "cancelled": N_("cancelled"),
    "waiting": N_("waiting for a second person"), "joined": N_("done by two people"), "withdrawn": N_("withdrawn"),
    "lapsed": N_("lapsed"), "deleted": N_("deleted"), "suspended": N_("suspended"), "deleting": N_("being deleted"),
    "verbatim": N_("word for word"), "close": N_("in other words"), "judged": N_("confirmed by a judge"),
    "correct": N_("correct"), "wrong": N_("wrong"), "incomplete": N_("incomplete"), "helpful": N_("helpful"),
    "passed": N_("passed"), "answered": N_("answered, and should not be"), "other_document": N_("another document cited"),
    "other_words": N_("other words cited"), "not_asked": N_("could not be asked"), "model": N_("model"), "prompt": N_("prompt"),
    "embedder": N_("embedding model"), "weights": N_("weights"), "reranker": N_("reranking model"), "support": N_("support"),
    "chunking": N_("size of chunks"), "code": N_("code"), "index": N_("documents"),
    "expired": N_("expired"), "read": N_("read"), "write": N_("write"),
    "email": N_("e-mail addresses"), "iban": N_("account numbers"), "bic": N_("bank codes"), "card": N_("card numbers"),
    "phone": N_("telephone numbers"), "us_ssn": N_("US social security numbers"), "us_itin": N_("US tax numbers"),
    "de_tax_id": N_("German tax numbers"), "es_tax_id": N_("Spanish tax numbers"), "fr_tax_id": N_("French tax numbers"),
    "fr_social_security": N_("French social security numbers"), "it_tax_code": N_("Italian tax codes"),
}  # fmt: skip


def install(environment: Environment) -> None:
    """Gives templates their filters and functions."""
    environment.filters.update(
        moment=_moment,
        day=_day,
        date=_date,
        number=_number,
        score=_score,
        since=_since,
        lasting=_lasting,
        pretty=_pretty,
        size=_size,
        address=_address,
    )
    environment.filters.update(word=_word, translated=_translated, pairs=_pairs)
    environment.globals.update(state_of=lambda name: STATES.get(name, ""), query=_query)


@pass_context
def _moment(context: Context, when: datetime | str) -> str:
    """Returns a moment to the second, with its zone."""
    local = _parsed(when).astimezone(_viewer(context).zone)
    text = format_datetime(local, "d MMM y, HH:mm:ss", tzinfo=local.tzinfo, locale=_viewer(context).locale)
    return f"{text} {local:%Z}"


@pass_context
def _day(context: Context, when: datetime | None) -> str:
    """Returns a day. Institutions give validity in days, which begin in UTC; another moment is shown with its time."""
    viewer = _viewer(context)
    if when is None:
        return words(viewer.language).gettext(N_("no end"))
    at = when.astimezone(UTC)
    if at.time() == time(0):
        return str(format_date(at.date(), "d MMMM y", locale=viewer.locale))
    local = at.astimezone(viewer.zone)
    return f"{format_datetime(local, 'd MMMM y, HH:mm', tzinfo=local.tzinfo, locale=viewer.locale)} {local:%Z}"


@pass_context
def _date(context: Context, day: date) -> str:
    return str(format_date(day, "d MMMM y", locale=_viewer(context).locale))


@pass_context
def _since(context: Context, when: datetime) -> str:
    """Returns how long ago something was, or how soon it is."""
    gone = when - datetime.now(UTC)
    return str(format_timedelta(gone, add_direction=True, locale=_viewer(context).locale))


@pass_context
def _lasting(context: Context, seconds: float) -> str:
    """Returns how long something has lasted."""
    return str(format_timedelta(timedelta(seconds=seconds), locale=_viewer(context).locale))


@pass_context
def _number(context: Context, value: float) -> str:
    return str(format_decimal(value, locale=_viewer(context).locale))


@pass_context
def _score(context: Context, value: float) -> str:
    return str(format_decimal(value, "0.000", locale=_viewer(context).locale))


@pass_context
def _size(context: Context, octets: int) -> str:
    """Returns bytes in the unit that people read."""
    amount, unit = float(octets), "B"
    for unit in ("B", "KB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            break
        amount /= 1000
    return f"{format_decimal(round(amount, 1), locale=_viewer(context).locale)} {unit}"


def _viewer(context: Context) -> Viewer:
    viewer: Viewer = context["viewer"]
    return viewer


def _parsed(when: datetime | str) -> datetime:
    return datetime.fromisoformat(when) if isinstance(when, str) else when


@pass_context
def _word(context: Context, name: str) -> str:
    """Returns what a state is called; a name that has no word stands as it is."""
    return words(_viewer(context).language).gettext(WORDS[name]) if name in WORDS else name.replace("_", " ")


@pass_context
def _translated(context: Context, text: str) -> str:
    """Returns a sentence of a service in the viewer's language, if the catalogue has it; it is escaped as any text is."""
    return words(_viewer(context).language).gettext(text) if text else text


def _pretty(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS, default=str).decode()


def _address(text: object) -> str:
    return quote(str(text), safe="")


def _query(**given: Any) -> str:  # noqa: ANN401 - whatever stands in an address
    return urlencode({name: value for name, value in given.items() if value not in {None, ""}})


def _pairs(items: Iterable[object], value: str, said: str) -> list[tuple[object, object]]:
    """Returns the options of a choice."""
    return [(getattr(item, value), getattr(item, said)) for item in items]
