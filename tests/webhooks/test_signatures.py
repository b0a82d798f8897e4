"""What is sent is signed as Standard Webhooks says, and the secrets that sign it are sealed."""

import base64
from uuid import uuid4

import pytest

from backend.storage.sealing import DamagedSecret
from backend.storage.service import TenantKey
from backend.webhooks import signatures
from backend.webhooks.secrets import seal, unseal


def test_the_signature_is_that_of_the_specifications_own_example() -> None:
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signatures.signed_headers([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_secret_opens_for_its_own_endpoint_and_tenant_alone() -> None:
    key, endpoint, identifier = TenantKey(uuid4(), b"k" * 32), uuid4(), uuid4()
    secret = signatures.new_secret()
    sealed = seal(key, endpoint, identifier, secret)
    assert secret not in sealed
    assert unseal(key, endpoint, identifier, sealed) == secret
    for place in (
        (TenantKey(uuid4(), key.secret), endpoint, identifier), (TenantKey(key.tenant_id, b"x" * 32), endpoint, identifier),
        (key, uuid4(), identifier), (key, endpoint, uuid4()),
    ):  # fmt: skip
        with pytest.raises(DamagedSecret):
            unseal(*place, sealed)
    with pytest.raises(DamagedSecret):
        unseal(key, endpoint, identifier, sealed[:-1])
