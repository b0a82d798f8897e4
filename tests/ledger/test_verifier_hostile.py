"""Bundles made to break the verifier: each is called INVALID, in bounded memory, without an exception."""

import itertools
import json
import random
import struct
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.ledger import verifier
from backend.ledger.verifier import Kind, Report, verify
from tests.ledger.small_log import KEY, PUBLIC, SmallLog, contents, example_log, judged, rewritten, saved, zipped

LOG = example_log(4)
COMPLETE = LOG.complete()
FILTERED = LOG.filtered([1, 2, 5, 11])


def assert_invalid(report: Report) -> None:
    assert not report.ok
    assert report.counts[Kind.INVALID]
    for line in report.lines():
        assert line.isprintable()
        assert len(line) < 500


# --- Archives ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bundle", [b"", b"PK", b"PK\x05\x06" + bytes(18), b"\x00" * 10_000, b"not a zip archive" * 99])
def test_what_is_no_archive_is_invalid(tmp_path: Path, bundle: bytes) -> None:
    assert_invalid(judged(tmp_path, bundle))


def test_a_directory_or_an_absent_file_is_invalid(tmp_path: Path) -> None:
    assert_invalid(verify(tmp_path, PUBLIC))
    assert_invalid(verify(tmp_path / "absent", PUBLIC))


def test_an_archive_cut_anywhere_is_invalid(tmp_path: Path) -> None:
    for length in range(0, len(COMPLETE), 37):
        assert_invalid(judged(tmp_path, COMPLETE[:length]))


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "C:\\x",
        "events.ndjson/",
        "events.ndjson ",
        "./events.ndjson",
        "x\x1b[2J",
        "é",
        "Events.ndjson",
    ],
    ids=ascii,
)
def test_members_of_other_names_are_refused_and_nothing_is_extracted(tmp_path: Path, name: str) -> None:
    assert_invalid(judged(tmp_path, zipped([*contents(COMPLETE).items(), (name, b"x")])))
    assert [path.name for path in tmp_path.iterdir()] == ["bundle.zip"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["manifest.json", "events.ndjson", "checkpoints.ndjson"])
def test_a_member_that_is_there_twice_or_not_at_all_is_refused(tmp_path: Path, name: str) -> None:
    members = contents(COMPLETE)
    assert_invalid(judged(tmp_path, zipped([*members.items(), (name, members[name])])))
    del members[name]
    assert_invalid(judged(tmp_path, zipped(members.items())))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compression_methods_are_refused(tmp_path: Path, method: int) -> None:
    target = BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, content in contents(COMPLETE).items():
            archive.writestr(name, content)
    assert_invalid(judged(tmp_path, target.getvalue()))


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    directory = COMPLETE.index(b"PK\x01\x02")
    encrypted = bytearray(COMPLETE)
    encrypted[directory + 8] |= 1
    report = judged(tmp_path, bytes(encrypted))
    assert_invalid(report)
    assert "encrypted" in str(report.findings[0])


def test_a_bomb_is_refused_by_its_ratio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = rewritten(COMPLETE, {"events.ndjson": lambda _: b"\n" * 2**22})
    monkeypatch.setattr(verifier.archive, "RATIO_APPLIES_FROM", 2**20)
    report = judged(tmp_path, bomb)
    assert_invalid(report)
    assert "would expand more than" in str(report.findings[0])


def test_a_member_that_lies_about_its_size_is_invalid(tmp_path: Path) -> None:
    for size in (0, 5, 2**31):
        lying = bytearray(COMPLETE)
        struct.pack_into("<L", lying, COMPLETE.index(b"PK\x01\x02") + 24, size)
        assert_invalid(judged(tmp_path, bytes(lying)))


def test_an_oversized_directory_is_refused_before_it_is_read(tmp_path: Path) -> None:
    members = [(f"{number}".rjust(60_000, "x"), b"") for number in range(150)]
    report = judged(tmp_path, zipped(members))
    assert_invalid(report)
    assert "oversized directory" in str(report.findings[0])


# --- Contents ------------------------------------------------------------------------------------------------


def replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        assert old in content
        return content.replace(old, new, 1)

    return change


def constant(content: bytes) -> Callable[[bytes], bytes]:
    return lambda _: content


DEEP = b"[" * 100_000 + b"]" * 100_000

CONTENTS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "a line longer than the limit": ("events.ndjson", lambda text: text + b"x" * (verifier.MAX_LINE_BYTES + 2**23) + b"\n"),
    "a last line without its end": ("events.ndjson", lambda text: text[:-1]),
    "an empty line": ("events.ndjson", lambda text: b"\n" + text),
    "bytes that are not UTF-8": ("events.ndjson", lambda text: b"\xff" + text),
    "an absurdly deep envelope": ("events.ndjson", lambda _: b'{"leaf":0,"envelope":' + DEEP + b"}\n"),
    "absurdly deep payloads": ("events.ndjson", replaced(b'"payloads":[{"name"', b'"payloads":[' + DEEP + b',{"name"')),
    "an absurdly deep manifest": ("manifest.json", lambda _: b'{"filters":' + DEEP + b"}"),
    "an absurdly deep checkpoint": ("checkpoints.ndjson", lambda _: b'{"checkpoint":' + DEEP + b"}\n"),
    "an integer of 5,000 digits": ("events.ndjson", lambda _: b'{"leaf":0,"envelope":{"id":' + b"9" * 5000 + b"}}\n"),
    "a leaf index beyond 64 bits": ("events.ndjson", replaced(b'"leaf":0', b'"leaf":' + b"9" * 30)),
    "a huge leaf index": ("events.ndjson", replaced(b'"leaf":11', b'"leaf":9223372036854775807')),
    "a leaf index with a leading zero": ("events.ndjson", replaced(b'"leaf":1,', b'"leaf":01,')),
    "a negative leaf index": ("events.ndjson", replaced(b'"leaf":0,', b'"leaf":-0,')),
    "a float in an envelope": ("events.ndjson", replaced(b'"score":0', b'"score":0.5')),
    "NaN in an envelope": ("events.ndjson", replaced(b'"score":0', b'"score":NaN')),
    "an envelope that is a list": ("events.ndjson", lambda _: b'{"leaf":0,"envelope":[]}\n'),
    "no envelope": ("events.ndjson", lambda _: b'{"leaf":0,"envelope":}\n'),
    "neither envelope nor hash": ("events.ndjson", lambda _: b'{"leaf":0,"x":1}\n'),
    "an unknown member of a line": ("events.ndjson", replaced(b',"payloads":', b',"extra":1,"payloads":')),
    "a member of a line twice": ("events.ndjson", replaced(b',"payloads":', b',"payloads":[],"payloads":')),
    "a trailing comma": ("events.ndjson", replaced(b',"payloads":[', b',,"payloads":[')),
    "text after the line": ("events.ndjson", replaced(b"}\n", b"}x\n")),
    "a space before the envelope": ("events.ndjson", replaced(b'"envelope":', b'"envelope": ')),
    "payloads that are an object": ("events.ndjson", replaced(b'"payloads":[{"name"', b'"payloads":{"name"')),
    "a payload with an unknown member": ("events.ndjson", replaced(b'[{"name":', b'[{"x":1,"name":')),
    "a payload without a salt": ("events.ndjson", replaced(b'"salt":', b'"sail":')),
    "a payload that is said to be not erased": ("events.ndjson", replaced(b'"erased":true', b'"erased":false')),
    "a salt that is no base64": ("events.ndjson", replaced(b'"salt":"', b'"salt":"!')),
    "a salt that is a number": ("events.ndjson", lambda text: text.replace(b'"salt":"', b'"salt":1,"x":"', 1)),
    "a lone surrogate in a payload": ("events.ndjson", replaced(b'"text":"', b'"text":"\\ud800')),
    "a hash of the wrong length": ("events.ndjson", lambda _: b'{"leaf":0,"hash":"00"}\n'),
    "a hash that is a list": ("events.ndjson", lambda _: b'{"leaf":0,"hash":[]}\n'),
    "a proof that is a string": ("events.ndjson", replaced(b',"payloads":', b',"proof":"00","payloads":')),
    "a proof of too many hashes": (
        "events.ndjson", replaced(b',"payloads":', b',"proof":[' + b",".join([b'"' + b"0" * 64 + b'"'] * 129) + b'],"payloads":')
    ),
    "no events at all": ("events.ndjson", lambda _: b""),
    "no checkpoints at all": ("checkpoints.ndjson", lambda _: b""),
    "a checkpoint that is a number": ("checkpoints.ndjson", lambda _: b'{"checkpoint":5}\n'),
    "a checkpoint line that is a list": ("checkpoints.ndjson", lambda _: b"[]\n"),
    "an empty checkpoint": ("checkpoints.ndjson", lambda _: b'{"checkpoint":""}\n'),
    "a checkpoint with CR LF": ("checkpoints.ndjson", lambda text: text.replace(b"\\n", b"\\r\\n")),
    "a checkpoint without signatures": ("checkpoints.ndjson", lambda text: text.replace("—".encode(), b"-")),
    "a needless consistency proof": ("checkpoints.ndjson", lambda text: text.replace(b'"}', b'","consistency":[]}')),
    "a consistency proof of strings": ("checkpoints.ndjson", lambda text: text.replace(b'"}', b'","consistency":["x"]}')),
    "the checkpoints in reverse": ("checkpoints.ndjson", lambda text: b"".join(text.splitlines(keepends=True)[::-1])),
    "a manifest that is not JSON": ("manifest.json", lambda _: b"{"),
    "a manifest that is a list": ("manifest.json", lambda _: b"[]"),
    "a manifest of two objects": ("manifest.json", lambda text: text + text),
    "a manifest that is too large": ("manifest.json", lambda text: text + b" " * verifier.MAX_MANIFEST_BYTES),
    "a manifest with a member twice": ("manifest.json", replaced(b'"events":', b'"events":1,"events":')),
    "a manifest with an unknown member": ("manifest.json", replaced(b'"events":', b'"x":1,"events":')),
    "a manifest of a later schema": ("manifest.json", replaced(b"bundle/1", b"bundle/3")),
    "another number of events": ("manifest.json", replaced(b'"events":12', b'"events":13')),
    "a later end": ("manifest.json", replaced(b'"end_leaf":12', b'"end_leaf":13')),
    "an earlier end": ("manifest.json", replaced(b'"end_leaf":12', b'"end_leaf":11')),
    "a later beginning": ("manifest.json", replaced(b'"first_leaf":0', b'"first_leaf":1')),
    "an end before the beginning": ("manifest.json", replaced(b'"first_leaf":0', b'"first_leaf":20')),
    "a frontier where none can be": ("manifest.json", replaced(b'"frontier":[]', b'"frontier":["' + b"0" * 64 + b'"]')),
    "a frontier of numbers": ("manifest.json", replaced(b'"frontier":[]', b'"frontier":[1]')),
    "a complete export with filters": ("manifest.json", replaced(b'"filters":{}', b'"filters":{"action":"x"}')),
    "a complete export called filtered": ("manifest.json", replaced(b'"complete":true', b'"complete":false')),
    "an impossible date": ("manifest.json", replaced(b'"from":"2026-11-01', b'"from":"2026-02-30')),
}  # fmt: skip


@pytest.mark.parametrize("case", CONTENTS)
def test_hostile_contents_are_not_ok_and_never_raise(tmp_path: Path, case: str) -> None:
    name, change = CONTENTS[case]
    log = example_log(4)
    bundle = log.complete(erased=[(1, "prompt")]) if "erased" in case else COMPLETE
    report = judged(tmp_path, rewritten(bundle, {name: change}))
    assert not report.ok
    for line in report.lines():
        assert line.isprintable()
        assert len(line) < 500


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("a line longer than the limit", "has a line longer than"),
        ("a last line without its end", "ends within a line"),
        ("a manifest that is too large", "is larger than"),
        ("an absurdly deep envelope", "events.ndjson line 1: JSON is nested too deeply"),
        ("absurdly deep payloads", "JSON is nested too deeply"),
    ],
)
def test_what_exceeds_a_limit_is_refused_for_that_reason(tmp_path: Path, case: str, reason: str) -> None:
    name, change = CONTENTS[case]
    assert reason in str(judged(tmp_path, rewritten(COMPLETE, {name: change})).findings[0])


@pytest.mark.parametrize("number", ["0.5", "1e3", "NaN", "Infinity", "9" * 5000])
def test_a_number_that_readers_could_take_differently_is_invalid_even_if_it_was_sealed(
    tmp_path: Path, number: str
) -> None:
    log = example_log(2)
    log.append_text(log.envelopes[-1].replace('"request_id"', f'"number":{number},"request_id"'))
    log.seal()
    assert any(line.startswith("INVALID events.ndjson line 7") for line in judged(tmp_path, log.complete()).lines())


def test_base64_with_stray_bits_is_invalid(tmp_path: Path) -> None:
    def loosen(content: bytes) -> bytes:
        end = content.index(b'="', content.index(b'"salt":"')) - 1
        return content[:end] + bytes([content[end] + 1]) + content[end + 1 :]

    report = judged(tmp_path, rewritten(COMPLETE, {"events.ndjson": loosen}))
    assert_invalid(report)
    assert any("not in its canonical form" in line for line in report.lines())


def test_a_manifest_member_of_any_other_type_or_value_is_never_ok(tmp_path: Path) -> None:
    manifest = json.loads(contents(COMPLETE)["manifest.json"])
    values: list[Any] = [None, True, False, 5, -1, 2**70, "x", [], [[]], {}, {"a": 1}]
    for name, value in itertools.product(manifest, values):
        changed = json.dumps({**manifest, name: value})
        # All payloads are there, so that a bundle which does not promise them is as good.
        if changed != json.dumps(manifest) and (name, value) != ("revealed", False):
            content = changed.encode()
            report = judged(tmp_path, rewritten(COMPLETE, {"manifest.json": constant(content)}))
            assert not report.ok, (name, value)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_in_any_member_are_never_ok(tmp_path_factory: pytest.TempPathFactory, noise: bytes) -> None:
    tmp_path = tmp_path_factory.mktemp("noise")
    for name in contents(COMPLETE):
        assert not judged(tmp_path, rewritten(COMPLETE, {name: lambda _: noise})).ok


def test_what_a_bundle_says_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    log = SmallLog()
    log.append("audit:read", tenant="\x1b[2Jevil\r\n\u202e" * 50)
    log.append("audit:read", payloads={"\x1b]0;title\x07": {}})
    log.seal()
    assert_invalid(judged(tmp_path, log.complete(filters={})))


def test_findings_without_end_are_counted_but_not_all_listed(tmp_path: Path) -> None:
    log = SmallLog()
    for number in range(2500):
        log.append("answer:returned", turn=str(number))
    log.seal()
    report = judged(tmp_path, log.complete())
    lines = [line for line in report.lines() if line.startswith("MISSING")]
    assert len(lines) == verifier.MAX_SHOWN + 1
    assert lines[-1] == "MISSING report: 1500 more that are not listed"


# --- Every byte counts ---------------------------------------------------------------------------------------


CLAIMS = {"complete": {"from", "to"}, "filtered": {"from", "to", "filters", "first_leaf", "end_leaf"}}
"""Members of the manifest that say what was asked for. No proof covers them: the verifier refuses what
contradicts the log, and prints what was proved instead of repeating them."""


def means_the_same(kind: str, name: str, old: bytes, new: bytes) -> bool:
    """Tells whether two contents of a member differ only in JSON spelling outside envelopes, or in claims."""
    try:
        if name == "manifest.json":
            before, after = json.loads(old), json.loads(new)
            return all(before[key] == after[key] for key in before.keys() - CLAIMS[kind])
        before, after = ([json.loads(line) for line in content.splitlines()] for content in (old, new))
        sealed = [[line.partition(b',"payloads":[')[0] for line in content.splitlines()] for content in (old, new)]
        return bool(before == after and sealed[0] == sealed[1])
    except (ValueError, KeyError, TypeError):
        return False


@pytest.mark.parametrize("kind", ["complete", "filtered"])
def test_a_changed_byte_in_any_member_is_never_ok_unless_it_means_the_same(tmp_path: Path, kind: str) -> None:
    bundle = COMPLETE if kind == "complete" else FILTERED
    choice, harmless = random.Random(1), 0
    for name, content in contents(bundle).items():
        for _ in range(300):
            place, byte = choice.randrange(len(content)), choice.choice([*b'0aA"\\ ,\n{}[]:z', choice.randrange(256)])
            changed = content[:place] + bytes([byte]) + content[place + 1 :]
            if judged(tmp_path, rewritten(bundle, {name: constant(changed)})).ok:
                assert means_the_same(kind, name, content, changed), (
                    name,
                    place,
                    content[place - 20 : place + 20],
                    byte,
                )
                harmless += changed != content
    assert harmless < 60


def test_the_case_of_an_escaped_character_is_the_only_spelling_that_is_free(tmp_path: Path) -> None:
    bundle = rewritten(COMPLETE, {"events.ndjson": replaced(b"\\u001f", b"\\u001F")})
    assert judged(tmp_path, bundle).ok


def test_a_changed_byte_of_the_archive_is_never_ok_unless_the_members_stay_the_same(tmp_path: Path) -> None:
    choice, original = random.Random(2), contents(COMPLETE)
    for _ in range(600):
        changed = bytearray(COMPLETE)
        changed[choice.randrange(len(changed))] ^= 1 << choice.randrange(8)
        if judged(tmp_path, bytes(changed)).ok:
            assert contents(bytes(changed)) == original


def test_the_signing_key_of_another_service_verifies_nothing(tmp_path: Path) -> None:
    other = type(KEY).generate(KEY.name)
    for bundle in (COMPLETE, FILTERED):
        assert_invalid(verify(saved(tmp_path, bundle), str(other.verifier_key)))
