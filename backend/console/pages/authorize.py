"""The page on which a person lets a program act for them, or does not."""

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Form, Request
from fastapi.responses import Response

from backend.console.page import HEADERS, page, to
from backend.console.page import router as pages
from backend.console.visit import Sender, Signed
from backend.console.wording import N_
from backend.identity.callers.permissions import Permission
from backend.identity.oauth.errors import RefusedRequest
from backend.identity.oauth.service import AuthorizationServer, parsed
from backend.provided import Provided

router = pages()

_WORDS = {
    Permission.RETRIEVAL_QUERY: N_("Search the documents that you may read"),
    Permission.ANSWERS_CREATE: N_("Ask questions and get answers with citations"),
    Permission.DOCUMENTS_READ: N_("Read the documents that you may read"),
    Permission.AUDIT_READ: N_("Look up events of the audit log, never their texts"),
}


@router.get("/authorize")
async def show(request: Request, server: Provided[AuthorizationServer], visitor: Signed) -> Response:
    """Shows who asks for what."""
    query = request.url.query
    try:
        asked = await server.check(visitor.caller, parsed(query))
    except RefusedRequest as refusal:
        return to(refusal.redirect)
    wanted = [words for permission, words in _WORDS.items() if permission in asked.scope]
    target = urlsplit(asked.redirect_uri)
    response = page(
        request, "authorize.html", visitor, client=asked.client, wanted=wanted, asked=query,
        goes_to=target.hostname or f"{target.scheme}:",
    )  # fmt: skip
    # Browsers apply the form's policy to where the answer to it leads as well.
    origin = f"{target.scheme}://{target.netloc}" if target.scheme in {"http", "https"} else f"{target.scheme}:"
    policy = HEADERS["Content-Security-Policy"]
    response.headers["Content-Security-Policy"] = policy.replace("form-action 'self'", f"form-action 'self' {origin}")
    return response


@router.post("/authorize")
async def decide(
    server: Provided[AuthorizationServer],
    visitor: Sender,
    asked: Annotated[str, Form(max_length=4_000)],
    decision: Annotated[str, Form(max_length=10)],
) -> Response:
    """Leads back to the program, with a code if the person agreed."""
    try:
        request = await server.check(visitor.caller, parsed(asked))
    except RefusedRequest as refusal:
        return to(refusal.redirect)
    if decision == "allow":
        return to(await server.allow(visitor.caller, request))
    return to(await server.deny(visitor.caller, request))
