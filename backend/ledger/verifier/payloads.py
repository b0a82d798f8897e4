"""Payloads and their erasure."""

import hmac
from typing import Any

from backend.ledger.verifier.bundle_format import MAX_TRACKED, BadBundle
from backend.ledger.verifier.findings import ERASED, INVALID, MISSING, NOTE, OK, Report, shown
from backend.ledger.verifier.spelling import base64_of


class Erasures:
    """Ties each payload that is marked as erased to the event that erased it."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._marked: dict[tuple[str, str], int] = {}

    def mark(self, leaf: int, identifier: str, name: str) -> None:
        """Remembers a payload that the export says was erased."""
        self._marked[identifier, name] = leaf
        if len(self._marked) > MAX_TRACKED:
            raise BadBundle(f"more than {MAX_TRACKED} erased payloads")

    def execute(self, leaf: int, envelope: dict[str, Any]) -> None:
        """Accounts for the payloads that an `erasure:executed` event lists; raises ValueError if malformed."""
        erased = envelope.get("erased", [])
        if not isinstance(erased, list):
            raise ValueError("the list of erased payloads is malformed")  # noqa: TRY004
        for item in erased:
            if not isinstance(item, dict) or not isinstance(item.get("payloads"), list):
                raise ValueError("the list of erased payloads is malformed")  # noqa: TRY004
            for name in item["payloads"]:
                self._account(leaf, str(envelope["id"]), str(item.get("event")), str(name))

    def finish(self) -> None:
        """Reports the marks that no erasure accounts for."""
        for (identifier, name), leaf in self._marked.items():
            payload = f"payload {shown(name)} of {identifier}"
            self._report.add(MISSING, f"leaf {leaf}", f"{payload} is marked as erased, but no erasure lists it")

    def _account(self, leaf: int, erasure: str, identifier: str, name: str) -> None:
        marked = self._marked.get((identifier, name))
        if marked is not None and marked < leaf:
            del self._marked[identifier, name]
            payload = f"payload {shown(name)} of {identifier}"
            self._report.add(ERASED, f"leaf {marked}", f"{payload} was erased by {erasure} (leaf {leaf})")


class Payloads:
    """Holds the texts that were revealed against the commitments in their envelopes."""

    def __init__(self, report: Report, erasures: Erasures, *, all_revealed: bool) -> None:
        self._report, self._erasures, self._all_revealed = report, erasures, all_revealed
        self._matching = self._withheld = 0

    def check(self, leaf: int, identifier: str, envelope: dict[str, Any], revealed: object) -> None:
        """Compares an event's payloads with its commitments; raises ValueError if either is malformed."""
        commitments = envelope.get("payloads", {})
        if not isinstance(commitments, dict) or not isinstance(revealed, list):
            raise ValueError("payloads are malformed")  # noqa: TRY004
        if not revealed and not self._all_revealed:
            self.withhold(bool(commitments))
            return
        seen = set[str]()
        for payload in revealed:
            name = payload.get("name") if isinstance(payload, dict) else None
            if not isinstance(name, str) or name in seen or name not in commitments:
                raise ValueError(f"payload {shown(name)} is repeated, or not one of the event's")
            seen.add(name)
            if payload.keys() == {"name", "erased"} and payload["erased"] is True:
                self._erasures.mark(leaf, identifier, name)
            elif payload.keys() == {"name", "salt", "text"}:
                self._compare(leaf, name, payload, commitments[name])
            else:
                raise ValueError(f"payload {shown(name)} is malformed")
        absent = commitments.keys() - seen
        self.withhold(bool(absent))
        for name in absent if self._all_revealed else ():
            self._report.add(MISSING, f"leaf {leaf}", f"payload {shown(name)} of {identifier} is absent")

    def withhold(self, events: int) -> None:
        """Counts events of which not all texts are here."""
        self._withheld += events

    def finish(self) -> None:
        """Reports how many texts match, and how many the export leaves out."""
        if self._matching:
            self._report.add(OK, "payloads", f"{self._matching} match their commitments")
        if self._withheld and not self._all_revealed:
            self._report.add(
                NOTE, "payloads", f"those of {self._withheld} events are not, or not all, part of the export"
            )

    def _compare(self, leaf: int, name: str, payload: dict[str, Any], commitment: object) -> None:
        salt, text = base64_of(payload["salt"]), payload["text"]
        if not isinstance(commitment, dict) or not isinstance(text, str) or not 16 <= len(salt) <= 64:
            raise ValueError(f"payload {shown(name)} is malformed")
        encoded = text.encode()
        computed = hmac.digest(salt, encoded, "sha256").hex()
        if computed == commitment.get("commitment") and len(encoded) == commitment.get("bytes"):
            self._matching += 1
        else:
            self._report.add(INVALID, f"leaf {leaf}", f"payload {shown(name)} is not the text that was committed to")
