import base64
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from backend.ledger.checkpoints import (
    Checkpoint,
    InvalidNote,
    SigningKey,
    VerifierKey,
    log_origin,
    open_checkpoint,
    sign_checkpoint,
)
from backend.ledger.merkle import EMPTY_ROOT

KEY = SigningKey.generate("affidavit.example")
OTHER = SigningKey.generate("witness.example")
CHECKPOINT = Checkpoint("affidavit.example/tenant", 20852163, sha256(b"root").digest(), 1795500000123)
NOTE = sign_checkpoint(CHECKPOINT, KEY)


def opened(note: str, *keys: SigningKey) -> Checkpoint:
    return open_checkpoint(note, [key.verifier_key for key in keys or (KEY,)])


def test_a_note_is_laid_out_as_the_specification_says() -> None:
    text, signatures = NOTE.split("\n\n")
    root = base64.b64encode(CHECKPOINT.root).decode()
    assert text == f"affidavit.example/tenant\n20852163\n{root}\ntime 1795500000123"
    dash, name, encoded = signatures.removesuffix("\n").split(" ")
    assert (dash, name) == ("\u2014", "affidavit.example")
    public = KEY.private.public_key()
    identifier = sha256(b"affidavit.example\n\x01" + public.public_bytes_raw()).digest()[:4]
    signature = base64.b64decode(encoded)
    assert signature[:4] == identifier
    public.verify(signature[4:], (text + "\n").encode())


def test_a_signature_made_by_the_reference_implementation_verifies() -> None:
    # The public example of a Go note: key, text and signature were made by golang.org/x/mod/sumdb/note.
    key = VerifierKey.parse("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")
    assert key.key_id.hex() == "530d903a"
    signature = base64.b64decode(
        "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM="
    )
    assert signature[:4] == key.key_id
    assert key.verifies("This is an example message.\n", signature[4:])
    assert not key.verifies("This is an example message!\n", signature[4:])


@given(st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32), st.integers(0, 2**63 - 1))
def test_what_is_signed_is_what_is_opened(size: int, root: bytes, time: int) -> None:
    checkpoint = Checkpoint(log_origin(KEY.name, "meta"), size, root, time)
    assert opened(sign_checkpoint(checkpoint, KEY)) == checkpoint


def test_a_note_of_several_signers_opens_with_any_of_their_keys() -> None:
    note = sign_checkpoint(CHECKPOINT, OTHER, KEY)
    assert opened(note, KEY) == opened(note, OTHER) == opened(note, KEY, OTHER) == CHECKPOINT


def test_a_note_signed_by_none_of_the_keys_is_refused() -> None:
    with pytest.raises(InvalidNote, match="none of the given keys"):
        opened(NOTE, OTHER)
    with pytest.raises(InvalidNote, match="none of the given keys"):
        opened(NOTE, SigningKey.generate(KEY.name))
    with pytest.raises(InvalidNote, match="none of the given keys"):
        open_checkpoint(NOTE, [])


def test_a_broken_signature_of_a_known_key_is_not_outweighed_by_a_good_one() -> None:
    other_note = sign_checkpoint(Checkpoint("x", 1, EMPTY_ROOT, 0), OTHER)
    note = NOTE + other_note.split("\n\n")[1]
    assert opened(note, KEY) == CHECKPOINT
    with pytest.raises(InvalidNote, match="does not verify"):
        opened(note, KEY, OTHER)


def test_every_changed_byte_is_refused() -> None:
    encoded = NOTE.encode()
    for place in range(len(encoded)):
        for byte in {encoded[place] ^ 1, encoded[place] ^ 0x20, ord("\n"), ord("A")} - {encoded[place]}:
            changed = encoded[:place] + bytes([byte]) + encoded[place + 1 :]
            with pytest.raises(InvalidNote):
                opened(changed.decode(errors="replace"))


def test_a_cut_or_extended_note_is_refused() -> None:
    for length in range(len(NOTE)):
        with pytest.raises(InvalidNote):
            opened(NOTE[:length])
    for extended in (
        NOTE + "\n",
        NOTE + "x",
        "\n" + NOTE,
        NOTE.replace("\n", "\r\n"),
        NOTE + "\u2014 x AAAA\n",
    ):
        with pytest.raises(InvalidNote):
            opened(extended)


def test_extension_lines_after_the_time_are_covered_by_the_signature_and_passed_over() -> None:
    text = CHECKPOINT.text + "region eu-west\n"
    assert opened(text + "\n" + KEY.signature_line(text)) == CHECKPOINT
    with pytest.raises(InvalidNote):
        opened(text.replace("west", "east") + "\n" + KEY.signature_line(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "o\n1\n{root}\n",
        "o\n1\n{root}\ntime 1",
        "\n1\n{root}\ntime 1\n",
        "o\n01\n{root}\ntime 1\n",
        "o\n-1\n{root}\ntime 1\n",
        "o\n+1\n{root}\ntime 1\n",
        "o\n\uff11\n{root}\ntime 1\n",
        "o\n9223372036854775808\n{root}\ntime 1\n",
        "o\n1\n{root}=\ntime 1\n",
        "o\n1\nAAAA\ntime 1\n",
        "o\n1\n{loose}\ntime 1\n",
        "o\n1\n{root}\ntime 01\n",
        "o\n1\n{root}\ntime 1.5\n",
        "o\n1\n{root}\nclock 1\n",
        "o\n1\n{root}\ntime 1\n\nmore\n",
    ],
)
def test_a_signed_text_that_is_not_a_checkpoint_is_refused(text: str) -> None:
    root = base64.b64encode(EMPTY_ROOT).decode()
    # The last character before the padding carries two bits that no byte uses.
    loose = root[:-2] + chr(ord(root[-2]) + 1) + "="
    assert base64.b64decode(loose) == EMPTY_ROOT
    text = text.format(root=root, loose=loose)
    with pytest.raises(InvalidNote):
        opened(text + "\n" + KEY.signature_line(text))


def test_a_checkpoint_cannot_be_made_of_values_that_would_not_read_back() -> None:
    for origin, size, root, time in [
        ("", 1, EMPTY_ROOT, 1),
        ("two\nlines", 1, EMPTY_ROOT, 1),
        ("o", -1, EMPTY_ROOT, 1),
        ("o", 1, b"short", 1),
        ("o", 1, EMPTY_ROOT, -1),
    ]:
        with pytest.raises(InvalidNote):
            Checkpoint(origin, size, root, time)


def test_a_verifier_key_reads_back_and_no_other_spelling_of_it_does() -> None:
    line = str(KEY.verifier_key)
    assert VerifierKey.parse(line + "\n") == KEY.verifier_key
    name, identifier, encoded = line.split("+", 2)
    other_type = base64.b64encode(b"\x02" + KEY.verifier_key.public).decode()
    too_short = base64.b64encode(b"\x01short").decode()
    wrong = [
        "",
        name,
        f"{name}+{identifier}",
        f"{name}+00000000+{encoded}",
        f"{name}+{identifier.upper()}x+{encoded}",
        f"other+{identifier}+{encoded}",
        f"+{identifier}+{encoded}",
        f"{name}+{identifier}+{encoded}A",
        f"{name}+{identifier}+{other_type}",
        f"{name}+{identifier}+{too_short}",
    ]
    for spelling in wrong:
        with pytest.raises(InvalidNote):
            VerifierKey.parse(spelling)


@pytest.mark.parametrize("name", ["", "with space", "with+plus", "with\nnewline", "with\u00a0space"])
def test_a_key_name_that_could_not_stand_in_a_signature_line_is_refused(name: str) -> None:
    with pytest.raises(InvalidNote, match="name"):
        VerifierKey(name, KEY.verifier_key.public)


def test_a_private_key_survives_its_file_with_and_without_a_password() -> None:
    assert SigningKey.load(KEY.name, KEY.pem()).verifier_key == KEY.verifier_key
    encrypted = KEY.pem(b"secret")
    assert SigningKey.load(KEY.name, encrypted, b"secret").verifier_key == KEY.verifier_key
    with pytest.raises(ValueError, match="password"):
        SigningKey.load(KEY.name, encrypted, b"wrong")


def test_a_key_of_another_kind_is_refused() -> None:
    pem = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(InvalidNote, match="Ed25519"):
        SigningKey.load("affidavit.example", pem)
