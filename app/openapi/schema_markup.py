"""JSON Schema as HTML: the type in a few words, its constraints, its members, and links to other schemas. Pure."""

import json
from collections.abc import Mapping
from typing import Any

from app.openapi.markup import Content, Markup, element, inline, joined, prose

_CONSTRAINTS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "multipleOf": "a multiple of {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "minProperties": "at least {} members",
    "maxProperties": "at most {} members",
}
_CHOICES = {"anyOf": "any of", "oneOf": "one of", "allOf": "all of"}


def anchor(reference: str) -> str:
    """Return the id on the page of what a `$ref` names: the last two parts of the path, as `schemas-Order`."""
    return "-".join(reference.split("/")[-2:])


def link(reference: str) -> Markup:
    """Return a link to the component that a `$ref` names."""
    return element("a", reference.rpartition("/")[2], href=f"#{anchor(reference)}")


def phrase(schema: Mapping[str, Any]) -> Markup:
    """Return the type of a value in one line, with its constraints."""
    return joined([_type(schema), *((", ", each) for each in _constraints(schema))])


def members(schema: Mapping[str, Any]) -> Content:
    """Return what a schema contains: members, items, alternatives. Nothing for a scalar or a reference."""
    parts: list[Content] = []
    required = set(schema.get("required", ()))
    if properties := schema.get("properties"):
        parts.append(element("dl", [member(name, each, name in required) for name, each in properties.items()]))
    parts += [inside for name in ("items", "additionalProperties") if (inside := _inside(schema.get(name)))]
    parts += [_inside(each) for name in ("prefixItems", *_CHOICES) for each in schema.get(name, ())]
    return parts


def member(name: str, schema: Mapping[str, Any], is_required: bool, *notes: Content) -> Content:  # noqa: FBT001
    """Return the term and the description of a named value, for a `dl`."""
    words = [phrase(schema), ", required" if is_required else ""]
    if "default" in schema:
        words += [", by default ", element("code", _json(schema["default"]))]
    about = element("p", inline(schema["description"])) if "description" in schema else ""
    examples = [_examples(schema["examples"])] if schema.get("examples") else []
    described = [element("p", words, class_="type"), about, *examples, *notes, members(schema)]
    return [element("dt", element("code", name)), element("dd", described)]


def component(schema: Mapping[str, Any]) -> Content:
    """Return a whole schema: description, type and members."""
    return [prose(schema.get("description", "")), element("p", phrase(schema), class_="type"), members(schema)]


def _inside(schema: Any) -> Content:
    """Return the members of a schema within another, if it has any of its own."""
    content = members(schema) if isinstance(schema, Mapping) else ""
    return element("div", content, class_="inside") if content else ""


def _type(schema: Mapping[str, Any]) -> Content:
    choice = next((name for name in _CHOICES if schema.get(name)), None)
    content: Content
    if "$ref" in schema:
        content = link(schema["$ref"])
    elif choice is not None:
        content = _choice(schema[choice], _CHOICES[choice])
    elif "const" in schema:
        content = element("code", _json(schema["const"]))
    elif "enum" in schema:
        content = _listed([element("code", _json(each)) for each in schema["enum"]])
    else:
        content = _of_plain_type(schema)
    return content


def _of_plain_type(schema: Mapping[str, Any]) -> Content:
    types = schema.get("type", "any value")
    named = types if isinstance(types, str) else " or ".join(types)
    if "format" in schema or "contentEncoding" in schema:
        named = f"{named} ({schema.get('format') or schema['contentEncoding']})"
    match schema:
        case {"prefixItems": items}:
            return [named, " of ", _listed([phrase(each) for each in items], " and ")]
        case {"items": Mapping() as items} if items:
            return [named, " of ", phrase(items)]
        case {"additionalProperties": Mapping() as values} if values:
            return [named, " with values: ", phrase(values)]
        case _:
            return named


def _choice(schemas: list[Mapping[str, Any]], words: str) -> Content:
    phrases = [phrase(each) for each in schemas]
    return phrases[0] if len(phrases) == 1 else [f"{words}: ", _listed(phrases)]


def _listed(parts: list[Markup], between: str = " or ") -> Content:
    return [[between if number else "", each] for number, each in enumerate(parts)]


def _constraints(schema: Mapping[str, Any]) -> list[Content]:
    constraints: list[Content] = [words.format(schema[name]) for name, words in _CONSTRAINTS.items() if name in schema]
    if "pattern" in schema:
        constraints.append(["matches ", element("code", schema["pattern"])])
    if schema.get("uniqueItems"):
        constraints.append("each item once")
    if schema.get("additionalProperties") is False:
        constraints.append("no other members")
    return constraints


def _examples(examples: list[Any]) -> Markup:
    shown = _listed([element("code", _json(each)) for each in examples], ", ")
    return element("p", ["Example: ", shown], class_="type")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
