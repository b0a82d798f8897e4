import zipfile
from contextlib import nullcontext
from io import BytesIO, RawIOBase
from pathlib import Path

import pytest

from backend.ledger import bundle as writing
from backend.ledger.bundle import BundleScope, BundleWriter, RevealedPayload
from backend.ledger.merkle import Frontier
from backend.ledger.verifier import MAX_LINE_BYTES, verify
from tests.ledger.small_log import PUBLIC, START, TENANT, at, contents, example_log, saved

LOG = example_log(2)


def write(stream: BytesIO | RawIOBase, *, compress: bool = True) -> None:
    with BundleWriter(stream, LOG.scope(range(6)), compress=compress) as bundle:  # type: ignore[arg-type]
        for _, note in LOG.notes:
            bundle.add_checkpoint(note)
        for leaf, envelope in enumerate(LOG.envelopes):
            bundle.add_event(leaf, envelope, payloads=LOG.payloads(leaf))


class Pipe(RawIOBase):
    """A stream that only goes forward."""

    def __init__(self) -> None:
        self.written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.written += data
        return len(data)


@pytest.mark.parametrize("compress", [True, False])
def test_a_bundle_can_be_written_to_a_pipe(tmp_path: Path, *, compress: bool) -> None:
    pipe, stream = Pipe(), BytesIO()
    write(pipe, compress=compress)
    write(stream, compress=compress)
    assert verify(saved(tmp_path, bytes(pipe.written)), PUBLIC).ok
    assert contents(bytes(pipe.written)) == contents(stream.getvalue())


def test_the_same_log_gives_the_same_bytes() -> None:
    first, second = BytesIO(), BytesIO()
    write(first)
    write(second)
    assert first.getvalue() == second.getvalue()


def test_envelopes_are_written_byte_for_byte() -> None:
    stream = BytesIO()
    write(stream)
    lines = contents(stream.getvalue())["events.ndjson"].decode().split("\n")
    for leaf, envelope in enumerate(LOG.envelopes):
        assert lines[leaf].startswith(f'{{"leaf":{leaf},"envelope":{envelope}')


def test_a_bundle_that_failed_half_way_cannot_be_read() -> None:
    stream = BytesIO()

    def fail_half_way() -> None:
        with BundleWriter(stream, LOG.scope(range(6))) as bundle:
            bundle.add_event(0, LOG.envelopes[0])
            raise ConnectionError

    with pytest.raises(ConnectionError):
        fail_half_way()
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(BytesIO(stream.getvalue()))


def test_a_kind_of_line_cannot_be_taken_up_again() -> None:
    with BundleWriter(BytesIO(), LOG.scope(range(6))) as bundle:
        bundle.add_event(0, LOG.envelopes[0])
        bundle.add_checkpoint(LOG.notes[0][1])
        with pytest.raises(ValueError, match="written before"):
            bundle.add_event(1, LOG.envelopes[1])


def test_a_line_that_the_verifier_would_refuse_is_not_written() -> None:
    with pytest.raises(ValueError, match="too long"), BundleWriter(BytesIO(), LOG.scope(range(6))) as bundle:
        bundle.add_event(0, LOG.envelopes[0], payloads=[RevealedPayload("prompt", b"s" * 32, "x" * MAX_LINE_BYTES)])
    with pytest.raises(ValueError, match="not one line"), BundleWriter(BytesIO(), LOG.scope(range(6))) as bundle:
        bundle.add_event(0, "{\n}")


def test_a_bundle_that_would_be_taken_for_a_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "RATIO_APPLIES_FROM", 1000)
    for compress, refused in ((True, True), (False, False)):
        with (
            pytest.raises(ValueError, match="uncompressed") if refused else nullcontext(),
            BundleWriter(BytesIO(), LOG.scope(range(6)), compress=compress) as bundle,
        ):
            bundle.add_event(0, "{}", payloads=[RevealedPayload("prompt", b"s" * 32, "x" * 10**6)])


def test_a_scope_that_contradicts_itself_is_refused() -> None:
    for leaves, frontier, filters in [
        (range(0, 6, 2), Frontier(), {}),
        (range(1, 6), Frontier(), {}),
        (range(6), Frontier(), {"action": "x"}),
        (range(6, 5), None, {}),
    ]:
        with pytest.raises(ValueError, match="bundle"):
            BundleScope(TENANT, START, at(9), leaves, frontier, filters)
