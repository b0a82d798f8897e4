"""API keys and refresh tokens: minted at random, recognisable, refused early when mistyped."""

import hashlib
import re
import string
from types import ModuleType
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.identity.bearer_secrets import MalformedSecret
from backend.identity.keys import api_keys
from backend.identity.keys.api_keys import looks_like_api_key
from backend.identity.sign_in import refresh_tokens
from backend.tenancy import tenant_tag

KINDS = pytest.mark.parametrize("kind", [api_keys, refresh_tokens], ids=["API key", "refresh token"])
BASE62 = string.ascii_letters + string.digits
KEY = api_keys.mint(uuid4())


@KINDS
def test_a_minted_secret_parses_to_its_own_row(kind: ModuleType) -> None:
    new = kind.mint(uuid4())
    parsed = kind.parse(new.plaintext)
    assert parsed.lookup_id == new.lookup_id
    assert parsed.matches(new.digest)


@KINDS
def test_a_secret_does_not_match_the_row_of_another(kind: ModuleType) -> None:
    assert not kind.parse(kind.mint(uuid4()).plaintext).matches(kind.mint(uuid4()).digest)


@KINDS
def test_only_the_sha256_digest_is_kept(kind: ModuleType) -> None:
    new = kind.mint(uuid4())
    assert new.digest == hashlib.sha256(new.plaintext.encode()).digest()
    secret = new.plaintext.split("_")[2]
    assert secret not in new.lookup_id
    assert new.plaintext not in repr(new)
    assert secret not in repr(kind.parse(new.plaintext))


@pytest.mark.parametrize(("kind", "prefix"), [(api_keys, "afd"), (refresh_tokens, "afr")])
def test_a_secret_has_the_documented_form(kind: ModuleType, prefix: str) -> None:
    plaintext = kind.mint(uuid4()).plaintext
    assert re.fullmatch(prefix + r"_[0-9A-Za-z]{12}_[0-9A-Za-z]{33}_[0-9A-Za-z]{6}", plaintext)


def test_a_secret_holds_at_least_192_random_bits() -> None:
    secret = KEY.plaintext.split("_")[2]
    assert 62 ** len(secret) >= 2**192


def test_secrets_are_drawn_evenly_from_the_whole_alphabet() -> None:
    counts = dict.fromkeys(BASE62, 0)
    for _ in range(600):
        for character in api_keys.mint(uuid4()).plaintext.split("_")[2]:
            counts[character] += 1
    expected = 600 * 33 / 62
    assert sum((count - expected) ** 2 / expected for count in counts.values()) < 140  # χ², 61 d.f., p < 1e-7


def test_secrets_of_one_tenant_begin_alike_and_say_nothing_of_another() -> None:
    one, other = uuid4(), uuid4()
    tags = {kind.parse(kind.mint(tenant).plaintext).tag for kind in (api_keys, refresh_tokens) for tenant in (one, one)}
    assert tags == {tenant_tag(one)}
    assert tenant_tag(one) != tenant_tag(other)
    assert str(one).replace("-", "")[:6] not in tenant_tag(one)
    assert len({api_keys.mint(one).lookup_id for _ in range(100)}) == 100


def test_a_tag_stays_as_it_is_since_keys_that_were_handed_out_hold_it() -> None:
    assert tenant_tag(UUID(int=7)) == "JfKjEWe"


def test_no_two_keys_share_a_lookup_id() -> None:
    assert len({api_keys.mint(uuid4()).lookup_id for _ in range(1000)}) == 1000


def test_the_checksum_is_the_crc32_that_the_documentation_promises() -> None:
    body = "afd_0123456789AB_0123456789ABCDEFGHIJKLMNOPQRSTUVW"
    assert api_keys.parse(f"{body}_0QTsPj").lookup_id == "0123456789AB"


@pytest.mark.parametrize(
    "surrounding", ["{}", "key={}", '"{}"', "Authorization: Bearer {}\r\n", "https://x.example/?k={}&a=b"]
)
def test_a_secret_scanner_finds_a_leaked_key(surrounding: str) -> None:
    found = re.search(api_keys.SCANNER_PATTERN, surrounding.format(KEY.plaintext))
    assert found is not None
    assert found.group() == KEY.plaintext


NEVER_MINTED = {
    "nothing": "",
    "only the prefix": "afd_",
    "only separators": "afd____",
    "newline behind": KEY.plaintext + "\n",
    "space before": " " + KEY.plaintext,
    "NUL behind": KEY.plaintext + "\0",
    "a character short": KEY.plaintext[:-1],
    "a character long": KEY.plaintext + "0",
    "upper case": KEY.plaintext.upper(),
    "prefix in upper case": KEY.plaintext.replace("afd_", "AFD_"),
    "another prefix": KEY.plaintext.replace("afd_", "afr_"),
    "hyphens": KEY.plaintext.replace("_", "-"),
    "checksum of zero": KEY.plaintext[:-6] + "000000",
    "full-width digit": KEY.plaintext[:5] + "\uff10" + KEY.plaintext[6:],
    "Arabic digit": KEY.plaintext[:5] + "\u0660" + KEY.plaintext[6:],
    "lone surrogate": KEY.plaintext[:5] + "\ud800" + KEY.plaintext[6:],
    "huge": "afd_" + "0" * 100_000,
    "a JWT": "eyJhbGciOiJFUzI1NiJ9.e30.AA",
}


@pytest.mark.parametrize("text", NEVER_MINTED.values(), ids=NEVER_MINTED)
def test_a_text_that_was_never_minted_is_malformed(text: str) -> None:
    with pytest.raises(api_keys.MalformedKey):
        api_keys.parse(text)


@given(position=st.integers(0, len(KEY.plaintext) - 1), character=st.characters())
def test_any_single_typo_is_refused_without_a_look_up(position: int, character: str) -> None:
    typo = KEY.plaintext[:position] + character + KEY.plaintext[position + 1 :]
    if typo == KEY.plaintext:
        return
    with pytest.raises(MalformedSecret):
        api_keys.parse(typo)


@given(position=st.integers(0, len(KEY.plaintext) - 2))
def test_any_two_swapped_neighbours_are_refused(position: int) -> None:
    swapped = (
        KEY.plaintext[:position] + KEY.plaintext[position + 1] + KEY.plaintext[position] + KEY.plaintext[position + 2 :]
    )
    if swapped == KEY.plaintext:
        return
    with pytest.raises(MalformedSecret):
        api_keys.parse(swapped)


@given(st.text())
def test_any_other_text_is_refused_and_never_breaks_the_parser(text: str) -> None:
    with pytest.raises(MalformedSecret):
        api_keys.parse(text)


def test_a_refresh_token_is_no_api_key_and_the_reverse() -> None:
    with pytest.raises(MalformedSecret):
        api_keys.parse(refresh_tokens.mint(uuid4()).plaintext)
    with pytest.raises(MalformedSecret):
        refresh_tokens.parse(KEY.plaintext)


def test_a_bearer_credential_is_told_apart_by_its_prefix() -> None:
    assert looks_like_api_key(KEY.plaintext)
    assert looks_like_api_key("afd_mistyped")
    assert not looks_like_api_key(refresh_tokens.mint(uuid4()).plaintext)
    assert not looks_like_api_key("eyJhbGciOiJFUzI1NiJ9.e30.AA")
    assert not looks_like_api_key("")
