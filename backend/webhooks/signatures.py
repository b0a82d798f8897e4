"""How what is sent is signed: Standard Webhooks 1.0, as https://www.standardwebhooks.com describes it.

A receiver knows the secret as `whsec_` and base64. It signs id, time and body together, so that none can be exchanged, and what
was captured cannot be sent again much later. While a secret is being exchanged there is a signature of each.
"""

import base64
import hashlib
import hmac
import os
from collections.abc import Mapping, Sequence

PREFIX = "whsec_"
SECRET_BYTES = 32

# For secret scanners: \bwhsec_[0-9A-Za-z+/]{43}=
SCANNER_PATTERN = r"\bwhsec_[0-9A-Za-z+/]{43}="


def new_secret() -> bytes:
    """Makes a secret."""
    return os.urandom(SECRET_BYTES)


def shown(secret: bytes) -> str:
    """Returns a secret as receivers configure it."""
    return PREFIX + base64.b64encode(secret).decode()


def read(text: str) -> bytes:
    """Returns a secret as it was shown; raises ValueError."""
    return base64.b64decode(text.removeprefix(PREFIX), validate=True)


def signed_headers(secrets: Sequence[bytes], message_id: str, seconds: int, body: bytes) -> Mapping[str, str]:
    """Returns the headers of a message that is sent at a time, in seconds since 1970; with a signature of each secret."""
    signed = b"%b.%d.%b" % (message_id.encode(), seconds, body)
    codes = [base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode() for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(f"v1,{code}" for code in codes),
    }
