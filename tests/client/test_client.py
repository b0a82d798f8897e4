"""The client against the running service: a session that lives on, answers, uploads, keys, and what is refused."""

import asyncio
import dataclasses
import itertools
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import pytest
from anyio import to_thread

from backend.answers import models as answers
from backend.client import Chunk, Client, JobFailed, Progress, Refused, Unreachable, connection, models
from backend.client.reading import read
from backend.documents.files import models as files
from backend.identity.keys import models as keys
from backend.identity.sign_in import models as sign_in
from backend.jobs import models as jobs
from backend.retrieval import models as retrieval
from backend.review.exports import models as exports
from tests.factories import work
from tests.listening import listening
from tests.service import PASSWORD, Service, Tenant

pytestmark = pytest.mark.anyio

FEE = "An outgoing domestic wire transfer costs 25 dollars."
QUESTION = "What does an outgoing domestic wire transfer cost?"
T = TypeVar("T")

does = to_thread.run_sync  # the client waits for its answer, in a thread of its own


@pytest.fixture(scope="module")
async def url(service: Service) -> AsyncIterator[str]:
    async with listening(service) as address:
        yield address


@pytest.fixture(scope="module")
async def filled(tenant: Tenant, url: str) -> None:
    with signed_in(url, tenant, "editor") as editor:
        chunk = Chunk(doc_id="wires", chunk_text=FEE, source_type="policy", metadata={"country": "US"})
        assert await does(editor.documents.ingest, [chunk]) == 1


def signed_in(url: str, tenant: Tenant, username: str) -> Client:
    return Client.sign_in(url, tenant=tenant.slug, username=username, password=PASSWORD)


async def test_an_answer_is_the_same_whole_and_word_by_word(url: str, tenant: Tenant, filled: None) -> None:
    with signed_in(url, tenant, "analyst") as client:
        whole = await does(lambda: client.ask(QUESTION, collection="default", filters={"country": "US"}))

        def streamed() -> tuple[str, Any, Any]:
            with client.ask_streaming(QUESTION, previous_turn=whole.turn) as stream:
                return "".join(stream), stream.citations, stream.answer

        words, citations, answer = await does(streamed)
    assert words.startswith(FEE)
    assert words == answer.answer == whole.answer
    assert (answer.conversation, tuple(citations)) == (whole.conversation, answer.citations)
    cited = whole.citations[0]
    assert (whole.answer[cited.start : cited.end], cited.doc_id, cited.quote) == (FEE, "wires", FEE)


async def test_a_refusal_is_an_answer_and_a_mistake_is_an_exception(url: str, tenant: Tenant, filled: None) -> None:
    with signed_in(url, tenant, "analyst") as client:
        answer = await does(client.ask, "What is the capital of Mongolia?")
        assert (answer.refused, answer.answer, answer.citations) == (True, "", ())
        assert answer.reason
        with pytest.raises(Refused) as wrong:
            await does(lambda: client.ask(""))
        with pytest.raises(Refused) as streamed:
            await does(lambda: client.ask_streaming("").__enter__())
    assert (
        (wrong.value.status, wrong.value.code) == (streamed.value.status, streamed.value.code) == (422, "invalid_input")
    )
    assert wrong.value.request_id
    assert [field["field"] for field in wrong.value.fields] == ["body.question"]


async def test_what_is_found_names_its_place_and_its_record(
    service: Service, url: str, tenant: Tenant, filled: None
) -> None:
    with Client.with_key(url, tenant.partner_key) as partner:
        found = await does(lambda: partner.acting_for("employee-7", purpose="Portal").retrieve(QUESTION, k=1))
        assert (await does(partner.me)).kind == "key"
    assert [(context.doc_id, context.metadata["country"]) for context in found.contexts] == [("wires", "US")]
    event = (await service.get(f"/audit/events/{found.audit_event_id}", tenant, "compliance")).json()["event"]
    assert (event["principal"]["on_behalf_of"]["subject"], event["purpose"]) == ("employee-7", "Portal")


async def test_a_session_lives_on_and_threads_share_it(
    service: Service, url: str, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    with signed_in(url, tenant, "approver") as client:

        def ask_at_once(count: int) -> set[UUID]:
            with ThreadPoolExecutor(count) as pool:
                return {me.id for me in pool.map(lambda _: client.me(), range(count))}

        assert await does(ask_at_once, 4) == {tenant.users["approver"]}
        monkeypatch.setattr(connection, "monotonic", lambda: time.monotonic() + 15 * 60)
        assert await does(ask_at_once, 4) == {tenant.users["approver"]}
        sessions = (await service.get("/auth/sessions", tenant, "approver")).json()["sessions"]
        assert len([session for session in sessions if not session["current"]]) == 1
        # A session that somebody ended is opened anew with the password, which the client still has.
        for session in sessions:
            if not session["current"]:
                headers = await service.as_user(tenant, "approver")
                await service.client.delete(f"/auth/sessions/{session['id']}", headers=headers)
        assert (await does(client.me)).name == "approver"


async def test_a_file_is_uploaded_once_and_waited_for(
    service: Service, url: str, tenant: Tenant, tmp_path: Path
) -> None:
    good, bad = tmp_path / "limits.md", tmp_path / "bad.pdf"
    good.write_text("# Limits\n\nThe limit is 500 dollars.")
    bad.write_bytes(b"%PDF-1.7 and nothing else")
    told: list[Progress] = []
    with signed_in(url, tenant, "editor") as client:
        upload = await does(lambda: client.documents.upload(good, doc_id="limits", title="Limits", metadata={"a": 1}))
        failing = await does(client.documents.upload, bad)
        assert upload.job_id
        assert failing.job_id
        assert (await does(lambda: client.documents.upload(good, doc_id="limits"))).job_id == upload.job_id
        with pytest.raises(TimeoutError):
            await does(lambda: client.jobs.wait(upload.job_id, seconds=0))
        waiting = asyncio.create_task(does(client.jobs.wait, upload.job_id, told.append))
        await work(service)
        assert (await waiting).status == "succeeded"
        with pytest.raises(JobFailed, match=r"\w+ \w+"):
            await does(client.jobs.wait, failing.job_id)
        again = await does(lambda: client.documents.upload(good, doc_id="limits"))
        assert (again.job_id, again.document_version) == (None, 1)


async def test_a_key_is_made_used_rotated_and_revoked(url: str, tenant: Tenant) -> None:
    with signed_in(url, tenant, "admin") as admin:
        made = await does(
            lambda: admin.keys.create("robot", ["retrieval:query"], purpose="Nightly check", budgets={"tokens_day": 10})
        )
        rotated = await does(admin.keys.rotate, made.id, 0)
        with Client.with_key(url, rotated.key) as robot, Client.with_key(url, made.key) as old:
            assert (await does(robot.me)).name == "robot"
            with pytest.raises(Refused):
                await does(old.me)
            (listed,) = [key for key in await does(admin.keys.list) if key.name == "robot"]
            assert (listed.id, listed.purpose, listed.revoked_at) == (made.id, "Nightly check", None)
            await does(admin.keys.revoke, made.id)
            with pytest.raises(Refused) as refused:
                await does(robot.me)
    assert (refused.value.status, refused.value.code) == (401, "unauthenticated")


@contextmanager
def answering(*statuses: int) -> Iterator[tuple[str, Callable[[], int]]]:
    """A gateway that answers with these statuses in turn; yields its address, and how often it was asked."""
    waiting, asked = iter(statuses), itertools.count()

    class Gateway(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            next(asked)
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(next(waiting))
            self.send_header("retry-after", "0")
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Gateway) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", lambda: int(repr(asked)[6:-1])
        server.shutdown()


def test_a_question_that_may_be_on_record_is_not_asked_again() -> None:
    with answering(429, 503) as (url, asked), Client.with_key(url, "afd_x") as client:
        with pytest.raises(Refused, match="HTTP 503"):
            client.ask(QUESTION)
        assert asked() == 2
    with answering(503, 429, 404) as (url, asked), Client.with_key(url, "afd_x") as client:
        with pytest.raises(Refused, match="HTTP 404"):
            client.retrieve(QUESTION)
        assert asked() == 3


def test_nobody_at_the_address_is_said_at_once() -> None:
    with Client.with_key("http://127.0.0.1:9", "afd_x") as client, pytest.raises(Unreachable, match=r"127\.0\.0\.1:9"):
        client.me()


# The client's classes, and the bodies that they are read from.
BODIES = [
    (models.Tenant, sign_in.TenantSummary), (models.Me, sign_in.Me), (models.Citation, answers.Citation),
    (models.Answer, answers.AnswerResponse), (models.Context, retrieval.Context),
    (models.Retrieval, retrieval.RetrievalResponse), (models.Progress, jobs.JobProgress), (models.JobError, jobs.JobError),
    (models.Job, jobs.JobView), (models.StoredFile, files.FileSummary), (models.Upload, files.AcceptedFile),
    (models.Key, keys.KeySummary), (models.NewKey, keys.CreatedKey), (models.NewKey, keys.RotatedKey),
    (models.Export, exports.ExportView), (models.ExportPart, exports.ExportPart),
]  # fmt: skip


@pytest.mark.parametrize(("own", "body"), BODIES, ids=lambda kind: kind.__name__)
def test_its_classes_have_members_of_the_services(own: Any, body: Any) -> None:
    known = set(body.model_fields) | set(body.model_computed_fields)
    assert {field.name for field in dataclasses.fields(own)} <= known


def test_what_a_newer_service_says_more_is_left_out() -> None:
    assert read(Progress, {"done": 1, "total": None, "speed": {"pages": 7}}) == Progress(done=1)
