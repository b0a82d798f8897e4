"""The README's recipe, by a client that was generated from the API's document: ingest, find, answer, read the record."""

import json
import sys

from affidavit_api import AuthenticatedClient, Client
from affidavit_api.api.answers import answers_answer
from affidavit_api.api.audit import audit_get_event
from affidavit_api.api.documents import documents_ingest
from affidavit_api.api.identity import identity_issue_token
from affidavit_api.api.retrieval import retrieval_retrieve
from affidavit_api.models import (
    AnswerRequest,
    AnswerResponse,
    BodyIdentityIssueToken,
    ErrorBody,
    EventView,
    IngestedChunk,
    RetrievalRequest,
    RetrievalRequestFilters,
    RetrievalResponse,
    SingleChunk,
    SingleChunkMetadata,
    TokenPair,
)

url, tenant, password = sys.argv[1:]
question = "How long do customers have to file card disputes?"


def sign_in(username: str) -> AuthenticatedClient:
    """Returns the client of a user."""
    form = BodyIdentityIssueToken(client_id=tenant, username=username, password=password)
    pair = identity_issue_token.sync(client=Client(base_url=url), body=form)
    assert isinstance(pair, TokenPair)
    return AuthenticatedClient(base_url=url, token=pair.access_token)


chunk = SingleChunk(
    doc_id="pol-001",
    chunk_text="Card disputes must be filed within 60 days of statement date.",
    source_type="policy",
    metadata=SingleChunkMetadata.from_dict({"jurisdiction": "US"}),
)
assert isinstance(documents_ingest.sync(client=sign_in("editor"), body=chunk), IngestedChunk)
analyst = sign_in("analyst")
filters = RetrievalRequestFilters.from_dict({"jurisdiction": ["US", "CA"], "limit": {"exists": False}})
found = retrieval_retrieve.sync(client=analyst, body=RetrievalRequest(query=question, filters=filters))
assert isinstance(found, RetrievalResponse)
answered = answers_answer.sync(client=analyst, body=AnswerRequest(question=question))
assert isinstance(answered, AnswerResponse)
event = audit_get_event.sync(answered.audit_event_id, client=sign_in("compliance"))
assert isinstance(event, EventView)
refused = audit_get_event.sync(answered.audit_event_id, client=analyst)
assert isinstance(refused, ErrorBody)
seen = [found.contexts[0].chunk_text, answered.answer, event.to_dict()["event"]["action"], refused.error]
print(json.dumps(seen))
