"""Collects what the isolation tests find out, and writes the report when pytest runs with --isolation-report=FOLDER."""

import asyncio
import platform
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import asyncpg
import pytest

from backend.embedded_postgres import EmbeddedPostgres
from tests.isolation import findings as reports
from tests.isolation.attacks import ATTACKS, SHOWN_BY_POSTGRES
from tests.isolation.findings import Findings

_PACKAGES = ("affidavit", "fastapi", "asyncpg", "python-jose", "cryptography", "libpass")
_SHOWN_CHARACTERS = 1_000  # of a statement, some of which are a megabyte
_ATTACK_TEST = "test_injected_sql_reads_changes_and_detects_nothing["


@pytest.fixture(scope="session")
def findings(pytestconfig: pytest.Config) -> Findings:
    found: Findings = pytestconfig.stash.setdefault(_FINDINGS, {})
    return found


_FINDINGS = pytest.StashKey[Findings]()
_OUTCOMES = pytest.StashKey[dict[str, str]]()


@pytest.fixture(scope="session", autouse=True)
def database_version(postgres: EmbeddedPostgres, findings: Findings) -> None:
    async def ask() -> None:
        connection = await asyncpg.connect(postgres.urls()["owner_url"])
        findings["postgresql"] = await connection.fetchval("show server_version")
        findings["pgvector"] = await connection.fetchval("select extversion from pg_extension where extname = 'vector'")
        await connection.close()

    asyncio.run(ask())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.when == "call" or report.outcome != "passed":
        item.config.stash.setdefault(_OUTCOMES, {})[item.nodeid] = report.outcome
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    folder = session.config.getoption("isolation_report")
    if folder is None or hasattr(session.config, "workerinput"):
        return
    found = session.config.stash.get(_FINDINGS, {})
    outcomes = session.config.stash.get(_OUTCOMES, {})
    found["time"] = datetime.now(UTC).isoformat(timespec="seconds")
    found["tests"] = {
        "passed": sum(outcome == "passed" for outcome in outcomes.values()),
        "skipped": sum(outcome == "skipped" for outcome in outcomes.values()),
        "failed": sum(outcome not in {"passed", "skipped"} for outcome in outcomes.values()),
    }
    found["versions"] = {
        "PostgreSQL": found.pop("postgresql", "unknown"), "pgvector": found.pop("pgvector", "unknown"),
        "Python": platform.python_version(), **{name: version(name) for name in _PACKAGES},
    }  # fmt: skip
    held = {
        name.split(_ATTACK_TEST)[1].rstrip("]"): outcome for name, outcome in outcomes.items() if _ATTACK_TEST in name
    }
    found["attacks"] = [
        {
            "name": attack.name, "role": attack.role, "held": held[key] == "passed",
            "statements": [statement[:_SHOWN_CHARACTERS] for statement in attack.statements],
        }
        for attack in ATTACKS
        if (key := attack.name.replace(" ", "_")) in held
    ]  # fmt: skip
    found["shown_by_postgres"] = list(SHOWN_BY_POSTGRES)
    reports.write(found, Path(folder))
