"""How often signing in may fail, by account and by source address, in whichever process and before or after a restart.

An attempt is counted before its password is looked at, so that attempts at the same time cannot slip through together,
and taken out again if it succeeds. Accounts that do not exist are counted alike. What is counted belongs to no tenant,
so that nothing that acts for a tenant can lock anyone out.

An account has a low limit for each address and a higher one over all: who knows a name cannot lock its owner out from
one address, and guesses from many addresses are still too few.

An institution has several names: its slug and its domains. Both limits count twice. What was typed is counted alone, and who has
used that up is told so: this shows nothing of which names are one institution's. What it stands for is counted too, so that more
names give no more guesses. Who has used that up is refused as if the password were wrong, be it right or not: an answer
of its own would tell, after failures by one name, that another name is the same institution's. The tenant's log has the reason.

Signing in through a provider has no account to count before the provider has spoken: there the address alone is counted,
with the attempts by password, and going to the provider's page apart from coming back. Names that lead to no provider are few.

Codes of a second factor are few: an account has a low limit for them from wherever they come. Only who knows its password uses
that up.
"""

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from backend.database import Connection, Queries
from backend.errors import TooManyRequests
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


async def count_attempt(connection: Connection, account: Account, address: str | None) -> TooManyRequests | None:
    """Counts an attempt in the transaction of the platform's tenant; raises TooManyRequests for what was typed.

    Returns the refusal for the account that this stands for, None while it may be tried. Who has not signed in may not see it.
    """
    await _enforce(connection, _typed(account, address), (FROM_ONE_ADDRESS, PER_ACCOUNT, PER_ADDRESS))
    try:
        async with connection.transaction():
            await _enforce(connection, _resolved(account, address), (FROM_ONE_ADDRESS, PER_ACCOUNT))
    except TooManyRequests as hidden:
        return hidden
    return None


async def count_address(connection: Connection, address: str | None) -> None:
    """Counts a request that names an institution, in the transaction of the platform's tenant; raises TooManyRequests."""
    await _enforce(connection, [_anyone(address)], (PER_ADDRESS,))


async def forgive_attempt(connection: Connection, account: Account, address: str | None) -> None:
    """Takes an attempt that succeeded out of the counts, in a transaction of the platform's tenant."""
    subjects = [
        *_typed(account, address),
        *_resolved(account, address),
    ]  # as they were counted: they are locked in this order
    await connection.execute(queries.forgive_sign_in, subjects)


async def count_code(connection: Connection, account: Account) -> None:
    """Counts a code that somebody shows, in a transaction of the platform's tenant; raises TooManyRequests."""
    await _enforce(connection, [_code(account)], (CODES_PER_ACCOUNT,))


async def forgive_code(connection: Connection, account: Account) -> None:
    """Takes a code that was right out of the count, in a transaction of the platform's tenant."""
    await connection.execute(queries.forgive_sign_in, [_code(account)])


async def count_exchange(connection: Connection, address: str | None, *, begins: bool) -> None:
    """Counts an attempt to sign in through a provider, in the transaction of the platform's tenant; raises TooManyRequests."""
    begun, ended = _exchanges(address)
    await _enforce(connection, [begun if begins else ended], (PER_ADDRESS,))


async def count_name(connection: Connection, address: str | None) -> None:
    """Counts a name that somebody gives to be led to an institution's provider; raises TooManyRequests.

    Where a name leads is seen, so names are guessed as slowly as passwords are. One that leads somewhere is forgiven.
    """
    await _enforce(connection, [_name(address)], (FROM_ONE_ADDRESS,))


async def forgive_name(connection: Connection, address: str | None) -> None:
    """Takes a name that led to a provider out of the count."""
    await connection.execute(queries.forgive_sign_in, [_name(address)])


async def forgive_exchange(connection: Connection, address: str | None) -> None:
    """Takes an attempt that succeeded, and how it began, out of the counts, in a transaction of the platform's tenant."""
    await connection.execute(queries.forgive_sign_in, _exchanges(address))


async def _enforce(connection: Connection, subjects: Sequence[str], limits: Sequence[tuple[int, int]]) -> None:
    pairs = zip(subjects, limits, strict=True)
    await enforce(connection, [Limit(subject, seconds, most) for subject, (most, seconds) in pairs])


def _exchanges(address: str | None) -> Sequence[str]:
    return [f"sign_in:login@{_network(address)}", _anyone(address)]


def _name(address: str | None) -> str:
    return f"sign_in:named@{_network(address)}"


def _typed(account: Account, address: str | None) -> Sequence[str]:
    """Returns what an attempt counts against as it was typed. Hashed, for a password may be typed as the name."""
    named = _digest(f"{account.named or account.tenant_slug}/{account.username}")
    return [f"sign_in:{named}@{_network(address)}", f"sign_in:{named}", _anyone(address)]


def _resolved(account: Account, address: str | None) -> Sequence[str]:
    """Returns what an attempt counts against by what was found. Never as typed, or a slug would tell of a domain."""
    return [f"sign_in:of:{_whole(account)}@{_network(address)}", f"sign_in:of:{_whole(account)}"]


def _anyone(address: str | None) -> str:
    return f"sign_in:@{_network(address)}"


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
