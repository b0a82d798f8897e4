"""A folder of mail: read and never touched, each message once, whoever moves, deletes or numbers them anew."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.sources.connectors.imap_session import encoded_folder
from tests.service import Service
from tests.sources.mail import LOGIN, MailServer, mail_server
from tests.sources.sources import bank_with_policies, counted, created, documents, reaching, run

pytestmark = pytest.mark.anyio


def trusting(service: Service, server: MailServer) -> None:
    service.exchange(source_opening=replace(service.services.source_opening, tls=server.trusting))


async def names(service: Service, bank: Any) -> set[str]:
    """Names of the documents, without the marks by which messages of one subject are told apart."""
    return {name.rpartition(".eml ")[0].rpartition(" ")[0] for name in await documents(service, bank)}


async def test_a_folder_is_followed_as_messages_come_move_and_go(service: Service, tmp_path: Path) -> None:
    bank = await bank_with_policies(service)
    async with mail_server(tmp_path) as there, reaching(service):
        trusting(service, there)
        await there.put("Wires", "Wires leave before noon.")
        await there.put("=?utf-8?q?Geb=C3=BChren?= a/b", "An account costs nothing.")
        source = await created(service, bank, there.address(), "imap", credentials=LOGIN)
        assert counted(await run(service, bank, source, dry_run=True)) == {"new": 2}
        assert there.fetched() == []
        assert counted(await run(service, bank, source)) == {"new": 2}
        assert await names(service, bank) == {"INBOX/Wires", "INBOX/Gebühren a-b"}
        there.asked.clear()
        assert counted(await run(service, bank, source)) == {"unchanged": 2}
        assert there.fetched() == []
        await there.put("Cards", "Disputes within 60 days.")
        await there.say(("create", "Archive"), ("select", "INBOX"), ("copy", "1", "Archive"),
                        ("store", "1", "+FLAGS", "(\\Deleted)"), ("expunge",))  # fmt: skip
        assert counted(await run(service, bank, source)) == {"new": 1, "gone": 1, "unchanged": 1}
        assert len(there.fetched()) == 1
        assert len(await documents(service, bank)) == 3  # what is gone waits for a reviewer
        assert not any(word in line.upper() for line in there.asked for word in (b"STORE", b"SELECT", b"EXPUNGE"))


async def test_a_folder_that_is_numbered_anew_keeps_its_documents(service: Service, tmp_path: Path) -> None:
    bank = await bank_with_policies(service)
    async with mail_server(tmp_path) as there, reaching(service):
        trusting(service, there)
        await there.say(("create", "Rules"))
        for subject in ("Wires", "Cards", "Fees"):
            await there.put(subject, f"A rule about {subject}.", "Rules")
        source = await created(service, bank, there.address("Rules"), "imap", credentials=LOGIN)
        assert counted(await run(service, bank, source)) == {"new": 3}
        before = await documents(service, bank)
        kept = (await there.say(("select", "Rules"), ("fetch", "1:3", "(RFC822)")))[1]
        await there.say(("delete", "Rules"), ("create", "Rules"),
                        *(("append", "Rules", "", "", part[1]) for part in reversed(kept) if isinstance(part, tuple)))  # fmt: skip
        assert counted(await run(service, bank, source)) == {"renamed": 3}
        assert counted(await run(service, bank, source)) == {"unchanged": 3}
        assert await documents(service, bank) == before


async def test_a_message_that_is_too_large_is_refused_and_a_long_one_comes_whole(
    service: Service, tmp_path: Path
) -> None:
    bank = await bank_with_policies(service)
    async with mail_server(tmp_path) as there, reaching(service, file_bytes=700_000):
        trusting(service, there)
        space = f"{' ' * 900}\r\n"  # which takes no time to embed
        await there.put("Long", f"Wires leave before noon.\r\n{space * 670}As the rule says.")
        await there.put("Longer", f"Wires leave before noon.\r\n{space * 900}As the rule says.")
        source = await created(service, bank, there.address(), "imap", credentials=LOGIN)
        ended = await run(service, bank, source)
        assert (counted(ended), ended["counts"]["reasons"]) == ({"new": 1, "refused": 1}, {"too_large": 1})
        assert len(there.fetched()) == 3  # in pieces


async def test_a_wrong_password_and_a_folder_that_is_not_there_are_told(service: Service, tmp_path: Path) -> None:
    bank = await bank_with_policies(service)
    async with mail_server(tmp_path) as there, reaching(service):
        trusting(service, there)
        wrong = await created(service, bank, there.address(), "imap", credentials=LOGIN | {"password": 'x "y'})
        assert (await run(service, bank, wrong))["reason"] == "not_allowed"
        missing = await created(service, bank, there.address("None"), "imap", name="missing", credentials=LOGIN)
        assert (await run(service, bank, missing))["reason"] == "no_list"


@pytest.mark.parametrize(
    ("address", "credentials"),
    [
        ("https://localhost/INBOX", LOGIN), ("imap://localhost/INBOX", LOGIN), ("imaps://10.1.2.3/INBOX", LOGIN),
        ("imaps://reader:secret@localhost/INBOX", LOGIN), ("imaps://localhost/INBOX", None), ("imaps://localhost:0/x", LOGIN),
        ("imaps://localhost/INBOX", {"token": "x"}), ("imaps://localhost/INBOX imaps://localhost/INBOX", LOGIN),
    ],
)  # fmt: skip
async def test_what_is_no_folder_of_mail_is_refused(service: Service, address: str, credentials: Any) -> None:
    bank = await bank_with_policies(service)
    async with reaching(service):
        body = {"name": "x", "kind": "imap", "collection": "policies", "address": address, "credentials": credentials}
        refused = await service.post("/sources", bank, "admin", body)
        assert refused.status_code == 422, refused.text
        other = await service.post(
            "/sources", bank, "admin", body | {"kind": "webdav", "address": "imaps://localhost/INBOX"}
        )
        assert other.status_code == 422, other.text


def test_names_of_folders_are_sent_as_servers_spell_them() -> None:
    spelt = {
        "INBOX": "INBOX",
        "A & B": "A &- B",
        "Entwürfe": "Entw&APw-rfe",
        "台北/日本語": "&U,BTFw-/&ZeVnLIqe-",
        "~peter/mail": "~peter/mail",
    }
    assert {name: encoded_folder(name) for name in spelt} == spelt
