"""Fills the demo's first tenant with an evaluation: a set, two approved runs, and a change that waits for its second person."""

from collections.abc import Mapping
from typing import Any

import httpx
from fastapi import FastAPI

from backend.demo.waiting_jobs import finish_waiting_jobs
from backend.identity.callers.permissions import Role

SECOND_APPROVER = "second-approver"
SET = "everyday-questions"
QUESTIONS = [
    {
        "question": "What does an outgoing domestic wire transfer cost?", "expected": "document",
        "value": "fee-schedule-personal", "owner": "Branch operations",
    },
    {
        "question": "How long do customers have to dispute a billing error on a credit card statement?",
        "expected": "document", "value": "card-dispute-procedure", "owner": "Card operations",
    },
    {"question": "Can a Zelle payment be disputed?", "expected": "refusal", "owner": "Card operations"},
]  # fmt: skip
_APPROVED_RUNS = 2

Headers = Mapping[str, str]


async def fill(app: FastAPI, client: httpx.AsyncClient, people: Mapping[str, Headers]) -> None:
    """Makes what is not there yet, as the tenant's people; `people` has the headers of an admin and two approvers."""
    admin, approver, second = people[Role.ADMIN], people[Role.APPROVER], people[SECOND_APPROVER]
    await _approved_set(client, approver, second)
    for _ in range(_APPROVED_RUNS - await _count_approved(client, approver)):
        made = await _run(app, client, approver, {"name": SET})
        await _post(client, f"/evaluations/runs/{made}/approve", second, {})
    if not (await _get(client, "/changes", admin))["changes"]:
        (await client.put("/evaluations/rule", json={"changes_need_approval": True}, headers=admin)).raise_for_status()
        quotes = {"support_levels": ["verbatim"]}
        (await client.put("/answer/policy", json=quotes, headers=admin)).raise_for_status()
    change = (await _get(client, "/changes", admin))["changes"][0]
    if not change["runs"]:
        await _run(app, client, approver, {"name": SET, "change": change["id"]})


async def _approved_set(client: httpx.AsyncClient, author: Headers, second: Headers) -> None:
    known = {one["name"]: one for one in (await _get(client, "/evaluations/sets", author))["sets"]}
    if SET not in known:
        await _post(client, f"/evaluations/sets/{SET}/versions", author, {"questions": QUESTIONS})
    if SET not in known or known[SET]["approved_version"] is None:
        await _post(client, f"/evaluations/sets/{SET}/versions/1/approve", second, {})


async def _count_approved(client: httpx.AsyncClient, headers: Headers) -> int:
    return sum(run["approved_at"] is not None for run in (await _get(client, "/evaluations/runs", headers))["runs"])


async def _run(app: FastAPI, client: httpx.AsyncClient, headers: Headers, wanted: dict[str, Any]) -> str:
    """Starts a run and makes it."""
    started = await _post(client, "/evaluations/runs", headers, wanted)
    await finish_waiting_jobs(app)
    return str(started["id"])


async def _get(client: httpx.AsyncClient, path: str, headers: Headers) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get(path, headers=dict(headers))).raise_for_status().json()
    return found


async def _post(client: httpx.AsyncClient, path: str, headers: Headers, body: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    made: dict[str, Any] = (await client.post(path, json=body, headers=dict(headers))).raise_for_status().json()
    return made
