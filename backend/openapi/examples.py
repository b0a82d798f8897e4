"""An example of what each route returns, made of the examples of its fields and of the words that they are called by."""

from typing import Any

from backend.openapi.vocabulary import WORDS

Schema = dict[str, Any]

_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict, "null": type(None),
}  # fmt: skip
_STRINGS = {
    "uuid": "0196f0d2-7c4b-7c4e-8f3a-2b1c0d9e8f7a", "date-time": "2026-04-01T09:30:00Z", "date": "2026-04-01",
    "ipvanynetwork": "203.0.113.0/24",
}  # fmt: skip
_DEPTH = 6


def example(schema: Schema, schemas: Schema, name: str = "", depth: int = _DEPTH) -> Any:  # noqa: ANN401 - any JSON
    """Returns a value of a schema; `name` is the field that has it, and `schemas` are those that references name."""
    schema = resolved(schema, schemas)
    if "examples" in schema:
        return schema["examples"][0]
    if "const" in schema:
        return schema["const"]
    if depth and "properties" in schema:
        return {field: example(of, schemas, field, depth - 1) for field, of in schema["properties"].items()}
    options = schema.get("anyOf") or [schema]
    word = WORDS.get(name)
    if word is not None and any(fits(word.example, option, schemas) for option in options):
        return word.example
    return _made(next((option for option in options if option.get("type") != "null"), options[0]), schemas, name, depth)


def _made(schema: Schema, schemas: Schema, name: str, depth: int) -> Any:  # noqa: ANN401 - any JSON
    schema = resolved(schema, schemas)
    if "anyOf" in schema or "properties" in schema or "examples" in schema:
        return example(schema, schemas, name, depth)
    kind = schema.get("type")
    if kind == "array":
        return [example(schema["items"], schemas, name, depth - 1)] if depth and "items" in schema else []
    if kind == "string":
        return schema.get("enum", [_STRINGS.get(schema.get("format", ""), "text")])[0]
    return {"integer": max(schema.get("minimum", 1), 1), "number": 1, "boolean": False, "object": {}}.get(str(kind))


def fits(value: object, schema: Schema, schemas: Schema) -> bool:
    """Tells whether a word's example can stand in a field: what it is, among what, and of which members."""
    schema = resolved(schema, schemas)
    if "anyOf" in schema:
        return any(fits(value, option, schemas) for option in schema["anyOf"])
    if "enum" in schema and value not in schema["enum"]:
        return False
    kind = schema.get("type")
    if (
        not isinstance(kind, str)
        or not isinstance(value, _TYPES[kind])
        or (isinstance(value, bool) and kind != "boolean")
    ):
        return False
    if isinstance(value, str) and schema.get("format") in _STRINGS:
        return len(value) == len(_STRINGS[schema["format"]])
    if isinstance(value, list):
        return not schema.get("items", {}).get("$ref") and all(fits(item, schema["items"], schemas) for item in value)
    return not isinstance(value, dict) or "properties" not in schema


def resolved(schema: Schema, schemas: Schema) -> Schema:
    """Returns the schema that a reference names; what stands beside the reference counts first."""
    if "$ref" not in schema:
        return schema
    beside = {name: value for name, value in schema.items() if name != "$ref"}
    found: Schema = schemas[schema["$ref"].rpartition("/")[2]]
    return {**found, **beside}
