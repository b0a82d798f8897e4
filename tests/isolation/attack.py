"""One attack: what an SQL injection could try.

Placeholders: `{victim}` and `{victim_…}` are ids of another tenant, `{own}` and `{me}` the attacker's tenant and
principal, `{restricted}` and `{restricted_document}` ids of its own tenant in a collection that it may not read.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Attack:
    """Statements that must all be refused by PostgreSQL (`refused`), or come back without a row."""

    name: str
    statements: tuple[str, ...]
    refused: bool = False
    role: str = "analyst"


def refused(name: str, *statements: str, role: str = "analyst") -> Attack:
    return Attack(name, statements, refused=True, role=role)


def nothing(name: str, *statements: str, role: str = "analyst") -> Attack:
    return Attack(name, statements, role=role)


CHUNKS_OF_OTHERS = "select * from documents.chunk where tenant_id <> '{own}'"
