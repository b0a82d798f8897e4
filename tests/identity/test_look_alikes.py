"""Nobody gets a name that a reader of the log takes for somebody else's."""

import asyncpg
import pytest

from backend.identity.users import names
from tests.factories import create_user
from tests.gateways.provider import provider_of
from tests.service import PASSWORD, Service, Tenant

pytestmark = pytest.mark.anyio

LOOK_ALIKES = {
    "a Cyrillic letter among Latin ones": "\u0430dmin",
    "a Cyrillic letter within": "com\u0440liance",
    "in capitals": "\u0410DMIN",
    "a Greek letter": "analyst\u03bf",
    "an Armenian letter": "ed\u0456t\u0585r",
    "Cyrillic letters alone": "\u0441\u043e\u0440\u0430",
    "Cyrillic letters alone, at an address": "\u0441\u043e\u0440\u0430@bank.example",
    "Cyrillic letters alone, beside a number": "\u0441\u043e\u0440\u0430.2",
    "Greek letters alone": "\u03bd\u03b9\u03bf",
    "a letter of phoneticians": "\u0251dmin",
    "small capitals": "\u1d00\u1d05\u1d0d\u026a\u0274",
    "digits of two kinds": "jane1\u0661",
    "two alphabets that are never together": "\u30a2\uac00",
    "Greek and Cyrillic": "\u03b3\u0436",
}
OWN = [
    "o'neil@bank.example", "j\u00fcrgen.m\u00fcller", "jos\u00e9", "nguy\u1ec5n.v\u0103n", "\u0131\u015f\u0131k", "a_b-c+d.2",
    "\u7530\u4e2d", "\u7530\u4e2d\u3055\u3093", "\u30b5\u30fc\u30c8\u30b7", "\u4f50\u3005\u6728tanaka", "\uae40\u6c11\uc218kim",
    "\u043e\u043a\u0441\u0430\u043d\u0430", "\u043e\u043a\u0441\u0430\u043d\u0430@bank.example", "\u0441\u0430\u0440\u0430.\u0438\u0432\u0430\u043d\u043e\u0432\u0430",
    "\u03b3\u03b9\u03ac\u03bd\u03bd\u03b7\u03c2", "\u0561\u0580\u0574\u0565\u0576", "\u05d3\u05d5\u05d3", "\u0645\u062d\u0645\u062f\u0661\u0662", "k\u0254fi", "2",
]  # fmt: skip


@pytest.mark.parametrize("case", LOOK_ALIKES)
def test_a_look_alike_is_no_name_to_have_from_now_on(case: str) -> None:
    with pytest.raises(names.UnacceptableName, match="alphabet"):
        names.new(LOOK_ALIKES[case])


@pytest.mark.parametrize("name", OWN)
def test_people_have_names_in_their_own_alphabets(name: str) -> None:
    assert names.new(name) == names.fold(name)


async def test_no_door_gives_one(service: Service, tenant: Tenant) -> None:
    wanted = {"username": "\u0430nalyst", "password": PASSWORD, "roles": ["analyst"]}
    refused = await service.post("/users", tenant, "admin", wanted)
    assert (refused.status_code, "body.username" in refused.json()["detail"]) == (422, True), refused.text
    own = await service.create_tenant()
    provider = await provider_of(service, own)
    made = await provider.ask("POST", "/Users", {"schemas": [], "userName": "\u0430dmin"})
    assert (made.status_code, made.json()["scimType"]) == (400, "invalidValue"), made.text
    kept = await provider.user("ordinary")
    renamed = await provider.patch(f"/Users/{kept['id']}", {"op": "replace", "path": "userName", "value": "\u0430dmin"})
    assert (renamed.status_code, renamed.json()["scimType"]) == (400, "invalidValue"), renamed.text


async def test_who_has_such_a_name_from_before_keeps_it_and_signs_in(service: Service) -> None:
    """An upgrade locks nobody out; an administrator can tell these by their ids."""
    tenant = await service.create_tenant()
    provider = await provider_of(service, tenant)
    user, kept = await create_user(service, tenant, "before", "analyst"), await provider.user("kept")
    superuser = await asyncpg.connect(service.database.superuser_url)
    for name, one in (("\u0430nalyst", user), ("\u0430dmin", kept)):
        await superuser.execute("""update identity."user" set username = $2 where id = $1""", one["id"], name)
    await superuser.execute(
        "update identity.provisioned_user set user_name = $2 where user_id = $1", kept["id"], "\u0430dmin"
    )
    await superuser.close()
    form = {"username": "\u0410nalyst", "password": PASSWORD, "client_id": tenant.slug}
    assert (await service.client.post("/auth/token", data=form)).status_code == 200
    changed = await provider.patch(f"/Users/{kept['id']}", {"op": "replace", "path": "displayName", "value": "Kept"})
    assert (changed.status_code, changed.json()["userName"]) == (200, "\u0430dmin"), changed.text
