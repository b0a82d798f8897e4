"""How often signing in may fail, by account and by source address, in whichever process and before or after a restart.

An attempt is counted before its password is looked at, so that attempts at the same time cannot slip through together,
and taken out again if it succeeds. Accounts that do not exist are counted alike. What is counted belongs to no tenant,
so that nothing that acts for a tenant can lock anyone out.

An account has a low limit for each address and a higher one over all: who knows a name cannot lock its owner out from
one address, and guesses from many addresses are still too few. The low limit counts the institution as it was named, by slug or
by domain, so that a few attempts do not tell which domain is whose. The higher one counts the account, however it was named.

Signing in through a provider has no account to count before the provider has spoken: there the address alone is counted,
with the attempts by password, and going to the provider's page apart from coming back.

Codes of a second factor are few: an account has a low limit for them from wherever they come. Only who knows its password uses
that up.
"""

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from backend.database import Connection, Queries
from backend.identity.callers.limits import HOUR, MINUTE, Limit, enforce

queries = Queries.beside(__file__)

FROM_ONE_ADDRESS = (10, 5 * MINUTE)
PER_ACCOUNT = (100, HOUR)  # NIST SP 800-63B-4, section 3.2.2, allows 100 in a row
CODES_PER_ACCOUNT = (10, HOUR)  # three of a million are right at any time: a guess in a day's attempts has 0.07 %
PER_ADDRESS = (100, MINUTE)  # an office shares one; a check of a password costs 50 ms of a core


@dataclass(frozen=True, slots=True)
class Account:
    """A user as somebody who signs in names it: the tenant's slug, the user name, and how else the tenant was named."""

    tenant_slug: str
    username: str
    named: str | None = None


async def count_attempt(connection: Connection, account: Account, address: str | None) -> None:
    """Counts an attempt in the transaction of the platform's tenant; raises TooManyRequests."""
    limits = (FROM_ONE_ADDRESS, PER_ACCOUNT, PER_ADDRESS)
    subjects = _subjects(account, address)
    await enforce(
        connection, [Limit(subject, seconds, most) for subject, (most, seconds) in zip(subjects, limits, strict=True)]
    )


async def forgive_attempt(connection: Connection, account: Account, address: str | None) -> None:
    """Takes an attempt that succeeded out of the counts, in a transaction of the platform's tenant."""
    await connection.execute(queries.forgive_sign_in, _subjects(account, address))


async def count_code(connection: Connection, account: Account) -> None:
    """Counts a code that somebody shows, in a transaction of the platform's tenant; raises TooManyRequests."""
    most, seconds = CODES_PER_ACCOUNT
    await enforce(connection, [Limit(_code(account), seconds, most)])


async def forgive_code(connection: Connection, account: Account) -> None:
    """Takes a code that was right out of the count, in a transaction of the platform's tenant."""
    await connection.execute(queries.forgive_sign_in, [_code(account)])


async def count_exchange(connection: Connection, address: str | None, *, begins: bool) -> None:
    """Counts an attempt to sign in through a provider, in the transaction of the platform's tenant; raises TooManyRequests."""
    begun, ended = _exchanges(address)
    most, seconds = PER_ADDRESS
    await enforce(connection, [Limit(begun if begins else ended, seconds, most)])


async def forgive_exchange(connection: Connection, address: str | None) -> None:
    """Takes an attempt that succeeded, and how it began, out of the counts, in a transaction of the platform's tenant."""
    await connection.execute(queries.forgive_sign_in, _exchanges(address))


def _exchanges(address: str | None) -> Sequence[str]:
    network = _network(address)
    return [f"sign_in:login@{network}", f"sign_in:@{network}"]


def _subjects(account: Account, address: str | None) -> Sequence[str]:
    """Returns what the attempt counts against, the most shared last. Hashed, for a password may be typed as the name."""
    named, network = _digest(f"{account.named or account.tenant_slug}/{account.username}"), _network(address)
    return [f"sign_in:{named}@{network}", f"sign_in:{_whole(account)}", f"sign_in:@{network}"]


def _code(account: Account) -> str:
    return f"sign_in:code:{_whole(account)}"


def _whole(account: Account) -> str:
    return _digest(f"{account.tenant_slug}/{account.username}")


def _digest(account: str) -> str:
    return hashlib.sha256(account.encode()).hexdigest()[:32]


def _network(address: str | None) -> str:
    """Returns an IPv4 address, or the /64 of an IPv6 address: all of that is one customer's."""
    if address is None:
        return "unknown"
    known = ipaddress.ip_address(address)
    if isinstance(known, ipaddress.IPv6Address):
        return str(known.ipv4_mapped or ipaddress.ip_network((known, 64), strict=False))
    return str(known)
