"""What a run has to do: what a source says that it holds, compared with what it held when it was last looked at."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from backend.documents.parsing.errors import ParseError
from backend.documents.parsing.filenames import safe_filename
from backend.documents.parsing.formats import declared_format
from backend.sources.connector import Listing, Seen, SourceFailed

MOST_KEY_CHARACTERS = 1_000
_MOST_DOC_ID_CHARACTERS = 256
_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)
_FEW = 10
"""So many files may be gone at once from any source; of more, no more than half of what it held."""


@dataclass(frozen=True, slots=True)
class KnownItem:
    """What a source held under a key."""

    key_sha256: bytes
    key: str | None
    path: str | None
    doc_id: str | None
    tag: str | None
    content_sha256: bytes | None
    document_id: UUID | None
    state: str
    reason: str | None
    changed_at: datetime


@dataclass(slots=True)
class Plan:
    """What is to be looked at, and what is known without."""

    to_check: list[tuple[Seen, KnownItem | None]] = field(default_factory=list)
    moved: list[tuple[KnownItem, Seen]] = field(default_factory=list)
    gone: list[KnownItem] = field(default_factory=list)
    still_gone: list[UUID] = field(default_factory=list)  # documents of what was gone before
    refused: list[tuple[Seen, str]] = field(default_factory=list)
    unchanged: int = 0
    held: int = 0  # files that became documents and were there

    def check_gone(self) -> None:
        """Raises SourceFailed when so much is gone that the source itself may be what is wrong.

        Files that never became documents do not count: whoever may drop some there could stop the source for good.
        """
        gone = sum(item.document_id is not None for item in self.gone)
        if gone > max(_FEW, self.held // 2):
            detail = f"{gone} of {self.held} files are gone. Nothing was changed; run it again and accept that."
            raise SourceFailed("too_many_gone", detail)


def key_hash(key: str) -> bytes:
    """Returns by what a key is known, also when it is forgotten."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).digest()


def doc_id_of(path: str) -> str:
    """Returns what a document is called that comes of a path: the path, or as much of it as fits, told apart by a hash."""
    if len(path) <= _MOST_DOC_ID_CHARACTERS:
        return path
    digest = hashlib.sha256(path.encode(errors="surrogatepass")).hexdigest()[:16]
    return f"…{path[-(_MOST_DOC_ID_CHARACTERS - 18) :]} {digest}"


def planned(listing: Listing, items: Sequence[KnownItem], most_bytes: int) -> Plan:
    """Returns what a listing means for what is known."""
    plan = Plan(refused=list(listing.refused))
    known = {item.key_sha256: item for item in items}
    plan.held = sum(item.document_id is not None and item.state in {"present", "refused"} for item in items)
    listed: dict[bytes, Seen] = {}
    for seen in listing.seen:
        if (problem := _problem(seen, most_bytes)) is not None:
            plan.refused.append((seen, problem))
        listed.setdefault(key_hash(seen.key), seen)
        if problem is None and listed[key_hash(seen.key)] is seen:
            _compare(plan, seen, known.get(key_hash(seen.key)))
    gone = set(known) - set(listed) if listing.gone is None else {key_hash(key) for key in listing.gone} - set(listed)
    missing = [item for item in items if item.state == "gone" and item.key_sha256 not in listed]
    plan.still_gone += [item.document_id for item in missing if item.document_id is not None]
    plan.gone += [known[key] for key in sorted(gone & set(known)) if known[key].state in {"present", "refused"}]
    # What is new first, then what was looked at longest ago: runs that end early get round to everything.
    plan.to_check.sort(key=lambda one: one[1].changed_at if one[1] is not None else _BEFORE_ALL)
    return plan


def renamed_by_tag(plan: Plan) -> Mapping[str, KnownItem]:
    """Returns what probably has another name now, by its new key: as far as that is told without reading it."""
    gone = {item.tag: item for item in plan.gone if item.tag is not None}
    return {seen.key: gone[seen.tag] for seen, item in plan.to_check if item is None and seen.tag in gone}


def _compare(plan: Plan, seen: Seen, item: KnownItem | None) -> None:
    if item is not None and item.state == "erased":
        plan.refused.append((seen, "erased"))
    elif item is None or item.state == "gone" or seen.tag is None or seen.tag != item.tag:
        plan.to_check.append((seen, item))
    elif item.state == "refused":
        plan.refused.append((seen, item.reason or "refused"))
    else:
        plan.unchanged += 1
        if seen.path != item.path:
            plan.moved.append((item, seen))


def _problem(seen: Seen, most_bytes: int) -> str | None:
    """Returns why a file is not even asked for."""
    for text in (seen.key, seen.path, seen.tag or ""):
        if len(text) > MOST_KEY_CHARACTERS or not _is_storable(text):
            return "name"
    if not seen.key or not seen.path:
        return "name"
    if seen.size is not None and not 0 <= seen.size <= most_bytes:
        return "too_large"
    return None


def type_problem(filename: str, media_type: str) -> str | None:
    """Returns why a file of this name and type is not taken; None for one that is."""
    try:
        declared_format(safe_filename(filename), media_type)
    except ParseError:
        return "type"
    return None


def _is_storable(text: str) -> bool:
    return text.isprintable() and not any("\ud800" <= character <= "\udfff" for character in text)
