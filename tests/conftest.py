"""What every test can ask for: a real PostgreSQL, the service on a clone of a migrated template, and two tenants."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings
from passlib.context import CryptContext

from backend.embedded_postgres import EmbeddedPostgres
from backend.identity.sign_in import passwords
from backend.retrieval.embedding.embedder import LocalEmbedder
from tests.answers import model_server
from tests.answers.model_server import ModelServer
from tests.listening import listening
from tests.scratch import new_folder
from tests.service import Database, Secrets, Service, Tenant, cloned_database, postgres_server, running, settings_for

# Timings on a busy machine say nothing about correctness.
hypothesis_settings.register_profile("affidavit", deadline=None)
hypothesis_settings.load_profile("affidavit")

# Files that take longest, the longest first: of what `make test` runs and of what other targets do.
LONGEST = (
    "test_askcfpb", "test_hostile_requests", "test_processes", "test_exchange", "test_first_day", "test_forks", "test_upgrades",
    "test_crash", "test_restored", "test_sealer_crashes", "test_backup", "test_cli", "test_command_output",
    "test_access_matrix", "test_every_route", "test_faults", "test_approval", "test_tampering_pairs", "test_oracles",
    "test_revocation", "test_openai_hostile", "test_hostile_sources", "test_pool_safety", "test_key_encryption",
    "test_graph", "test_parsing_filings", "test_slow_sources", "test_parsing_pdf", "test_placement", "test_people",
    "test_joint_acts", "test_routes", "test_bad_files", "test_s3", "test_erasure", "test_calibration", "test_files",
    "test_embedding", "test_hostile_mail", "test_mcp_hostile", "test_fallback", "test_tampering", "test_seed",
    "test_lists", "test_infra", "test_cost", "test_parsing_bounds", "test_exports", "test_parsing_cases",
    "test_openai_files", "test_imap", "test_floors", "test_pages", "test_rights", "test_odd_files", "test_delivering",
    "test_hostile_receivers", "test_archiving",
)  # fmt: skip
SHARED_DATA = Path(__file__).resolve().parent.parent / "../shared/data"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--isolation-report", metavar="FOLDER", help="write isolation-report.md and .json into a folder")
    parser.addoption(
        "--oracles",
        type=int,
        default=1,
        metavar="N",
        help="ask N more questions about each column of each hidden row, as each role",
    )
    parser.addoption(
        "--fuzz-examples", type=int, metavar="N", help="fuzz the API as everybody, with N examples of every route"
    )
    parser.addoption(
        "--update-golden", action="store_true", help="rewrite golden files from what is there, to be reviewed as a diff"
    )


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def run_secrets() -> Secrets:
    return Secrets()


@pytest.fixture(scope="session")
def postgres(run_secrets: Secrets) -> Iterator[EmbeddedPostgres]:
    """A server of this test process, with a migrated database to clone from."""
    folder = new_folder() / "data"
    fast = {
        "fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "shared_buffers": "128MB",
        "max_wal_size": "256MB",
    }  # fmt: skip
    try:
        with postgres_server(folder, run_secrets, fast) as server:
            yield server
    finally:
        shutil.rmtree(folder.parent, ignore_errors=True)


@pytest.fixture(scope="module", autouse=True)
def cheap_passwords() -> Iterator[None]:
    """Lets the hash of a password cost the least that argon2id can: the suite makes thousands, of 50 ms and 46 MiB each.

    A module whose subject is that cost has a fixture of this name that does nothing.
    """
    cheap = CryptContext(
        ["argon2"], argon2__type="ID", argon2__memory_cost=8, argon2__time_cost=1, argon2__parallelism=1
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(passwords, "_ARGON2ID", cheap)
        patched.setattr(passwords, "DUMMY_HASH", passwords.DUMMY_HASH.replace(f"m={passwords.MEMORY_KIB}", "m=8"))
        yield


@pytest.fixture(scope="module")
async def database(postgres: EmbeddedPostgres) -> AsyncIterator[Database]:
    async with cloned_database(postgres) as cloned:
        yield cloned


@pytest.fixture(scope="session")
def model_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder shared by all processes of a run, so that the model is built once."""
    home = tmp_path_factory.getbasetemp().parent / "affidavit-test-home"
    home.mkdir(exist_ok=True)
    return home


@pytest.fixture(scope="session")
def embedder(model_home: Path) -> LocalEmbedder:
    """The built-in model, for tests that need no service."""
    return LocalEmbedder.load(model_home / "models")


@pytest.fixture(scope="module")
async def service(database: Database, run_secrets: Secrets, model_home: Path) -> AsyncIterator[Service]:
    async with running(settings_for(database, run_secrets, model_home), database) as started:
        yield started


@pytest.fixture(scope="module")
async def address(service: Service) -> AsyncIterator[str]:
    """Where the service listens, for clients that need a socket."""
    async with listening(service) as url:
        yield url


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    """A model server that says what a test tells it to."""
    with model_server.running() as started:
        yield started


@pytest.fixture(scope="module")
async def with_model(
    model: ModelServer, database: Database, run_secrets: Secrets, model_home: Path
) -> AsyncIterator[Service]:
    """The service on the same database, answering with the model server."""
    settings = settings_for(database, run_secrets, model_home, model_url=model.url, model_name="m")
    async with running(settings, database) as started:
        yield started


@pytest.fixture
def patient_status(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets a stream wait for its status: one that fails at once has that of its failure, however slow the machine is."""
    monkeypatch.setattr("backend.answers.routes._STATUS_SECONDS", 60.0)


@pytest.fixture(scope="module")
async def tenant(service: Service) -> Tenant:
    return await service.create_tenant()


@pytest.fixture(scope="module")
async def other_tenant(service: Service) -> Tenant:
    return await service.create_tenant()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Lets the files that take longest begin first, so that no process is left alone with one at the end."""
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))
