"""Uploads files and folders through the API, for `affidavit ingest`: can be stopped and repeated at any time."""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from backend.documents.parsing.errors import ParseError
from backend.documents.parsing.formats import declared_format

_BUSY = {429, 503}
_ATTEMPTS = 8
_POLL_SECONDS = 0.5


class UploadRefused(Exception):
    """The service refuses; the message says what."""


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file to upload, and what its document is called."""

    path: Path
    doc_id: str


@dataclass(slots=True)
class Summary:
    """What became of the files."""

    ingested: int = 0
    unchanged: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Credentials:
    """An API key, or a user's name and password."""

    tenant: str
    key: str | None = None
    username: str | None = None
    password: str | None = None


class Uploader:
    """Speaks to the service as one principal."""

    def __init__(self, client: httpx.Client, credentials: Credentials) -> None:
        """Raises UploadRefused unless the credentials are good and of the tenant."""
        self._client = client
        self._credentials = credentials
        self._sign_in()
        known = self._request("GET", "/auth/me").json()["tenant"]["slug"]
        if known != credentials.tenant:
            raise UploadRefused(f"the key is of the tenant {known}, not of {credentials.tenant}")

    def upload(self, file: LocalFile, fields: dict[str, str]) -> str | None:
        """Uploads a file unless the service has it, and returns the job to wait for, or None when there is none."""
        asked = {"collection": fields["collection"], "doc_id": file.doc_id, "limit": "5"}
        digest = _sha256(file.path)
        for known in self._request("GET", "/documents/files", params=asked).json()["files"]:
            waiting = known["job_status"] in {"queued", "running"}
            if waiting or known["is_latest"]:
                if known["sha256"] == digest:
                    return str(known["job_id"]) if waiting else None
                break
        with file.path.open("rb") as content:
            form = {"files": {"file": (file.path.name, content)}, "data": {**fields, "doc_id": file.doc_id}}
            accepted = self._request("POST", "/documents", before=lambda: content.seek(0), **form).json()
        job: str | None = accepted["job_id"]
        return job

    def wait(self, job_id: str, warn: Callable[[str], object] = lambda _: None) -> str | None:
        """Waits for the end of a job and returns why it failed, or None when it succeeded; what is told goes to `warn`."""
        while True:
            job = self._request("GET", f"/jobs/{job_id}").json()
            if job["status"] == "succeeded":
                for warning in (job["result"] or {}).get("warnings", ()):
                    warn(f"{warning['kind']}: {warning['place']}")
                return None
            if job["status"] in {"failed", "cancelled"}:
                return str(job["error"]["detail"] if job["error"] else job["status"])
            time.sleep(_POLL_SECONDS)

    def _sign_in(self) -> None:
        credentials = self._credentials
        token = credentials.key
        if token is None:
            form = {"username": credentials.username, "password": credentials.password, "client_id": credentials.tenant}
            answer = self._client.post("/auth/token", data=form)
            if answer.status_code != httpx.codes.OK:
                raise UploadRefused("the service does not know this user, tenant and password")
            token = answer.json()["access_token"]
        self._client.headers["Authorization"] = f"Bearer {token}"

    def _request(
        self,
        method: str,
        path: str,
        before: Callable[[], object] | None = None,
        **more: Any,  # noqa: ANN401 - what httpx takes
    ) -> httpx.Response:
        """Sends a request, again while the service is busy or away, and once more when the token has run out."""
        for attempt in range(_ATTEMPTS):
            if before is not None:
                before()
            try:
                answer = self._client.request(method, path, **more)
            except httpx.TransportError:
                time.sleep(2**attempt / 4)
                continue
            if answer.status_code in _BUSY:
                time.sleep(int(answer.headers.get("retry-after", 1)))
            elif answer.status_code == httpx.codes.UNAUTHORIZED and self._credentials.key is None and attempt == 0:
                self._sign_in()
            elif answer.is_success:
                return answer
            else:
                raise UploadRefused(answer.json()["detail"])
        raise UploadRefused("the service does not answer")


def files_below(paths: Iterable[Path]) -> tuple[list[LocalFile], list[Path]]:
    """Returns the files of supported types, and those of others; documents of a folder are called by their path in it."""
    found, others = [], []
    for path in paths:
        for file in sorted(_walk(path)):
            try:
                declared_format(file.name, None)
            except ParseError:
                others.append(file)
                continue
            found.append(LocalFile(file, file.relative_to(path).as_posix() if path.is_dir() else file.name))
    return found, others


def _walk(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    elif path.is_dir() and not path.is_symlink():
        for entry in path.iterdir():
            if not entry.name.startswith("."):
                yield from _walk(entry)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
