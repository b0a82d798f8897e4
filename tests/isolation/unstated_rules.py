"""Loaded by the fuzzer: a valid request is refused only by a rule that no schema can state.

Those rules say so, in the sentences below; any other refusal of what the schema allows is a finding.
"""

from collections import defaultdict
from typing import Any

import schemathesis
from schemathesis.checks import CHECKS, CheckContext
from schemathesis.core.transport import Response
from schemathesis.generation.case import Case

RULES = {
    "what comes before what": (
        "must be after effective_from", "from: must be before", "must not be before ", "ask for a longer interval",
    ),
    "a moment in the future": ("must be in the future",),
    "one of several parameters": ("exactly one of them is needed", "reason: is needed to"),
    "which fields a grant type needs": ("needed for grant_type=",),
    "what we gave out": ("cursor: is not one that this service gave out", "last-event-id: is not a leaf index"),
    "how much there is in the log": ("the number of sealed events",),
    "what a calendar has": ("month: is not in the calendar",),
    "words of a language": ("holds no word that can be searched for",),
    "names of somebody": ("is neither an id, nor a user name",),
    "a network without a host": ("is not a valid IPv4 or IPv6 network",),
    "a key of a kind": ("must be the PEM of a public key",),
    "what is storable anywhere in an object": (
        "must be at most 16384 bytes", "must not be nested deeper than 8", "NUL character", "must hold only integers of 64 bits",
    ),
    "a schema within the schema": ("metadata_schema: ",),
    "filters of OpenAI's API": ("filters: ", "filters."),
    "what is not offered of OpenAI's API": (
        "offered", "no tools are called", "no functions are called", "only approved documents are searched", "documents are always searched",
        "no templates are kept", "only text is read", "needs a message of the role", "there is no vector store", "is no id of a response",
        "needs either `file_ids` or `files`",
    ),
    "a question behind several names, and what a file has": ("must ask something", "file: is empty", "file: exactly one file is taken"),
    "whom a key may name": ("another end user is named in", "is no name of an end user"),
    "grants that are none": ("The grant is not valid", "A parameter comes twice", "Clients cannot register"),
    "addresses of programs": ("redirect_uris: ",),
    "addresses of webhooks": ("url: The ",),
    "addresses of sources, and who is sent credentials": ("address: ", "credentials: ", "metadata.", "options.", "schedule: "),
    "what SCIM's grammar and library say": ("userName: ", "members: ", "path", "target", "value", "attribute", "PATCH", "filter"),
    "the extension of a file's name": ("Files with the extension",),
}  # fmt: skip


@schemathesis.check
def valid_data_is_accepted_but_for_unstated_rules(context: CheckContext, response: Response, case: Case) -> bool | None:
    if response.status_code in {400, 415, 422} and all(map(_explained, _problems(response.json()).values())):
        return None
    return CHECKS.get_one("positive_data_acceptance")(context, response, case)


def _problems(answer: dict[str, Any]) -> dict[str, list[str]]:
    """The problems of each field; where one of several kinds is taken, there is one for each kind."""
    problems = defaultdict(list)
    if "scimType" in answer:
        return {"": [answer["detail"]]}
    if isinstance(answer["error"], dict):  # the shape of OpenAI's API
        return {answer["error"]["param"] or "": [answer["error"]["message"]]}
    if "error_description" in answer:  # the shape of OAuth
        return {"": [answer["error_description"]]}
    for field in answer.get("fields") or [{"field": "", "problem": answer["detail"]}]:
        problems[".".join(field["field"].split(".")[:2])].append(field["problem"])
    return problems


def _explained(problems: list[str]) -> bool:
    return any(rule in problem for problem in problems for rules in RULES.values() for rule in rules)
