"""The copy of the directory in a file, and its image: what was changed there is not believed, and what is new is added."""

from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from backend.cells import copy, image
from backend.cells.directory import Directory, _grown
from backend.cells.entries import DomainEntry, Home, NotTheDirectory
from backend.cells.known import KnownDirectory
from backend.ledger.checkpoints import Checkpoint, SigningKey, sign_checkpoint
from backend.tenancy import tenant_tag
from tests.cells.test_directory import ACME, BETA, CELLS, KEY, directory_of, moved


def test_the_copy_in_a_file_is_read_back_and_refused_when_it_was_changed(tmp_path: Path) -> None:
    signed, path = directory_of(*CELLS, moved()), tmp_path / "directory"
    copy.save(signed, path)
    reader = Directory([KEY.verifier_key])
    copy.load(reader, path)
    assert reader.homes == signed.homes
    assert [entry.name for entry in tmp_path.iterdir()] == ["directory"]
    path.write_text(path.read_text().replace('"cell":"eu-1"', '"cell":"us-1"'))
    with pytest.raises(NotTheDirectory):
        copy.load(Directory([KEY.verifier_key]), path)


def test_the_copy_grows_by_what_is_new_whoever_writes_it_first(tmp_path: Path) -> None:
    path = tmp_path / "directory"
    operator = directory_of(*CELLS, moved())
    copy.save(operator, path)
    first, second = Directory([KEY.verifier_key]), Directory([KEY.verifier_key])
    for process in (first, second):
        copy.load(process, path)
        assert process.lines == []
    entries = [moved(cell="us-1", epoch=2), moved(BETA, "beta")]
    notes = operator.append(entries, KEY, 2)
    first.extend(entries[:1], notes[0])
    second.extend(entries, notes[1])
    copy.save(first, path)
    copy.save(second, path)  # over what the first one wrote
    copy.save(first, path)  # which is behind, and leaves it
    read = Directory([KEY.verifier_key])
    copy.load(read, path)
    assert (read.size, read.note, read.homes) == (5, notes[1], operator.homes)
    assert first.lines == second.lines == []


def test_a_copy_that_is_gone_or_was_changed_is_not_continued(tmp_path: Path) -> None:
    path, signed = tmp_path / "directory", directory_of(*CELLS, moved())
    copy.save(signed, path)
    process = Directory([KEY.verifier_key])
    copy.load(process, path)
    process.extend([entry := moved(BETA, "beta")], signed.append([entry], KEY, 2)[-1])
    whole = path.read_bytes()
    for damaged in (b"", b"nothing", whole.replace(b"affidavit-test", b"affidavit-tess"), whole[:-20]):
        path.write_bytes(damaged)
        with pytest.raises(copy.CopyFallsShort):
            copy.save(process, path)
        assert path.read_bytes() == damaged
    path.unlink()
    with pytest.raises(copy.CopyFallsShort):
        copy.save(process, path)
    assert process.lines == [entry], "it is written when the entries before it are known again"
    everything = replace(copy.unsaved(process), lines=[*CELLS, moved(), entry])
    copy.write(everything, path)
    copy.load(Directory([KEY.verifier_key]), path)


def a_large_one(path: Path, tenants: int = 12_000) -> Directory:
    """A directory with a copy, and of a size that an image is made of."""
    made = directory_of(*CELLS)
    lines = [moved(uuid4(), f"institution-{number}") for number in range(tenants)]
    frontier = _grown(made.frontier, lines)
    made.extend(lines, sign_checkpoint(Checkpoint(f"{KEY.name}/cells", frontier.size, frontier.root(), 1), KEY))
    copy.save(made, path)
    return made


@pytest.mark.anyio
async def test_a_process_begins_from_an_image_with_what_the_copy_has_more(tmp_path: Path) -> None:
    path = tmp_path / "directory"
    signed = a_large_one(path)
    first = KnownDirectory(Directory([KEY.verifier_key]), file=path, secret="s" * 40)
    await first.load()
    assert image.path_of(path).exists()
    one = next(signed.at_home())
    later = [moved(one.tenant_id, one.slug, "us-1", 2), moved(ACME), DomainEntry("acme.example", ACME).entry()]
    signed.append(later, KEY, 2)
    copy.save(signed, path)
    second = KnownDirectory(Directory([KEY.verifier_key]), file=path, secret="s" * 40)
    await second.load()
    assert second._imaged == signed.size - 3, "it began from the image"
    for known in (signed, second.directory):
        assert (known.size, known.note, known.lines) == (signed.size, signed.note, [])
        assert known.homes[one.tenant_id].cell == "us-1"
        assert known.named("acme.example") == Home(ACME, "acme", "eu-1", 1) == known.tagged(tenant_tag(ACME))
        assert known.tenants_by_cell() == {"eu-1": 12_000, "us-1": 1}
    assert second.directory.homes == signed.homes
    second.directory.extend([entry := moved(BETA, "beta")], signed.append([entry], KEY, 3)[0])
    assert second.directory.named("beta") == signed.named("beta")


def test_an_image_that_was_changed_or_is_of_somebody_else_is_none(tmp_path: Path) -> None:
    path = tmp_path / "image"
    signed = a_large_one(tmp_path / "directory", 500)
    image.write(image.taken(signed), path, "s" * 40)
    whole = path.read_bytes()
    empty = Directory([KEY.verifier_key])
    image.load(empty, path, "s" * 40)
    assert empty.homes == signed.homes

    def refused(secret: str = "s" * 40, key: SigningKey = KEY) -> None:
        reader = Directory([key.verifier_key])
        with pytest.raises(image.NoImage):
            image.load(reader, path, secret)
        assert (reader.size, len(reader.homes), reader.cells) == (0, 0, {})

    refused(secret="t" * 40)
    refused(key=SigningKey.generate("affidavit-test"))  # whoever wrote it, the operator signed another
    for place in (0, 40, len(whole) // 3, len(whole) // 2, len(whole) - 40, len(whole) - 1):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        refused()
    for other in (b"", whole[:-1], whole + b"x", whole[: len(whole) // 2], b"nothing"):
        path.write_bytes(other)
        refused()
    path.unlink()
    refused()
