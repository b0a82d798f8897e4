"""The keys that sign checkpoints. While one takes another's place both sign, and each signs that the other is of the same log.

A handover is a note of the form of a checkpoint:

    affidavit.example/keys                    origin: never that of a log
    2                                         number of keys
    q83vEj…=                                  SHA-256 of the lines of the keys
    time 1795500000123                        when it was made
    key affidavit.example+9kpe…+AYz…          a line for each key, in the order in which they came into use
    key affidavit.example+77a1…+AQw…

    — affidavit.example 9kPe…=                a signature of each
    — affidavit.example d6Ex…=

Whoever trusts one of the keys can so learn the others: see `backend/ledger/verifier/handovers.py`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Self

from backend.ledger.checkpoints import Checkpoint, InvalidNote, SigningKey, VerifierKey, log_origin, sign_text
from backend.settings import Settings

HANDOVER = "keys"


class KeyNotUsable(ValueError):
    """A checkpoint key that is configured cannot be read."""


@dataclass(frozen=True, slots=True)
class Keyring:
    """All keys that sign: `current`, and beside it the `coming` one or the `previous` one. `known` only verify."""

    current: SigningKey
    coming: SigningKey | None = None
    previous: SigningKey | None = None
    known: tuple[VerifierKey, ...] = ()

    @property
    def name(self) -> str:
        """The name of all keys."""
        return self.current.name

    @property
    def signing(self) -> tuple[SigningKey, ...]:
        """The keys of which each checkpoint has a signature, the current one first."""
        return tuple(key for key in (self.current, self.coming, self.previous) if key is not None)

    @property
    def verifying(self) -> tuple[VerifierKey, ...]:
        """The keys whose checkpoints are this log's own."""
        own = (key.verifier_key for key in self.signing)
        return tuple({str(key): key for key in (*own, *self.known)}.values())

    def handover(self, moment: datetime) -> str | None:
        """Returns the signed handover from the previous key to the current one; None if there is no previous one."""
        if self.previous is None:
            return None
        keys = (self.previous, self.current)
        lines = "".join(f"key {key.verifier_key}\n" for key in keys)
        origin, root = log_origin(self.name, HANDOVER), sha256(lines.encode()).digest()
        head = Checkpoint(origin, len(keys), root, int(moment.timestamp() * 1000)).text
        return sign_text(head + lines, *keys)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Returns the configured keys; raises KeyNotUsable."""
        given = {
            "checkpoint_key": settings.checkpoint_key,
            "checkpoint_next_key": settings.checkpoint_next_key,
            "checkpoint_previous_key": settings.checkpoint_previous_key,
        }
        loaded: dict[str, SigningKey | None] = {}
        for name, pem in given.items():
            try:
                text = pem.get_secret_value().encode() if pem else None
                loaded[name] = SigningKey.load(settings.checkpoint_key_name, text) if text else None
            except (ValueError, TypeError):
                message = f"AFFIDAVIT_{name.upper()} is not the PEM of an Ed25519 private key"
                raise KeyNotUsable(message) from None
        current = loaded["checkpoint_key"]
        if current is None:
            raise KeyNotUsable("AFFIDAVIT_CHECKPOINT_KEY is not set")
        known = tuple(verifier_keys(settings.checkpoint_public_key or ""))
        return cls(current, loaded["checkpoint_next_key"], loaded["checkpoint_previous_key"], known)


def verifier_keys(lines: str) -> Iterable[VerifierKey]:
    """Returns the public keys of a text that has one a line; raises KeyNotUsable."""
    try:
        return [VerifierKey.parse(line) for line in lines.split()]
    except InvalidNote:
        raise KeyNotUsable("AFFIDAVIT_CHECKPOINT_PUBLIC_KEY: each line must be a verifier key") from None
