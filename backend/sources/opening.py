"""Makes of a source what can be run: the connector of its kind, with the bounds that the operator set."""

import base64
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from backend.egress import Egress
from backend.settings import Settings
from backend.sources.asking import Asking, Pace, SourceHosts
from backend.sources.connector import Connector, SourceFailed
from backend.sources.connectors.graph import GraphDrive
from backend.sources.connectors.imap import ImapFolder
from backend.sources.connectors.s3 import S3Bucket
from backend.sources.connectors.web import Sitemap, Web
from backend.sources.connectors.webdav import DavFolder
from backend.sources.credentials import NEEDED
from backend.sources.stored import StoredSource
from backend.tls import shared


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What one run may cost."""

    run_seconds: float
    request_seconds: float
    requests_per_minute: int
    items: int
    files: int
    run_bytes: int
    file_bytes: int

    @classmethod
    def from_settings(cls, settings: Settings) -> "Bounds":
        """Returns what is configured."""
        return cls(
            run_seconds=settings.source_run_seconds, request_seconds=settings.source_seconds,
            requests_per_minute=settings.source_requests_per_minute, items=settings.source_items,
            files=settings.source_run_files, run_bytes=settings.source_run_bytes, file_bytes=settings.max_file_bytes,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """Opens sources."""

    egress: Egress
    hosts: SourceHosts
    bounds: Bounds
    # For what is no HTTPS.
    tls: ssl.SSLContext = field(default_factory=partial(shared, ssl.create_default_context), repr=False)

    def connector(self, source: StoredSource, credentials: Mapping[str, str]) -> Connector:
        """Returns the connector of a source; raises SourceFailed for one that cannot be opened."""
        bounds = self.bounds
        if (needed := NEEDED.get(source.kind, frozenset())) - credentials.keys():
            raise SourceFailed(
                "not_allowed", f"The source is asked with {' and '.join(sorted(needed))}; give them anew."
            )
        asking = self._asking(_proof(credentials))
        match source.kind:
            case "urls":
                urls = source.address.split()
                return Web(asking=asking, most_items=bounds.items, most_bytes=bounds.file_bytes, urls=urls)
            case "sitemap":
                return Sitemap(
                    asking=asking, most_items=bounds.items, most_bytes=bounds.file_bytes, sitemap=source.address
                )
            case "s3":
                return self._bucket(source, credentials)
            case "webdav":
                return DavFolder(
                    asking=asking, most_items=bounds.items, most_bytes=bounds.file_bytes, address=source.address
                )
            case "imap":
                return self._mail(source, credentials)
            case "graph":
                return self._library(source, credentials)
            case _:
                raise SourceFailed("unknown_kind", "This release knows no sources of this kind.")

    def _asking(self, headers: Mapping[str, str]) -> Asking:
        """Returns what sends requests of a run that begins now."""
        bounds = self.bounds
        until = time.monotonic() + bounds.run_seconds
        return Asking(self.egress, self.hosts, Pace(bounds.requests_per_minute), bounds.request_seconds, until, headers)

    def _bucket(self, source: StoredSource, credentials: Mapping[str, str]) -> S3Bucket:
        bounds, options = self.bounds, source.options
        return S3Bucket(
            asking=self._asking({}),
            most_items=bounds.items, most_bytes=bounds.file_bytes, address=source.address, prefix=options.get("prefix", ""),
            region=options.get("region", "us-east-1"), access_key=credentials["access_key"],
            secret_key=credentials["secret_key"],
        )  # fmt: skip

    def _mail(self, source: StoredSource, credentials: Mapping[str, str]) -> ImapFolder:
        bounds = self.bounds
        return ImapFolder(
            egress=self.egress, hosts=self.hosts, pace=Pace(bounds.requests_per_minute), seconds=bounds.request_seconds,
            until=time.monotonic() + bounds.run_seconds, tls=self.tls, address=source.address,
            username=credentials["username"], password=credentials["password"], most_items=bounds.items,
            most_bytes=bounds.file_bytes,
        )  # fmt: skip

    def _library(self, source: StoredSource, credentials: Mapping[str, str]) -> GraphDrive:
        bounds = self.bounds
        return GraphDrive(
            asking=self._asking({}), most_items=bounds.items, most_bytes=bounds.file_bytes, address=source.address,
            authority=source.options.get("authority", ""), client_id=credentials["client_id"],
            client_secret=credentials["client_secret"],
        )  # fmt: skip


def _proof(credentials: Mapping[str, str]) -> Mapping[str, str]:
    """Returns the headers by which a source is asked in a name."""
    if token := credentials.get("token"):
        return {"Authorization": f"Bearer {token}"}
    if "username" in credentials:
        pair = f"{credentials['username']}:{credentials.get('password', '')}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    return {}
