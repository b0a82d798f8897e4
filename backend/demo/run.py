"""`affidavit demo`: an embedded PostgreSQL, two tenants, service and sealer in one process, and a worker."""

import asyncio
import json
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
import uvloop
from fastapi import FastAPI
from rich.console import Console

from backend import http_server
from backend.app import create_app
from backend.demo import seed
from backend.demo.home import CHECKPOINT_KEY_NAME, DemoHome, DemoHomeInUse, write_private
from backend.demo.worker_process import running_worker
from backend.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError
from backend.ledger import process as sealing
from backend.migration import migrate, store_context_key
from backend.settings import Settings
from backend.tenancy import ContextSigner

console = Console(highlight=False, soft_wrap=True)


class DemoError(Exception):
    """The demo cannot start; the message says why and what to do."""


def run(settings: Settings, port: int) -> None:
    """Runs until interrupted; a second run on the same folder keeps all data. Raises DemoError."""
    # Termination must come as an exception, or PostgreSQL would be left running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    home = DemoHome(settings.home_folder)
    try:
        with home.locked(), _listener(port) as listener, _started(home) as postgres:
            configured = _configured(settings, home, postgres, port)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(_serve(configured, home, postgres.urls()["owner_url"], listener))
    except (DemoHomeInUse, EmbeddedPostgresError) as error:
        raise DemoError(str(error)) from error
    except KeyboardInterrupt:
        console.print("Stopped; the next start keeps everything.")


@contextmanager
def _listener(port: int) -> Iterator[socket.socket]:
    """Takes the port before anything is started."""
    try:
        listener = socket.create_server(("127.0.0.1", port))
    except OSError as error:
        message = f"port {port} is in use; choose another with --port"
        raise DemoError(message) from error
    with listener:
        yield listener


@contextmanager
def _started(home: DemoHome) -> Iterator[EmbeddedPostgres]:
    """Starts PostgreSQL with this version's schema, and stops it in the end."""
    postgres = home.postgres()
    with console.status("Starting PostgreSQL"):
        postgres.start()
    try:
        postgres.prepare_roles()
        write_private(home.folder / "database.json", postgres.urls())
        owner_url = postgres.urls()["owner_url"]
        with console.status("Migrating"):
            migrate(owner_url)
        asyncio.run(store_context_key(owner_url, ContextSigner(home.secrets()["context_key"])))
        yield postgres
    finally:
        postgres.stop()


def _configured(settings: Settings, home: DemoHome, postgres: EmbeddedPostgres, port: int) -> Settings:
    known = home.secrets()
    own = {name: known[name] for name in ("context_key", "payload_key", "jwt_private_key", "checkpoint_key")}
    own |= {f"{role}_database_url": postgres.urls()[f"{role}_url"] for role in ("runtime", "sealer", "operator")}
    address = {"public_url": f"http://127.0.0.1:{port}"}
    chosen: dict[str, Any] = address | settings.model_dump(exclude_unset=True) | own
    return Settings(
        **chosen | {
            "checkpoint_key_name": CHECKPOINT_KEY_NAME,
            "checkpoint_public_key": home.checkpoint_public_key(),
            "checkpoint_folder": home.folder / "checkpoints",
        }
    )  # fmt: skip


async def _serve(settings: Settings, home: DemoHome, owner_url: str, listener: socket.socket) -> None:
    app = create_app(settings)
    if not home.credentials_path.exists():
        await _fill(app, home, owner_url)
    credentials = json.loads(home.credentials_path.read_text())
    credentials["base_url"] = f"http://127.0.0.1:{listener.getsockname()[1]}"
    write_private(home.credentials_path, credentials)
    sealer = asyncio.create_task(sealing.run(settings))
    try:
        async with running_worker(settings):
            await _GreetingServer(app, _greeting(credentials, home)).serve(sockets=[listener])
    finally:
        sealer.cancel()
        await asyncio.gather(sealer, return_exceptions=True)


class _GreetingServer(uvicorn.Server):
    """Says what to try once it serves."""

    def __init__(self, app: FastAPI, greeting: str) -> None:
        super().__init__(uvicorn.Config(app, **http_server.options()))
        self._greeting = greeting

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts to serve, and greets."""
        await super().startup(sockets)
        if self.started:
            console.print(self._greeting, markup=False)


async def _fill(app: FastAPI, home: DemoHome, owner_url: str) -> None:
    """Makes tenants and documents; goes on where an interrupted first start stopped."""
    console.print("First start: making two tenants.")
    unfinished = home.folder / "demo-credentials.unfinished.json"
    if not unfinished.exists():
        write_private(unfinished, await seed.create_tenants(owner_url))
    async with app.router.lifespan_context(app):
        await seed.submit_documents(app, json.loads(unfinished.read_text()), console.print)
    unfinished.rename(home.credentials_path)


def _greeting(credentials: dict[str, Any], home: DemoHome) -> str:
    base_url, tenant = credentials["base_url"], credentials["tenants"][0]
    passwords = {user["username"]: user["password"] for user in tenant["users"]}

    def sign_in(username: str) -> str:
        form = f"-d client_id={tenant['slug']} -d username={username} -d password={passwords[username]}"
        return f"""TOKEN=$(curl -s {base_url}/auth/token {form} | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')"""

    return f"""
Open {base_url}/console and sign in: {tenant["slug"]}, analyst, {passwords["analyst"]}

The API is at {base_url}/docs, for agents at {base_url}/mcp, and for programs that speak OpenAI's at {base_url}/v1
Users, passwords and keys: {home.credentials_path}

Ask a question as an analyst of {tenant["slug"]}:

  {sign_in("analyst")}
  curl -s {base_url}/answer -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \\
    -d '{{"question": "How long do customers have to dispute a billing error on a credit card statement?"}}'

Then read what is on record, as its compliance officer:

  {sign_in("compliance")}
  curl -s '{base_url}/audit/events?limit=3' -H "Authorization: Bearer $TOKEN"

Ctrl-C stops it; the next start keeps everything.
"""
