"""Requests that are valid by the served OpenAPI document: the smallest body, from the schema's own examples."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

Schema = dict[str, Any]


def example(schema: Schema, document: Schema) -> Any:
    """A value that the schema takes; optional members are left out."""
    if "$ref" in schema:
        return example(_resolved(schema["$ref"], document), document)
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if "examples" in schema:
        return schema["examples"][0]
    if "enum" in schema:
        return schema["enum"][0]
    if "properties" not in schema and (options := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")):
        return example(options[0], document)
    return _by_type(schema, document)


def _by_type(schema: Schema, document: Schema) -> Any:
    match schema.get("type"):
        case "object":
            members = schema.get("properties", {})
            return {name: example(members[name], document) for name in schema.get("required", ()) if name in members}
        case "array":
            return [example(schema["items"], document) for _ in range(schema.get("minItems", 0))]
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return False
        case "string":
            return _text(schema)
    return None


def _text(schema: Schema) -> str:
    match schema.get("format"):
        case "uuid":
            return str(uuid4())
        case "date-time":
            return (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        case "date":
            return str(datetime.now(UTC).date())
    return "x" * max(1, schema.get("minLength", 1))


def _resolved(reference: str, document: Schema) -> Schema:
    found: Any = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    schema: Schema = found
    return schema


def body_of(operation: Schema, document: Schema) -> dict[str, Any]:
    """Arguments for httpx that carry the smallest valid body of an operation."""
    content = operation.get("requestBody", {}).get("content", {})
    for kind in ("application/json", "application/scim+json"):
        if kind in content:
            return {"json": example(content[kind]["schema"], document)}
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
        if kind not in content:
            continue
        schema = content[kind]["schema"]
        schema = _resolved(schema["$ref"], document) if "$ref" in schema else schema
        files = {
            n for n, m in schema.get("properties", {}).items() if m.get("format") == "binary" or "contentMediaType" in m
        }
        fields = {
            name: value for name, value in _by_type({**schema, "type": "object"}, document).items() if name not in files
        }
        if kind == "multipart/form-data":
            return {"data": fields, "files": {name: (f"{name}.txt", b"A text.", "text/plain") for name in files}}
        return {"data": fields}
    return {}


def query_of(operation: Schema, document: Schema) -> dict[str, Any]:
    """The required query parameters of an operation."""
    wanted = [p for p in operation.get("parameters", ()) if p["in"] == "query" and p.get("required")]
    return {parameter["name"]: example(parameter["schema"], document) for parameter in wanted}
