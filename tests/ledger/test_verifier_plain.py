"""Reading many events by one pattern: only what JSON reads the same, and with the same findings as one by one."""

import itertools
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.ledger import verifier
from backend.ledger.merkle import leaf_hash
from backend.ledger.verifier import Report, parse_entry, plain_events, verify
from tests.benchmarks import audit_verifier
from tests.ledger.small_log import KEY, PUBLIC, SmallLog, at, contents, example_log, rewritten, saved
from tests.ledger.test_verifier_hostile import CONTENTS

READ = ("action", "id", "tenant", "turn")
TENANT = audit_verifier.identifier(audit_verifier.START)
ENVELOPES = list(itertools.islice(audit_verifier.envelopes(TENANT), 60))
FRAGMENTS = [
    *'{}[]:,"\\ 01.-eE', "true", "null", "NaN", '"id":"', '"action":"x",', '"turn":"t",', '"v":1', "\\u0069", '{"id":5}',
    '"time":5,', '"tenant":"x",', '"payloads":{},', '"payloads":5,', '"erased":[],', "é", "\x00", "\t", "\n", "\x7f", "00",
    "9" * 17, '"a":{"action":"b"},', ',"id":"x"', "}}\n{",
]  # fmt: skip


def line(envelope: str, leaf: int = 0) -> bytes:
    return f'{{"leaf":{leaf},"envelope":{envelope}}}\n'.encode()


def test_all_that_the_service_records_is_plain() -> None:
    block = b"".join(map(line, ENVELOPES))
    events = plain_events(block)
    assert [event[1].decode() for event in events] == ENVELOPES
    assert {event[2] for event in events} >= {
        b"retrieval:executed",
        b"prompt:submitted",
        b"answer:returned",
        b"audit:read",
    }


def assert_read_as_json_reads(block: bytes) -> bool:
    """Returns whether a block is plain; if it is, the decoder reads each of its lines the same."""
    events = plain_events(block)
    lines = block.split(b"\n")[:-1]
    assert len(events) in {0, len(lines)}
    for event, text in zip(events, lines, strict=False):
        leaf, envelope, computed, others = parse_entry(text)
        number, sealed, action, identifier, payloads, tenant, second, fraction, turn = event
        assert (leaf, computed, others) == (int(number), leaf_hash(sealed), {})
        assert envelope is not None
        assert json.loads(sealed) == envelope
        given = (action, identifier, tenant, turn)
        assert [envelope.get(name, "") for name in READ] == [member.decode() for member in given]
        assert envelope["time"] == f"{second.decode()}{fraction.decode()}{envelope['time'][-4:]}"
        assert bool(envelope.get("payloads")) is (payloads == b"p")
        assert "erased" not in envelope
    return bool(events)


@settings(max_examples=400)
@given(st.data())
def test_what_is_read_as_plain_json_reads_the_same(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(ENVELOPES))
    for _ in range(data.draw(st.integers(1, 3))):
        # Mostly between two tokens, where a fragment is most likely to leave JSON behind.
        places = [place for place, character in enumerate(text) if character in '{}[]:,"'] or [0]
        start = data.draw(st.sampled_from(places)) + data.draw(st.integers(0, 1))
        end = start + data.draw(st.sampled_from([0, 0, 0, 1, 2, 5]))
        text = text[:start] + data.draw(st.sampled_from(FRAGMENTS)) + text[end:]
    assert_read_as_json_reads(line(text))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"v":1', '"v":1.0'),
        ('"v":1', '"v":1e0'),
        ('"v":1', '"v":01'),
        ('"v":1', '"v":2'),
        ('{"action":', '{"\\u0061ction":"x","action":'),
        ('"id":', '"id":"x","id":'),
        ('"outcome":', '"id":"x","outcome":'),
        ('"outcome":', '"action":"audit:read","outcome":'),
        ('"outcome":', '"\\u0069d":"x","outcome":'),
        ('"principal":', '"payloads":{},"principal":'),
        ('"principal":', '"turn":"x","principal":'),
        ('"v":1', '"turn":"x","v":1'),
        ('"source":', '"erased":[],"source":'),
        ('"outcome":', '"archive":{},"outcome":'),
        ('"source":', '"erased":[{"event":"x","payloads":["y"]}],"source":'),
        ('"outcome":', '"n":0.5,"outcome":'),
        ('"outcome":', '"n":' + "9" * 5000 + ',"outcome":'),
        ('"outcome":', '"n":null,"outcome":'),
        ('"outcome":', '"n":"\x01","outcome":'),
        ('"outcome":', '"n":"é","outcome":'),
        ('"outcome":', '"n":[[[[[1]]]]],"outcome":'),
        ('"outcome":', '"n":[,],"outcome":'),
        ('"outcome":', '"n":"x" "y","outcome":'),
        ('"outcome":', ' "outcome":'),
    ],
)
def test_what_could_be_read_in_two_ways_is_not_plain(old: str, new: str) -> None:
    [text] = [envelope for envelope in ENVELOPES if '"action":"answer:returned"' in envelope][:1]
    assert plain_events(line(text))
    assert old in text
    assert not plain_events(line(text.replace(old, new, 1)))


def test_one_line_that_is_not_plain_makes_its_block_not_plain() -> None:
    plain, other = line(ENVELOPES[0]), line(ENVELOPES[1].replace('"v":1', '"v":2'))
    assert len(plain_events(plain + plain)) == 2
    for block in (
        plain + other,
        other + plain,
        plain + b"\n" + plain,
        b"x" + plain,
        plain[:-1] + b" \n",
        plain[:-2] + plain,
    ):
        assert not plain_events(block)


def test_a_string_that_goes_on_over_a_line_is_not_plain() -> None:
    half = line(ENVELOPES[0]).replace(b'"source":"', b'"source":"\n')
    assert not plain_events(half)
    assert not plain_events(half + b"\n")


# --- The same findings ---------------------------------------------------------------------------------------------


def both(tmp_path: Path, bundle: bytes, monkeypatch: pytest.MonkeyPatch, **options: Any) -> tuple[Report, Report, bool]:
    """Returns the report as it is and as it is line by line, and whether the former took events at once."""
    path, taken = saved(tmp_path, bundle), []
    takes = verifier.Verification._takes

    def watched(self: verifier.Verification, events: Any) -> bool:
        taken.append(takes(self, events))
        return bool(taken[-1])

    with monkeypatch.context() as patch:
        patch.setattr(verifier.Verification, "_takes", watched)
        quick = verify(path, PUBLIC, **options)
        patch.setattr(verifier.verification, "plain_events", lambda _: [])
        slow = verify(path, PUBLIC, **options)
    return quick, slow, any(taken)


def bare_log(turns: int = 8) -> SmallLog:
    log = example_log(turns)
    log.texts.clear()
    return log


def test_an_honest_log_is_taken_at_once_with_the_findings_of_line_by_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = bare_log()
    kept = [log.note(size, log.frontier_at(size).root(), size * 7 / 6) for size in (0, 4, 6, 23)]
    for known in ([], kept, [*kept, log.note(9, leaf_hash(b"fork"), 11)]):
        quick, slow, at_once = both(tmp_path, log.complete(revealed=False), monkeypatch, known=known)
        assert at_once
        assert list(quick.lines()) == list(slow.lines())
        assert quick.events == slow.events == 24
        assert quick.ok is (len(known) < 5)


TAMPERED: dict[str, Any] = {
    "an edited member": lambda texts: [text.replace('"r7"', '"r8"') for text in texts],
    "another tenant": lambda texts: [text.replace("0193a000", "0193b000") if "r7" in text else text for text in texts],
    "a repeated id": lambda texts: [*texts[:8], texts[7], *texts[9:]],
    "a swap": lambda texts: [*texts[:3], texts[4], texts[3], *texts[5:]],
    "another day": lambda texts: [text.replace("2026-11-01T", "2026-11-02T") if "r9" in text else text for text in texts],
    "no such day": lambda texts: [text.replace("2026-11-01T", "2026-11-31T") if "r9" in text else text for text in texts],
    "a turn without a prompt": lambda texts: [text.replace("prompt:submitted", "prompt:considered") for text in texts],
    "a prompt without a turn": lambda texts: [
        text.replace(',"turn":"' + json.loads(text).get("turn", "") + '"', "") for text in texts
    ],
    "a float": lambda texts: [text.replace('"v":1', '"v":1.5') if "r9" in text else text for text in texts],
    "an erasure of nothing": lambda texts: [text.replace("retrieval:executed", "erasure:executed") for text in texts],
    "an archive of nothing": lambda texts: [text.replace("retrieval:executed", "audit:archived") for text in texts],
    "two turns": lambda texts: [text.replace('"v":1', '"turn":"x","v":1') if '"r1"' in text else text for text in texts],
}  # fmt: skip


@pytest.mark.parametrize("case", TAMPERED)
@pytest.mark.parametrize("sealed", [True, False], ids=["before it was sealed", "afterwards"])
def test_tampering_is_named_the_same_at_once_and_line_by_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str, *, sealed: bool
) -> None:
    log = bare_log()
    changed = TAMPERED[case](log.envelopes)
    assert changed != log.envelopes
    if sealed:
        rewrite = SmallLog(random=log.random)
        for number, text in enumerate(changed, 1):
            rewrite.append_text(text)
            if number % 6 == 0:
                rewrite.clock = dict(zip((6, 12, 18, 24), (6, 13, 20, 27), strict=True))[number]
                rewrite.seal()
        log = rewrite
    else:
        log.envelopes = changed
    quick, slow, _ = both(tmp_path, log.complete(revealed=False, end=at(28)), monkeypatch)
    # What was edited or swapped before it was sealed is what was sealed.
    assert quick.ok is (sealed and case in {"an edited member", "a swap", "an erasure of nothing"})
    assert list(quick.lines()) == list(slow.lines())


def test_hostile_and_randomly_changed_bundles_are_named_the_same_at_once_and_line_by_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, choice = bare_log(4).complete(revealed=False), random.Random(3)
    events = contents(bundle)["events.ndjson"]
    changed = []
    for name, change in CONTENTS.values():
        try:
            changed.append(rewritten(bundle, {name: change}))
        except AssertionError:  # It changes a payload's text, of which there is none.
            continue
    for _ in range(300):
        place, byte = choice.randrange(len(events)), choice.choice([*b'0a1"\\ ,\n{}[]:', choice.randrange(256)])
        text = events[:place] + bytes([byte]) + events[place + choice.choice((0, 1)) :]
        changed.append(rewritten(bundle, {"events.ndjson": lambda _, text=text: text}))  # type: ignore[misc]
    assert len(changed) > 330
    for other in changed:
        quick, slow, _ = both(tmp_path, other, monkeypatch)
        assert list(quick.lines()) == list(slow.lines())


def test_the_tree_of_a_log_taken_at_once_is_held_against_every_checkpoint(tmp_path: Path) -> None:
    log = bare_log()
    log.notes[2] = (18, log.note(18, leaf_hash(b"another"), 21, KEY))
    report = verify(saved(tmp_path, log.complete(revealed=False)), PUBLIC)
    assert "INVALID events: leaves 12 to 17 do not hash to the root signed at size 18" in "\n".join(report.lines())
