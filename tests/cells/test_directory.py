"""The directory: what is signed is believed, and nothing that is forged, older, of another history or contradictory."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID, uuid4

import asyncpg
import pytest
from starlette.requests import Request
from starlette.responses import Response

from backend.cells import control
from backend.cells.directory import Directory, _grown
from backend.cells.entries import CellEntry, DomainEntry, GoneEntry, Home, NotTheDirectory
from backend.cells.homes import CellHomes
from backend.cells.known import KnownDirectory
from backend.embedded_postgres import EmbeddedPostgres
from backend.error_handlers import _place_at
from backend.errors import CellLost, Misdirected
from backend.ledger.checkpoints import Checkpoint, SigningKey, sign_checkpoint
from backend.operation.moving.adding import _changed_domains
from backend.operation.service import OperatorError
from backend.tenancy import PLATFORM_TENANT, Claims, Purpose, tenant_tag

KEY = SigningKey.generate("affidavit-test")
EU, US = CellEntry("eu-1", "eu", "https://eu.example"), CellEntry("us-1", "us", "https://us.example")
ACME, BETA = uuid4(), uuid4()


def directory_of(*entries: str, key: SigningKey = KEY) -> Directory:
    made = Directory([key.verifier_key])
    made.append(entries, key, 1)
    return made


def moved(tenant: UUID = ACME, slug: str = "acme", cell: str = "eu-1", epoch: int = 1) -> str:
    return Home(tenant, slug, cell, epoch).entry()


CELLS = (EU.entry(), US.entry())


def test_the_last_entry_of_a_tenant_says_where_it_is_at_home() -> None:
    known = directory_of(*CELLS, moved(), moved(BETA, "beta", "us-1"), moved(cell="us-1", epoch=2))
    assert known.named("acme") == Home(ACME, "acme", "us-1", 2)
    assert known.named("beta") == Home(BETA, "beta", "us-1", 1)
    assert known.named("nobody") is None


def test_a_process_takes_what_is_new_by_its_signature() -> None:
    signed = directory_of(*CELLS, moved())
    reader = Directory([KEY.verifier_key])
    reader.extend(signed.lines, signed.note)
    notes = signed.append([moved(cell="us-1", epoch=2)], KEY, 2)
    reader.extend(signed.lines[3:], notes[-1])
    assert reader.named("acme") == Home(ACME, "acme", "us-1", 2)


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ([*CELLS, moved(), moved(cell="us-1", epoch=1)], "epoch"),
        ([*CELLS, moved(), moved(cell="us-1", epoch=3)], "epoch"),
        ([*CELLS, moved(epoch=2)], "epoch"),
        ([*CELLS, moved(cell="asia-1")], "no cell"),
        ([*CELLS, moved(), moved(BETA, "acme")], "two tenants"),
        ([*CELLS, DomainEntry("acme.example", ACME).entry()], "no home"),
        ([*CELLS, moved(), DomainEntry("acme", ACME).entry()], "no domain"),
        (
            [
                *CELLS,
                moved(),
                moved(BETA, "beta"),
                DomainEntry("x.example", ACME).entry(),
                DomainEntry("x.example", BETA).entry(),
            ],
            "two tenants",
        ),
        ([*CELLS, GoneEntry(ACME).entry()], "never had a home"),
        ([*CELLS, moved(), GoneEntry(ACME).entry(), moved(cell="us-1", epoch=2)], "was deleted"),
        ([*CELLS, moved(), GoneEntry(ACME).entry(), DomainEntry("acme.example", ACME).entry()], "no home"),
        ([*CELLS, "{}"], "malformed"),
        ([*CELLS, "no json"], "malformed"),
        ([*CELLS, '{"kind":"cell","name":"UP","region":"eu","address":"x"}'], "unknown"),
    ],
)
def test_the_operator_cannot_sign_a_contradiction(entries: Sequence[str], why: str) -> None:
    with pytest.raises(NotTheDirectory, match=why):
        directory_of(*entries)


def test_nothing_is_taken_of_a_directory_that_is_forged() -> None:
    signed, thief = directory_of(*CELLS, moved()), SigningKey.generate("affidavit-test")
    entries = [*CELLS, moved(cell="us-1")]
    reader = Directory([KEY.verifier_key])
    for note in (signed.note, directory_of(*entries, key=thief).note):
        with pytest.raises(NotTheDirectory):
            reader.extend(entries, note)
    checkpoint = Checkpoint(f"{KEY.name}/{ACME}", 3, signed.frontier.root(), 1)  # a log's, by the same key
    with pytest.raises(NotTheDirectory, match="no directory"):
        reader.extend(signed.lines, sign_checkpoint(checkpoint, KEY))
    assert (reader.size, reader.homes, reader.cells) == (0, {}, {})


def test_a_signed_entry_that_contradicts_leaves_a_process_as_it_was() -> None:
    """Signed by hand, as no command of ours signs it."""
    reader = directory_of(*CELLS, moved())
    other = directory_of(*CELLS, moved())
    wrong = [moved(cell="us-1", epoch=2), moved(cell="eu-1", epoch=9)]
    frontier = _grown(other.frontier, wrong)
    note = sign_checkpoint(Checkpoint(f"{KEY.name}/cells", frontier.size, frontier.root(), 2), KEY)
    with pytest.raises(NotTheDirectory, match="epoch"):
        reader.extend(wrong, note)
    assert reader.named("acme") == Home(ACME, "acme", "eu-1", 1)
    assert reader.size == 3


def test_another_history_of_the_same_key_is_refused() -> None:
    reader, fork = directory_of(*CELLS, moved()), directory_of(*CELLS, moved(cell="us-1"))
    with pytest.raises(NotTheDirectory):
        reader.confirm(fork.note)
    longer = fork.append([moved(BETA, "beta")], KEY, 2)
    with pytest.raises(NotTheDirectory):
        reader.extend(fork.lines[3:], longer[-1])


def test_nobody_is_sent_on_by_a_tag_that_two_tenants_have() -> None:
    one, other = UUID("01930000-0000-7000-8000-0000000d95c5"), UUID("01930000-0000-7000-8000-00000013c7af")
    assert tenant_tag(one) == tenant_tag(other), "found by trying a million"
    known = directory_of(*CELLS, moved(one), moved(one, cell="us-1", epoch=2))
    assert known.tagged(tenant_tag(one)) == Home(one, "acme", "us-1", 2)
    assert directory_of(*CELLS, moved(one), moved(other, "beta", "us-1")).tagged(tenant_tag(one)) is None


def homes(*entries: str, redirect: bool = False) -> CellHomes:
    return CellHomes("eu-1", KnownDirectory(directory_of(*CELLS, *entries)), redirect=redirect)


def test_who_signs_in_is_sent_to_the_tenant_that_it_names() -> None:
    known = homes(moved(), moved(cell="us-1", epoch=2), moved(cell="eu-1", epoch=3), moved(BETA, "beta", "us-1"))
    assert known.epoch_of(Claims("r", PLATFORM_TENANT, presented={Purpose.TENANT: "acme"})) is None
    assert known.epoch_of(Claims("r", PLATFORM_TENANT, presented={Purpose.TENANT: "nobody"})) is None
    assert known.epoch_of(Claims("r", PLATFORM_TENANT)) is None
    with pytest.raises(Misdirected):
        known.epoch_of(Claims("r", PLATFORM_TENANT, presented={Purpose.TENANT: "beta"}))


def test_who_names_a_domain_is_sent_to_the_tenant_whose_it_is_now() -> None:
    given = [DomainEntry("beta.example", BETA).entry(), DomainEntry("acme.example", ACME).entry()]
    known = homes(moved(), moved(BETA, "beta", "us-1"), *given)
    named = {
        name: Claims("r", presented={Purpose.TENANT: name}) for name in ("beta.example", "acme.example", "no.example")
    }
    with pytest.raises(Misdirected) as sent:
        known.epoch_of(named["beta.example"])
    assert sent.value.address == US.address
    assert known.epoch_of(named["acme.example"]) is None
    assert known.epoch_of(named["no.example"]) is None
    passed_on = [DomainEntry("beta.example", None).entry(), DomainEntry("beta.example", ACME).entry()]
    assert homes(moved(), moved(BETA, "beta", "us-1"), *given, *passed_on).epoch_of(named["beta.example"]) is None


def test_slug_and_domains_of_a_tenant_that_is_gone_may_be_anothers() -> None:
    gone = [moved(), DomainEntry("acme.example", ACME).entry(), GoneEntry(ACME).entry()]
    known = directory_of(*CELLS, *gone)
    assert (known.named("acme"), known.named("acme.example")) == (None, None)
    again = [moved(BETA, "acme", "us-1"), DomainEntry("acme.example", BETA).entry()]
    known = directory_of(*CELLS, *gone, *again)
    assert known.named("acme") == known.named("acme.example") == Home(BETA, "acme", "us-1", 1)


def test_a_cell_enters_how_its_domains_have_changed_and_those_of_no_other_cell() -> None:
    known = {"old.example": ACME, "passed.example": ACME, "kept.example": BETA, "far.example": uuid4()}
    here = {"passed.example": BETA, "kept.example": BETA, "new.example": ACME}
    changed = _changed_domains(known, here, {ACME, BETA})
    assert changed == [
        DomainEntry("old.example", None), DomainEntry("passed.example", None),
        DomainEntry("passed.example", BETA), DomainEntry("new.example", ACME),
    ]  # fmt: skip
    assert _changed_domains(known, {}, {BETA}) == [DomainEntry("kept.example", None)]  # ACME is refused here just now
    with pytest.raises(OperatorError, match=r"another cell has the domain far\.example"):
        _changed_domains(known, {"far.example": ACME}, {ACME, BETA})


@pytest.mark.parametrize(
    ("path", "query", "place"),
    [
        ("/documents/fees", b"x=1&y=%20", "/documents/fees?x=1&y=%20"),
        ("//evil.example/x", b"", "/evil.example/x"),
        ("@evil.example/x", b"", "/%40evil.example/x"),
        (".evil.example", b"", "/.evil.example"),
        ("/\\evil.example?a#b", b"", "/%5Cevil.example%3Fa%23b"),
        ("/fees\r\nSet-Cookie: a=b", b"a\r\nb\xff", "/fees%0D%0ASet-Cookie%3A%20a%3Db?a%0D%0Ab%FF"),
        ("/documents/gebühr-5€", b"", "/documents/geb%C3%BChr-5%E2%82%AC"),
    ],
)
def test_a_request_is_sent_to_the_address_of_the_directory_whatever_its_path_and_host(
    path: str, query: bytes, place: str
) -> None:
    scope = {"type": "http", "path": path, "query_string": query, "headers": [(b"host", b"evil.example/p?")]}
    location = _place_at("https://us.example/", Request(scope))
    assert location == f"https://us.example{place}"
    Response(headers={"Location": location})


def test_a_process_answers_for_tenants_of_its_own_cell_and_tells_where_others_are() -> None:
    known = homes(moved(), moved(BETA, "beta", "us-1"))
    assert known.epoch_of(Claims("r", ACME)) == 1
    assert known.epoch_of(Claims("r", presented={Purpose.TENANT: "acme"})) is None
    assert known.epoch_of(Claims("r")) is None
    assert known.epoch_of(Claims("r", uuid4())) is None  # made since: the database knows
    for claims in (Claims("r", BETA), Claims("r", presented={Purpose.TENANT: "beta"})):
        with pytest.raises(Misdirected) as refused:
            known.epoch_of(claims)
        assert refused.value.status == 421
        assert "https://us.example" in refused.value.detail
    with pytest.raises(Misdirected):  # of a key that is presented, only the visible part is known here
        known.epoch_of(Claims("r", presented={Purpose.DIGEST: "00"}, tag=tenant_tag(BETA)))
    assert known.epoch_of(Claims("r", presented={Purpose.DIGEST: "00"}, tag=tenant_tag(uuid4()))) is None
    with pytest.raises(Misdirected) as sent_on:
        homes(moved(BETA, "beta", "us-1"), redirect=True).epoch_of(Claims("r", BETA))
    assert sent_on.value.status == 307


def test_a_large_directory_finds_everybody_and_nobody_else() -> None:
    """More than wait to be sorted in, and moved, renamed and deleted among them."""
    known = Directory([KEY.verifier_key])
    tenants = [Home(uuid4(), f"institution-{number}", EU.name, 1) for number in range(20_000)]
    changed = [
        *(home._replace(cell=US.name, epoch=2) for home in tenants[::3]),
        *(DomainEntry(f"{home.slug}.example", home.tenant_id) for home in tenants[::5]),
        *(GoneEntry(home.tenant_id) for home in tenants[::7]),
    ]
    for page in ([EU, US], tenants[:9000], tenants[9000:], changed):
        lines = [entry.entry() for entry in page]
        frontier = _grown(known.frontier, lines)
        checkpoint = Checkpoint(f"{KEY.name}/cells", frontier.size, frontier.root(), 1)
        known.extend(lines, sign_checkpoint(checkpoint, KEY))
    for number, home in enumerate(tenants):
        now = home._replace(cell=US.name, epoch=2) if number % 3 == 0 else home
        assert known.homes[home.tenant_id] == now
        assert known.tagged(tenant_tag(home.tenant_id)) in {now, None}
        assert known.named(home.slug) == (None if number % 7 == 0 else now)
        assert known.named(f"{home.slug}.example") == (now if number % 5 == 0 and number % 7 else None)
    assert known.homes.get(uuid4()) is known.tagged("") is known.tagged("abc") is known.named("institution") is None
    assert known.tenants_by_cell().total() == len(list(known.at_home())) == len(tenants) - len(tenants[::7])
    assert {home.cell for home in known.at_home("us-1")} == {"us-1"}


def test_a_cell_is_removed_only_when_nobody_is_at_home_there_and_may_come_back() -> None:
    gone = replace(EU, state="removed").entry()
    with pytest.raises(NotTheDirectory, match="tenants are at home there"):
        directory_of(*CELLS, moved(), gone)
    known = directory_of(
        *CELLS, moved(), moved(cell="us-1", epoch=2), moved(BETA, "beta"), GoneEntry(BETA).entry(), gone
    )
    assert list(known.present) == ["us-1"]
    with pytest.raises(NotTheDirectory, match="no cell eu-1"):
        known.append([moved(epoch=3)], KEY, 2)
    known.append([EU.entry(), moved(epoch=3)], KEY, 2)
    assert known.named("acme") == Home(ACME, "acme", "eu-1", 3)
    with pytest.raises(NotTheDirectory, match="unknown"):
        known.append(['{"address":"x","kind":"cell","name":"eu-1","region":"eu","state":"odd"}'], KEY, 3)


def test_what_a_lost_cell_had_is_at_home_nowhere_that_answers() -> None:
    gone = replace(US, state="lost", reason="fire").entry()
    known = homes(moved(), moved(BETA, "beta", "us-1"), gone)
    for claims in (
        Claims("r", BETA),
        Claims("r", tag=tenant_tag(BETA)),
        Claims("r", presented={Purpose.TENANT: "beta"}),
    ):
        with pytest.raises(CellLost):
            known.epoch_of(claims)
    assert known.epoch_of(Claims("r", ACME)) == 1
    directory = known.known.directory
    assert (list(directory.present), directory.lost["us-1"].reason) == (["eu-1"], "fire")
    with pytest.raises(NotTheDirectory, match="no cell us-1"):
        directory.append([moved(cell="us-1", epoch=2)], KEY, 2)
    limited = replace(EU, most_tenants=3, most_bytes=10**9)
    assert directory_of(limited.entry()).cells["eu-1"] == limited


@pytest.mark.anyio
async def test_of_two_control_databases_a_process_believes_the_one_that_it_knows(postgres: EmbeddedPostgres) -> None:
    """Somebody made a second one, and signed in both: each is another history to whoever knows the first."""
    urls = []
    admin = await asyncpg.connect(postgres.url("postgres", postgres.passwords.superuser, "postgres"))
    for name in ("first_control", "second_control"):
        await admin.execute(f"drop database if exists {name}")
        await admin.execute(f"create database {name}")
        urls.append(postgres.url("postgres", postgres.passwords.superuser, name))
    await admin.close()
    for url, cell in zip(urls, ("eu-1", "us-1"), strict=True):
        async with control.control(url) as connection:
            entries = [*CELLS, moved(), moved(BETA, "beta", cell)]
            await control.add(connection, Directory([KEY.verifier_key]), KEY, entries)
    known = KnownDirectory(Directory([KEY.verifier_key]), url=urls[0])
    await known.load()
    other = KnownDirectory(known.directory, url=urls[1])
    for _ in range(2):
        await other.refresh()
        assert known.directory.homes[BETA].cell == "eu-1"
        async with control.control(urls[1]) as connection:
            reader = Directory([KEY.verifier_key])
            await control.catch_up(connection, reader)
            await control.add(
                connection, reader, KEY, [moved(cell="us-1", epoch=2)] if reader.homes[ACME].epoch == 1 else []
            )
    assert known.directory.homes[ACME] == Home(ACME, "acme", "eu-1", 1)
    for each in (known, other):
        await each._disconnect()
