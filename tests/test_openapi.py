"""The document of the API is one that generators and people can use: names that stay, words explained, true examples."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from jsonschema import Draft202012Validator
from openai.types import CreateEmbeddingResponse, FileDeleted, FileObject, Model, VectorStore
from openai.types.chat import ChatCompletion
from openai.types.responses import Response
from openai.types.vector_stores import VectorStoreFile, VectorStoreFileBatch

from backend.answers import extractive
from backend.app import create_app
from backend.gateways.openai import examples
from backend.openapi.vocabulary import WORDS
from backend.settings import Settings

Json: TypeAlias = dict[str, Any]

NAMES = Path(__file__).with_name("operation_ids.txt")
EMPTY = {"oauth_revoke"}  # RFC 7009
# They say that nothing is deleted, and never succeed.
REFUSING = {"openai_delete_response", "openai_delete_file"}


@pytest.fixture(scope="module")
def document() -> Json:
    return create_app(Settings(public_url="https://affidavit.example")).openapi()


@pytest.fixture(scope="module")
def operations(document: Json) -> dict[str, tuple[str, str, Json]]:
    """Method, path and operation by operationId."""
    return {
        operation["operationId"]: (method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }


def test_operations_keep_their_names(
    operations: dict[str, tuple[str, str, Json]], document: Json, pytestconfig: pytest.Config
) -> None:
    """Generated clients call functions by them: one that is renamed breaks whoever calls it."""
    lines = sorted(f"{name} {method.upper()} {path}" for name, (method, path, _) in operations.items())
    assert len(lines) == sum(len(item) for item in document["paths"].values()), "two operations have one name"
    if pytestconfig.getoption("update_golden"):
        NAMES.write_text("\n".join(lines) + "\n")
    assert NAMES.read_text().splitlines() == lines, "review, then run pytest with --update-golden"


def test_it_says_where_and_whose_it_is_and_explains_its_tags(document: Json) -> None:
    assert document["servers"][0]["url"] == "https://affidavit.example"
    assert document["info"]["contact"]["url"].startswith("https://affidavit.example")
    explained = {tag["name"] for tag in document["tags"] if tag["description"]}
    used = {tag for item in document["paths"].values() for operation in item.values() for tag in operation["tags"]}
    assert explained == used


def test_every_field_and_parameter_is_explained(document: Json, operations: dict[str, tuple[str, str, Json]]) -> None:
    fields = [
        f"{name}.{field}"
        for name, schema in document["components"]["schemas"].items()
        for field, described in schema.get("properties", {}).items()
        if not described.get("description")
    ]
    parameters = [
        f"{name}: {parameter['name']}"
        for name, (_, _, operation) in operations.items()
        for parameter in operation.get("parameters", ())
        if not parameter.get("description")
    ]
    assert fields + parameters == [], "say it where it is declared, or in backend/openapi/vocabulary.py"


def test_no_word_is_explained_that_nobody_uses(document: Json, operations: dict[str, tuple[str, str, Json]]) -> None:
    fields = {field for schema in document["components"]["schemas"].values() for field in schema.get("properties", {})}
    parameters = {p["name"] for _, _, operation in operations.values() for p in operation.get("parameters", ())}
    assert WORDS.keys() <= fields | parameters


def test_every_success_has_an_example_that_its_schema_takes(
    document: Json, operations: dict[str, tuple[str, str, Json]]
) -> None:
    for name, (_, _, operation) in operations.items():
        for status, response in operation["responses"].items():
            content = response.get("content", {}).get("application/json")
            if not status.startswith("2") or content is None:
                continue
            assert content.get("example") or name in EMPTY, name
            schema = {"components": document["components"], **content.get("schema", {})}
            Draft202012Validator(schema).validate(content["example"])


def test_what_only_refuses_says_so(operations: dict[str, tuple[str, str, Json]]) -> None:
    successes = {
        name: [said["description"] for status, said in operation["responses"].items() if status.startswith(("2", "3"))]
        for name, (_, _, operation) in operations.items()
    }
    assert all(successes.values()), "each operation describes a success"
    assert {name for name, said in successes.items() if said == ["Never."]} == REFUSING


def test_examples_of_openais_protocol_are_what_its_client_reads() -> None:
    for kind, example in (
        (ChatCompletion, examples.CHAT), (Response, examples.RESPONSE), (VectorStore, examples.STORE), (Model, examples.MODEL),
        (VectorStoreFile, examples.STORE_FILE), (VectorStoreFile, examples.BOUND_FILE), (FileObject, examples.FILE),
        (VectorStoreFileBatch, examples.BATCH), (VectorStoreFileBatch, examples.CANCELLED_BATCH), (FileDeleted, examples.DELETED), (CreateEmbeddingResponse, examples.EMBEDDINGS),
    ):  # fmt: skip
        kind.model_validate(example)


def test_a_route_names_only_errors_that_it_can_give(operations: dict[str, tuple[str, str, Json]]) -> None:
    for name, (method, path, operation) in operations.items():
        statuses = set(operation["responses"])
        assert not ({"408", "413", "415"} & statuses) or "requestBody" in operation, name
        assert "409" not in statuses or method != "get", name
        assert "422" not in statuses or ("requestBody" in operation or operation.get("parameters")), name
        assert "422" not in statuses or not path.startswith(("/v1/", "/scim/")), name
        assert "400" not in statuses or path.startswith(("/v1/", "/oauth/", "/scim/")), name
        assert ("401" in statuses) >= ("security" in operation), name
    assert set(operations["operation_health"][2]["responses"]) == {"200"}


def test_examples_name_the_built_in_model_as_it_is_called_now(document: Json) -> None:
    """Whoever sends the example of another version's is refused."""
    assert set(re.findall(r"extractive-v\d+", json.dumps(document))) == {extractive.NAME}


def test_every_reference_is_to_a_part_of_the_document(document: Json) -> None:
    """Readers of OpenAPI fetch every `$ref`, also one that stands in an example."""

    def references(part: Any) -> Iterator[str]:
        if isinstance(part, dict):
            yield from (value for name, value in part.items() if name == "$ref" and isinstance(value, str))
            part = list(part.values())
        for inner in part if isinstance(part, list) else ():
            yield from references(inner)

    assert [reference for reference in references(document) if not reference.startswith("#/")] == []


def test_no_object_is_also_a_choice(document: Json) -> None:
    """Of members beside alternatives, a generator for Python makes classes that have the alternatives alone."""
    schemas = document["components"]["schemas"]
    assert [
        name for name, schema in schemas.items() if "properties" in schema and {"anyOf", "oneOf"} & schema.keys()
    ] == []


def test_the_body_of_an_error_names_wrong_fields(document: Json) -> None:
    error = document["components"]["schemas"]["ErrorBody"]
    assert set(error["properties"]) == {"error", "detail", "request_id", "fields"}
    assert set(error["required"]) == {"error", "detail", "request_id"}
