"""A bucket that was synchronised, against a server that speaks the protocol of S3."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.service import Service
from tests.sources.sources import bank_with_policies, counted, created, documents, reaching, run

pytestmark = pytest.mark.anyio

KEYS = {"access_key": "reader", "secret_key": "a-secret-of-the-reader"}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    moto.start()
    host, port = moto.get_host_and_port()
    yield f"http://{host}:{port}"
    moto.stop()


def bucket(server: str, name: str) -> Any:
    client = boto3.resource(
        "s3", endpoint_url=server, region_name="us-east-1", aws_access_key_id="writer", aws_secret_access_key="writer"
    )
    return client.create_bucket(Bucket=name)


def put(there: Any, key: str, text: str) -> None:
    there.put_object(Key=key, Body=f"# {key}\n\n{text}\n".encode())


async def test_a_bucket_is_followed_as_its_objects_come_change_move_and_go(service: Service, server: str) -> None:
    bank = await bank_with_policies(service)
    there = bucket(server, "policies-of-the-bank")
    put(there, "rules/wires 2026+ü.md", "Wires leave before noon.")
    put(there, "rules/cards.md", "Card disputes must be filed within 60 days.")
    put(there, "elsewhere/secret.md", "Not below the prefix.")
    there.put_object(Key="rules/", Body=b"")
    there.put_object(Key="rules/logo.png", Body=b"\x89PNG")
    async with reaching(service):
        source = await created(
            service, bank, f"{server}/policies-of-the-bank", "s3", credentials=KEYS,
            options={"prefix": "rules/", "region": "us-east-1"},
        )  # fmt: skip
        dry = await run(service, bank, source, dry_run=True)
        assert (counted(dry), await documents(service, bank)) == ({"new": 2, "refused": 1}, {})
        first = await run(service, bank, source)
        assert (counted(first), first["counts"]["reasons"]) == ({"new": 2, "refused": 1}, {"type": 1})
        assert set(await documents(service, bank)) == {"rules/wires 2026+ü.md 1", "rules/cards.md 1"}
        assert counted(await run(service, bank, source)) == {"unchanged": 2, "refused": 1}
        put(there, "rules/wires 2026+ü.md", "Wires leave before ten.")
        there.Object("rules/retail/cards.md").copy_from(CopySource="policies-of-the-bank/rules/cards.md")
        there.Object("rules/cards.md").delete()
        assert counted(await run(service, bank, source, dry_run=True)) == {"changed": 1, "renamed": 1, "refused": 1}
        assert counted(await run(service, bank, source)) == {"changed": 1, "renamed": 1, "refused": 1}
        there.Object("rules/retail/cards.md").delete()
        assert counted(await run(service, bank, source)) == {"gone": 1, "unchanged": 1, "refused": 1}
        assert set(await documents(service, bank)) == {
            "rules/wires 2026+ü.md 1", "rules/wires 2026+ü.md 2", "rules/cards.md 1",
        }  # fmt: skip


async def test_a_bucket_of_many_pages_is_listed_whole(service: Service, server: str) -> None:
    bank = await bank_with_policies(service)
    there = bucket(server, "many")
    for number in range(1_001):
        there.put_object(Key=f"{number}.png", Body=b"\x89PNG")
    put(there, "zebra.md", "The last one of all.")
    async with reaching(service):
        source = await created(service, bank, f"{server}/many", "s3", credentials=KEYS)
        assert counted(await run(service, bank, source, dry_run=True)) == {"new": 1, "refused": 1_001}


async def test_a_bucket_that_is_not_there_or_has_no_keys_is_no_source(service: Service, server: str) -> None:
    bank = await bank_with_policies(service)
    async with reaching(service):
        ended = await run(service, bank, await created(service, bank, f"{server}/nobodys", "s3", credentials=KEYS))
        assert (ended["state"], ended["reason"]) == ("failed", "no_list")
        body = {"name": "x", "kind": "s3", "collection": "policies", "address": f"{server}/a"}
        refused = await service.post("/sources", bank, "admin", body)
        assert (refused.status_code, "access_key" in refused.text) == (422, True)
