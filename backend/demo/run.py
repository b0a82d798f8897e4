"""`affidavit demo`: an embedded PostgreSQL, two tenants, service and sealer in one process, and a worker."""

import asyncio
import json
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import uvicorn
import uvloop
from fastapi import FastAPI

from backend import http_server, logging
from backend.app import create_prepared_app
from backend.command_output import CommandResult, doing, remark, tell
from backend.demo import intranet, seed, webhooks
from backend.demo.entrance import LASTS_SECONDS, Entrance
from backend.demo.home import CHECKPOINT_KEY_NAME, DemoHome, DemoHomeInUse, write_private
from backend.demo.small_model import SmallModelMissing
from backend.demo.small_model import serving as small_model_serving
from backend.demo.worker_process import running_worker
from backend.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError
from backend.metrics import exposed
from backend.migration import migrate, store_context_key
from backend.sealer import seal_and_measure
from backend.settings import Settings
from backend.tenancy import ContextSigner


class DemoError(Exception):
    """The demo cannot start; the message says why and what to do."""


def run(settings: Settings, port: int, *, small_model: bool = False) -> None:
    """Runs until interrupted; a second run on the same folder keeps all data. Raises DemoError.

    With `small_model` a small language model on this machine answers, in place of the built-in generator.
    """
    # Termination must come as an exception, or PostgreSQL would be left running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    home = DemoHome(settings.home_folder)
    try:
        with ExitStack() as stack:
            stack.enter_context(home.locked())
            listener = stack.enter_context(_listener(port))
            model = stack.enter_context(small_model_serving()) if small_model else None
            postgres = stack.enter_context(_started(home))
            configured = _configured(settings, home, postgres, listener.getsockname()[1])
            if model is not None:
                configured = configured.model_copy(update={"models": [model]})
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(_serve(configured, home, postgres.urls()["owner_url"], listener))
    except (DemoHomeInUse, EmbeddedPostgresError, SmallModelMissing) as error:
        raise DemoError(str(error)) from error
    except KeyboardInterrupt:
        return


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
    with doing("Starting PostgreSQL"):
        postgres.start()
    try:
        postgres.prepare_roles()
        write_private(home.folder / "database.json", postgres.urls())
        owner_url = postgres.urls()["owner_url"]
        with doing("Migrating"):
            migrate(owner_url)
        asyncio.run(store_context_key(owner_url, ContextSigner(home.secrets()["context_key"])))
        yield postgres
    finally:
        postgres.stop()


def _configured(settings: Settings, home: DemoHome, postgres: EmbeddedPostgres, port: int) -> Settings:
    known = home.secrets()
    own = {name: known[name] for name in ("context_key", "payload_key", "jwt_private_key", "checkpoint_key")}
    own |= {f"{role}_database_url": postgres.urls()[f"{role}_url"] for role in ("runtime", "sealer", "operator")}
    # The demo tells itself by a webhook and fetches pages from itself; it calls nobody else, here or elsewhere, unless told to.
    itself = [f"127.0.0.1:{port}"]
    here = {
        "public_url": f"http://127.0.0.1:{port}", "webhook_hosts": itself, "webhook_own_machine": True,
        "source_hosts": itself, "source_own_machine": True,
    }  # fmt: skip
    chosen: dict[str, Any] = here | settings.model_dump(exclude_unset=True) | own
    return Settings(
        **chosen | {
            "checkpoint_key_name": CHECKPOINT_KEY_NAME,
            "checkpoint_public_key": home.checkpoint_public_key(),
            "checkpoint_folder": home.folder / "checkpoints",
        }
    )  # fmt: skip


async def _serve(settings: Settings, home: DemoHome, owner_url: str, listener: socket.socket) -> None:
    app = create_prepared_app(settings)
    if not home.credentials_path.exists():
        await _fill(app, home, owner_url, f"http://127.0.0.1:{listener.getsockname()[1]}")
    credentials = json.loads(home.credentials_path.read_text())
    credentials["base_url"] = f"http://127.0.0.1:{listener.getsockname()[1]}"
    write_private(home.credentials_path, credentials)
    entrance = _entrance(credentials)
    entrance.install(app)
    beside = [asyncio.create_task(seal_and_measure(settings))]
    for endpoint in credentials.get("webhooks", ()):  # a home of an earlier release has none
        webhooks.DemoReceiver(endpoint["secret"]).install(app)
        tenant = next(each for each in credentials["tenants"] if each["slug"] == endpoint["tenant"])
        beside.append(asyncio.create_task(webhooks.show(tenant, endpoint, credentials["base_url"])))
    intranet.install(app)
    beside.append(asyncio.create_task(intranet.show(credentials["tenants"][0], credentials["base_url"])))
    try:
        with exposed(settings.metrics_host, settings.metrics_port):
            async with running_worker(settings):
                await _GreetingServer(app, _greeting(credentials, home, entrance)).serve(sockets=[listener])
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)


class _GreetingServer(http_server.SettledServer):
    """Says what to try once it serves."""

    def __init__(self, app: FastAPI, greeting: CommandResult) -> None:
        super().__init__(uvicorn.Config(app, **http_server.options()))
        self._greeting = greeting

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts to serve, and greets."""
        await super().startup(sockets)
        if self.started:
            tell(self._greeting)


async def _fill(app: FastAPI, home: DemoHome, owner_url: str, base_url: str) -> None:
    """Makes tenants and documents; goes on where an interrupted first start stopped."""
    remark("First start: making two tenants.")
    unfinished = home.folder / "demo-credentials.unfinished.json"
    if not unfinished.exists():
        write_private(unfinished, await seed.create_tenants(owner_url))
    with logging.quiet(), doing("Adding documents"):
        async with app.router.lifespan_context(app):
            credentials = json.loads(unfinished.read_text())
            if "webhooks" not in credentials:
                credentials["webhooks"] = [await webhooks.create(app, credentials["tenants"][0], base_url)]
                write_private(unfinished, credentials)
            await seed.submit_documents(app, credentials, remark)
            await seed.provision(app, credentials, remark)
            await seed.evaluate(app, credentials, remark)
    unfinished.rename(home.credentials_path)


def _entrance(credentials: dict[str, Any]) -> Entrance:
    """Returns the link for the user who sees most; a home of an earlier release has only an analyst."""
    tenant = credentials["tenants"][0]
    passwords = {user["username"]: user["password"] for user in tenant["users"]}
    username = seed.GUIDE if seed.GUIDE in passwords else "analyst"
    return Entrance(tenant["slug"], username, passwords[username])


def _greeting(credentials: dict[str, Any], home: DemoHome, entrance: Entrance) -> CommandResult:
    base_url, tenant = credentials["base_url"], credentials["tenants"][0]
    passwords = {user["username"]: user["password"] for user in tenant["users"]}

    named = f"analyst@{tenant['domain']}" if "domain" in tenant else tenant["slug"]  # an earlier release gave none

    def sign_in(username: str) -> str:
        form = f"-d client_id={tenant['slug']} -d username={username} -d password={passwords[username]}"
        return f"""TOKEN=$(curl -s {base_url}/auth/token {form} | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')"""

    words = f"""
Open this link, which signs in once and within {LASTS_SECONDS // 60} minutes, and ask:

  {base_url}{entrance.path()}

Or sign in at {base_url}/console: {named}, analyst, {passwords["analyst"]}

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
    facts = {"base_url": base_url, "sign_in": f"{base_url}{entrance.path()}", "credentials": home.credentials_path}
    return CommandResult(facts, words)
