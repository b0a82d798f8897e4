"""Documents: files, and ready-made chunks."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .connection import Connection
from .models import Chunk, StoredFile, Upload
from .reading import read


class Documents:
    """The documents that the caller may write."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def ingest(self, chunks: Iterable[Chunk]) -> int:
        """Stores ready-made chunks, at most 1,000, all or none, and returns how many; raises Refused."""
        told = self._connection.post("/ingest/batch", {"chunks": [asdict(chunk) for chunk in chunks]})
        return int(told["ingested"])

    def files(self, doc_id: str, collection: str = "default", limit: int = 20) -> tuple[StoredFile, ...]:
        """Returns the files that were uploaded to a document, newest first; raises Refused."""
        told = self._connection.get("/documents/files", doc_id=doc_id, collection=collection, limit=limit)
        return tuple(read(StoredFile, file) for file in told["files"])

    def upload(
        self,
        path: Path,
        *,
        doc_id: str | None = None,
        collection: str = "default",
        source_type: str = "document",
        title: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        replace: bool = False,
    ) -> Upload:
        """Uploads a file, of which a job makes the next version of its document, unless the service has the same file already.

        The document is called by the file's name where `doc_id` is unset. `jobs.wait` waits for the job. Raises Refused.
        """
        name, digest = doc_id or path.name, _sha256(path)
        known = next((file for file in self.files(name, collection, 5) if file.is_latest or _waits(file)), None)
        if known is not None and known.sha256 == digest:
            job = known.job_id if _waits(known) else None
            return Upload(doc_id=name, sha256=digest, job_id=job, document_version=known.document_version)
        fields = {
            "doc_id": name, "collection": collection, "source_type": source_type,
            "metadata": json.dumps(dict(metadata or {})), "replace": str(replace).lower(),
        }  # fmt: skip
        with path.open("rb") as content:
            form = fields | ({"title": title} if title else {})
            sent = self._connection.send("POST", "/documents", data=form, files={"file": (path.name, content)})
        return read(Upload, sent.json())


def _waits(file: StoredFile) -> bool:
    return file.job_status in {"queued", "running"}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
