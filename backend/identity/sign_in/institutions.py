"""How whoever signs in names an institution: by its slug, by a domain of its e-mail addresses, or by such an address."""

import re
from dataclasses import dataclass, replace
from uuid import UUID

import idna

from backend.database import Connection, Queries, fetch_row
from backend.tenancy import Claims, Tenancy

queries = Queries.beside(__file__)

MAX_CHARACTERS = 254  # of an e-mail address (RFC 5321)
_LONGEST_DOMAIN = 253
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")  # what ends in one is an address of a machine (RFC 1123, WHATWG URL)


class UnacceptableDomain(ValueError):
    """The text is no domain of e-mail addresses; the message says why."""


def domain(text: str) -> str:
    """Returns the one spelling under which a domain is stored and found: lower case, and IDNA in ASCII (RFC 5891, UTS #46).

    Raises UnacceptableDomain.
    """
    try:
        if len(text) > _LONGEST_DOMAIN:
            raise UnacceptableDomain(f"A domain has at most {_LONGEST_DOMAIN} characters.")
        spelt = idna.encode(text.strip(), uts46=True, std3_rules=True).decode().removesuffix(".")
    except UnicodeError:  # what idna raises is one
        raise UnacceptableDomain("A domain has letters, digits and hyphens, and dots between them.") from None
    labels = spelt.split(".")
    if len(labels) < 2 or _NUMBER.fullmatch(labels[-1]):
        raise UnacceptableDomain("A domain of e-mail addresses is a whole one, such as meridian-bank.example.")
    if len(spelt) > _LONGEST_DOMAIN:
        raise UnacceptableDomain(f"A domain has at most {_LONGEST_DOMAIN} characters.")
    return spelt


def presented(named: str) -> str:
    """Returns the slug or domain that a text names; anything that is neither, if it names none."""
    text = named.strip()
    if "." not in text and "@" not in text:
        return text.lower()
    try:
        return domain(text.rpartition("@")[2])
    except UnacceptableDomain:
        return text


@dataclass(frozen=True, slots=True)
class Institution:
    """A tenant that somebody has named."""

    id: UUID
    status: str
    slug: str


async def find(tenancy: Tenancy, connection: Connection, claims: Claims) -> Institution | None:
    """Returns the tenant whose slug or domain the transaction presents, None where nobody's is presented.

    A tenant that moved away leaves a copy here until that is purged, and the copy's domains may be taken away since. Whose they
    are, the directory says, which was asked before: what it has elsewhere and did not send on is found by such a domain.
    """
    found = await fetch_row(connection, Institution, queries.presented_tenant)
    if found is None or tenancy.is_elsewhere(replace(claims, tenant_id=found.id, presented={})):
        return None
    return found
