"""The demo's source: a few pages that the demo serves itself, and that come into review as those of an intranet would."""

import asyncio
import hashlib
from typing import Any

import httpx
import structlog
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from backend.demo.seed import REVIEWED, sign_in
from backend.identity.callers.permissions import Role

PATH = "/demo/intranet"
SITEMAP = f"{PATH}/sitemap.xml"
NAME = "Pages of the intranet"
PAGES = {
    "recalls-of-wires.md": (
        "# Recalls of wires\n\nA recall is asked for by the branch within one business day after the wire left.\n\n"
        "The beneficiary's bank answers within ten business days, and nobody promises the customer that the money returns.\n"
    ),
    "testimonials.md": (
        "# Testimonials in advertisements\n\nA testimonial names whether its author was paid, in letters as large as its own.\n\n"
        "Compliance keeps each testimonial with the consent of its author for five years.\n"
    ),
    "social-media.md": (
        "# Social media\n\nStaff answer complaints there with the address of the complaints team, and nothing else.\n"
    ),
}
_WAITED = 240  # times half a second
_RUNS: tuple[dict[str, bool], ...] = (
    {"dry_run": True},
    {},
    {},
)  # what it would bring, what it does, and nothing twice
log = structlog.get_logger()


def install(app: FastAPI) -> None:
    """Adds the pages and their sitemap to the application."""
    app.router.routes.append(Route(f"{PATH}/{{name}}", _serve, methods=["GET"], include_in_schema=False))


async def show(tenant: dict[str, Any], base_url: str) -> None:
    """Once the demo serves, lets the pages come to a tenant, unless that was done before."""
    try:
        async with httpx.AsyncClient(base_url=base_url, trust_env=False) as client:
            admin = await _signed_in(client, tenant)
            path = f"/sources/{await _source(client, admin, base_url)}"
            if (await client.get(f"{path}/runs", headers=admin)).raise_for_status().json()["runs"]:
                return
            for wanted in _RUNS:
                asked = await client.post(f"{path}/runs", json=wanted, headers=admin)
                await _until_over(client, f"{path}/runs/{asked.raise_for_status().json()['id']}", admin)
    except (httpx.HTTPError, TimeoutError) as error:  # the demo goes on without
        log.warning("source not shown", cause=type(error).__name__)


async def _serve(request: Request) -> Response:
    name = request.path_params["name"]
    if f"{PATH}/{name}" == SITEMAP:
        places = "".join(f"<url><loc>{request.url.replace(path=f'{PATH}/{page}')}</loc></url>" for page in PAGES)
        body = f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{places}</urlset>'
        return Response(body, media_type="application/xml")
    if name not in PAGES:
        return Response(status_code=404)
    tag = f'"{hashlib.sha256(PAGES[name].encode()).hexdigest()[:16]}"'
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"ETag": tag})
    return Response(PAGES[name], media_type="text/markdown", headers={"ETag": tag})


async def _source(client: httpx.AsyncClient, admin: dict[str, str], base_url: str) -> str:
    """Returns the id of the source, which is made if there is none, and follows the demo to another port."""
    address = f"{base_url}{SITEMAP}"
    known = (await client.get("/sources", headers=admin)).raise_for_status().json()["sources"]
    for source in known:
        if source["name"] == NAME:
            if source["address"] != address:
                moved = await client.patch(f"/sources/{source['id']}", json={"address": address}, headers=admin)
                moved.raise_for_status()
            return str(source["id"])
    wanted = {
        "name": NAME, "kind": "sitemap", "collection": REVIEWED[0], "address": address, "source_type": "guidance",
        "schedule": {"every_minutes": 60},
    }  # fmt: skip
    return str((await client.post("/sources", json=wanted, headers=admin)).raise_for_status().json()["id"])


async def _signed_in(client: httpx.AsyncClient, tenant: dict[str, Any]) -> dict[str, str]:
    """Signs in as soon as the demo serves."""
    for _ in range(_WAITED):
        try:
            return await sign_in(client, tenant, Role.ADMIN)
        except httpx.HTTPError:
            await asyncio.sleep(0.5)
    raise TimeoutError


async def _until_over(client: httpx.AsyncClient, path: str, admin: dict[str, str]) -> None:
    for _ in range(_WAITED):
        if (await client.get(path, headers=admin)).raise_for_status().json()["finished_at"] is not None:
            return
        await asyncio.sleep(0.5)
    raise TimeoutError
