"""Encrypted streams: nothing of them can be read, changed, reordered, cut or moved."""

import os
from collections.abc import AsyncIterator

import pytest

from backend.storage.encryption import SEGMENT_BYTES, DamagedObject, decrypt, encrypt

pytestmark = pytest.mark.anyio

KEY = bytes(range(32))
HEADER, SEALED = 36, SEGMENT_BYTES + 16


async def stream(content: bytes, piece: int = 10_000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), piece):
        yield content[start : start + piece]


async def sealed(content: bytes, name: str = "tenant/file") -> bytes:
    return b"".join([piece async for piece in encrypt(stream(content), KEY, name)])


async def opened(content: bytes, name: str = "tenant/file", piece: int = 7_777) -> bytes:
    return b"".join([part async for part in decrypt(stream(content, piece), KEY, name)])


@pytest.mark.parametrize(
    "size", [0, 1, SEGMENT_BYTES - 1, SEGMENT_BYTES, SEGMENT_BYTES + 1, 3 * SEGMENT_BYTES, 3 * SEGMENT_BYTES + 5]
)
async def test_what_was_encrypted_is_decrypted_whatever_its_length(size: int) -> None:
    content = os.urandom(size)
    for piece in (1_000, SEALED, 10 * SEALED):
        assert await opened(await sealed(content), piece=piece) == content


async def test_equal_files_look_different_and_show_nothing() -> None:
    content = b"A secret policy. " * 10_000
    first, second = await sealed(content), await sealed(content)
    assert first != second
    assert b"secret" not in first


@pytest.mark.parametrize("position", [0, 5, HEADER, HEADER + 100, HEADER + SEALED + 1, -1])
async def test_a_changed_byte_is_noticed(position: int) -> None:
    damaged = bytearray(await sealed(os.urandom(2 * SEGMENT_BYTES + 9)))
    damaged[position] ^= 1
    with pytest.raises(DamagedObject):
        await opened(bytes(damaged))


async def test_segments_cannot_be_cut_off_left_out_repeated_or_exchanged() -> None:
    whole = await sealed(os.urandom(3 * SEGMENT_BYTES))
    header, rest = whole[:HEADER], whole[HEADER:]
    one, two, three, end = rest[:SEALED], rest[SEALED : 2 * SEALED], rest[2 * SEALED : 3 * SEALED], rest[3 * SEALED :]
    for wrong in (
        one + two + three,
        one + two,
        b"",
        one + three + end,
        one + one + two + three + end,
        two + one + three + end,
    ):
        with pytest.raises(DamagedObject):
            await opened(header + wrong)


async def test_a_file_under_another_name_is_not_accepted() -> None:
    with pytest.raises(DamagedObject):
        await opened(await sealed(b"Mine."), name="tenant/other")
