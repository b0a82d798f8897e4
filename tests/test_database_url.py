"""Addresses of databases as hosting providers hand them out."""

import asyncpg
import pytest
from pydantic import ValidationError

from backend.database_url import connection_url
from backend.embedded_postgres import EmbeddedPostgres
from backend.migration import migrate
from backend.settings import Settings
from tests.service import Database, Secrets, running, settings_for


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("postgres://u:p@db.example/affidavit", "postgresql://u:p@db.example/affidavit"),
        ("postgresql+asyncpg://u:p@db/affidavit", "postgresql://u:p@db/affidavit"),
        ("postgresql://u:p%40ss@db/a?sslmode=require&channel_binding=require", "postgresql://u:p%40ss@db/a?sslmode=require"),
        ("postgres://u:p@a:5432,b:5433/d?target_session_attrs=read-write", "postgresql://u:p@a:5432,b:5433/d?target_session_attrs=read-write"),
        ("postgres://u:p@db/d?pgbouncer=true&connect_timeout=10", "postgresql://u:p@db/d"),
        ("postgresql://u:p@db/d?ssl=verify-full", "postgresql://u:p@db/d?sslmode=verify-full"),
        ("postgresql://u:p@db/d?options=-c%20work_mem%3D8MB", "postgresql://u:p@db/d?options=-c+work_mem%3D8MB"),
    ],
)  # fmt: skip
def test_an_address_is_read_as_the_driver_takes_it(given: str, taken: str) -> None:
    assert connection_url(given) == taken
    settings = Settings(runtime_database_url=given)
    assert settings.runtime_database_url is not None
    assert settings.runtime_database_url.get_secret_value() == taken


@pytest.mark.parametrize("given", ["mysql://u:secret@db/d", "secret", "//secret"])
def test_what_is_no_address_is_refused_without_repeating_it(given: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(database_url=given)
    assert "secret" not in str(refused.value)
    assert "must begin with postgresql://" in str(refused.value)


@pytest.mark.anyio
async def test_the_service_runs_at_an_address_with_everything_in_it(
    postgres: EmbeddedPostgres, database: Database, run_secrets: Secrets, model_home: object
) -> None:
    address = database.runtime_url.partition("@")[2]
    credentials = database.runtime_url.partition("://")[2].partition("@")[0]
    host, name = address.split("/")
    query = "sslmode=prefer&application_name=api&options=-c%20statement_timeout%3D20s&target_session_attrs=read-write&channel_binding=prefer"
    given = f"postgres://{credentials}@127.0.0.1:1,{host}/{name}?{query}"  # nobody listens at the first host
    settings = Settings(runtime_database_url=given)
    changed = settings_for(database, run_secrets, model_home).model_copy(  # type: ignore[arg-type]
        update={"runtime_database_url": settings.runtime_database_url}
    )
    async with running(changed, database) as service:
        assert (await service.ready()).status_code == 200
        tenant = await service.create_tenant()
        assert (await service.post("/retrieve", tenant, "analyst", {"query": "wires"})).status_code == 200
    assert settings.runtime_database_url is not None
    connection = await asyncpg.connect(settings.runtime_database_url.get_secret_value())
    try:
        row = await connection.fetchrow(
            "select current_setting('application_name'), current_setting('statement_timeout')"
        )
        assert tuple(row) == ("api", "20s")
    finally:
        await connection.close()


def test_the_owner_migrates_at_such_an_address(postgres: EmbeddedPostgres) -> None:
    url = postgres.urls()["owner_url"].replace("postgresql://", "postgresql+asyncpg://")
    assert migrate(f"{url}?sslmode=prefer&application_name=migrate&target_session_attrs=any") == []
