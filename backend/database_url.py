"""Database addresses as hosting providers hand them out, in the form that the driver takes."""

from urllib.parse import parse_qsl, urlencode

_SCHEMES = {"postgres", "postgresql", "postgresql+asyncpg", "postgresql+psycopg", "postgresql+psycopg2"}
# What libpq or other drivers know, and ours would send to the server, which does not. None of them makes a connection safer
# than `sslmode=verify-full` does, which stays.
_FOR_OTHER_DRIVERS = {
    "channel_binding", "connect_timeout", "gssencmode", "keepalives", "keepalives_count", "keepalives_idle",
    "keepalives_interval", "load_balance_hosts", "pgbouncer", "prepared_statement_cache_size", "sslcompression", "sslsni",
    "tcp_user_timeout",
}  # fmt: skip


def connection_url(given: str) -> str:
    """Returns an address as asyncpg takes it; raises ValueError for what is none, and never repeats it.

    Several hosts, `target_session_attrs`, `sslmode`, `sslrootcert`, `application_name` and `options` are kept.
    """
    scheme, separator, rest = given.strip().partition("://")
    if not separator or scheme not in _SCHEMES:
        message = "must begin with postgresql:// or postgres://"
        raise ValueError(message)
    address, _, query = rest.partition("?")
    options = [("sslmode" if name == "ssl" else name, value) for name, value in parse_qsl(query)]
    kept = urlencode([(name, value) for name, value in options if name not in _FOR_OTHER_DRIVERS])
    return f"postgresql://{address}" + (f"?{kept}" if kept else "")
