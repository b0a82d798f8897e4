"""`affidavit demo`: an embedded PostgreSQL, two tenants, and the service, in one process."""

import asyncio
import json
from pathlib import Path

import uvicorn
from rich.console import Console

from backend.app import create_app
from backend.audit import sealing
from backend.demo import seed
from backend.demo.home import CHECKPOINT_KEY_NAME, DemoHome, write_private
from backend.migration import migrate, store_context_key
from backend.settings import Settings
from backend.tenancy import ContextSigner

console = Console(highlight=False, soft_wrap=True)


def run(settings: Settings, port: int) -> None:
    """Runs until interrupted; a second run on the same folder keeps all data."""
    home = DemoHome(settings.home_folder)
    known = home.secrets()
    postgres = home.postgres()
    with console.status("Starting PostgreSQL"):
        postgres.start()
    try:
        postgres.prepare_roles()
        write_private(home.folder / "database.json", postgres.urls())
        with console.status("Migrating"):
            migrate(postgres.urls()["owner_url"])
        asyncio.run(store_context_key(postgres.urls()["owner_url"], ContextSigner(known["context_key"])))
        configured = Settings(
            **settings.model_dump(exclude_unset=True) | {
                "runtime_database_url": postgres.urls()["runtime_url"], "sealer_database_url": postgres.urls()["sealer_url"],
                "operator_database_url": postgres.urls()["operator_url"],
                "context_key": known["context_key"], "payload_key": known["payload_key"],
                "jwt_private_key": known["jwt_private_key"], "checkpoint_key": known["checkpoint_key"],
                "checkpoint_key_name": CHECKPOINT_KEY_NAME, "checkpoint_public_key": home.checkpoint_public_key(),
                "checkpoint_folder": home.folder / "checkpoints",
            }
        )  # fmt: skip
        asyncio.run(_serve(configured, home, postgres.urls()["owner_url"], port))
    finally:
        postgres.stop()


async def _serve(settings: Settings, home: DemoHome, owner_url: str, port: int) -> None:
    app = create_app(settings)
    if not home.credentials_path.exists():
        await _fill(app, home, owner_url, port)
    credentials = json.loads(home.credentials_path.read_text())
    credentials["base_url"] = f"http://127.0.0.1:{port}"
    write_private(home.credentials_path, credentials)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, access_log=False))
    serving = asyncio.create_task(server.serve())
    sealer = asyncio.create_task(sealing.run(settings))
    while not server.started and not serving.done():
        await asyncio.sleep(0.05)
    if server.started:
        console.print(_greeting(credentials, home.credentials_path))
    await serving
    sealer.cancel()
    await asyncio.gather(sealer, return_exceptions=True)


async def _fill(app: object, home: DemoHome, owner_url: str, port: int) -> None:
    console.print("First start: making two tenants.")
    unfinished = home.folder / "demo-credentials.unfinished.json"
    if unfinished.exists():
        credentials = json.loads(unfinished.read_text())
    else:
        credentials = {"base_url": f"http://127.0.0.1:{port}", **await seed.create_tenants(owner_url)}
        write_private(unfinished, credentials)
    async with app.router.lifespan_context(app):  # type: ignore[attr-defined]
        await seed.submit_documents(app, credentials, console.print)  # type: ignore[arg-type]
    unfinished.rename(home.credentials_path)


def _greeting(credentials: dict[str, object], path: Path) -> str:
    base_url = credentials["base_url"]
    return f"""
Affidavit is at {base_url} and its API at {base_url}/docs
Users, passwords and keys: {path}

Ask a question, then read its record:

  credential() {{ python3 -c "import json,sys; t=json.load(open('{path}'))['tenants'][0]; print(next(u['password'] for u in t['users'] if u['username']==sys.argv[1]))" "$1"; }}
  token() {{ curl -s {base_url}/auth/token -d username="$1" -d client_id=meridian-bank --data-urlencode password="$(credential "$1")" | python3 -c "import json,sys; print(json.load(sys.stdin)['access_token'])"; }}
  curl -s {base_url}/answer -H "Authorization: Bearer $(token analyst)" -H 'Content-Type: application/json' \\
    -d '{{"question": "How long do customers have to dispute a billing error on a credit card statement?"}}' | python3 -m json.tool
  curl -s "{base_url}/audit/events?limit=3" -H "Authorization: Bearer $(token compliance)" | python3 -m json.tool

Ctrl-C stops it; the next start keeps everything.
"""
