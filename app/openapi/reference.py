"""The contents of the reference page, as HTML made from the OpenAPI document. Pure.

The page has no script: an operation is a `details` element, which the browser opens by keyboard, by a link to its
contents, and where its search finds a text.
"""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from app.openapi.markup import Content, Markup, element, inline, joined, prose
from app.openapi.schema_markup import anchor, component, link, member, members, phrase

_FILTER = re.compile(r"(.+)\.(ne|lt|lte|gt|gte|in|prefix|isnull)")
_ADDRESS = "$SLUICE"
_Document = Mapping[str, Any]


def reference(document: _Document) -> Markup:
    """Return the navigation and the contents of the page."""
    chapters = [_about(document), _access(document), *_groups(document), _problems(document), _schemas(document)]
    return joined([_navigation(document), element("main", chapters, id="main", tabindex="-1")])


def _operations(document: _Document, tag: str) -> Iterator[tuple[str, str, _Document]]:
    """Yield path, method and operation for each operation of a tag; HEAD is described once, at the top."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method != "head" and tag in operation["tags"]:
                yield path, method, operation


def _navigation(document: _Document) -> Markup:
    entries = [_entry("about", "About"), _entry("access", "Access")]
    for tag in document["tags"]:
        name = tag["name"]
        links = [
            element("li", element("a", [operation["summary"], _stream(path)], href=f"#{operation['operationId']}"))
            for path, _, operation in _operations(document, name)
        ]
        if links:
            heading = element("a", name.capitalize(), href=f"#tag-{name}")
            entries.append(element("li", [heading, element("ul", links)]))
    entries += [_entry("problems", "Problems"), _entry("schemas", "Schemas")]
    return element("nav", element("ul", entries), aria_label="Contents")


def _entry(name: str, title: str) -> Markup:
    return element("li", element("a", title, href=f"#{name}"))


def _stream(path: str) -> str:
    """Return the stream of a path, for titles that would otherwise be the same."""
    stream = re.match(r"/v1/streams/([^/{]+)/", path)
    return f" ({stream[1]})" if stream else ""


def _chapter(name: str, title: str, *content: Content) -> Markup:
    return element("section", [element("h2", title, id=f"{name}-title"), *content], id=name)


def _about(document: _Document) -> Markup:
    info = document["info"]
    address = element("code", f"SLUICE=http://127.0.0.1:8080{document['servers'][0]['url'].rstrip('/')}")
    commands = ["The commands on this page need the address of the service, for example ", address, "."]
    return _chapter("about", "About", element("p", info["summary"]), prose(info["description"]), element("p", commands))


def _access(document: _Document) -> Markup:
    schemes = document["components"]["securitySchemes"]
    described = [
        [element("dt", element("code", name)), element("dd", prose(scheme["description"]))]
        for name, scheme in schemes.items()
    ]
    header = element("p", ["Send a token as ", element("code", "Authorization: Bearer …"), "."])
    return _chapter("access", "Access", header, element("dl", described))


def _groups(document: _Document) -> Iterator[Markup]:
    for tag in document["tags"]:
        operations = [_operation(document, *each) for each in _operations(document, tag["name"])]
        if operations:
            name = tag["name"]
            yield _chapter(f"tag-{name}", name.capitalize(), prose(tag["description"]), operations)


def _operation(document: _Document, path: str, method: str, operation: _Document) -> Markup:
    title = element("h3", [operation["summary"], _stream(path)])
    words = [element("span", method.upper(), class_="method"), " ", element("code", path)]
    summary = element("summary", [title, " ", element("span", words, class_="path")])
    schemes = [name for each in operation.get("security", document["security"]) for name in each]
    parts: list[Content] = [
        # A link to an element within `details` opens it; a link to `details` itself does not.
        element("div", prose(operation["description"]), id=operation["operationId"]),
        element("p", ["Token: ", element("code", ", ".join(schemes)) if schemes else "none needed", "."]),
        _parameters(operation.get("parameters", [])),
        _body(operation.get("requestBody", {})),
        element("h4", "Command"),
        element("pre", element("code", _command(path, method, operation, needs_token=bool(schemes)))),
        element("h4", "Responses"),
        element("dl", [_response(document, *each) for each in operation["responses"].items()]),
    ]
    return element("details", [summary, *parts])


def _parameters(parameters: list[_Document]) -> Content:
    names = {each["name"] for each in parameters}
    shown = [each for each in parameters if not _is_described_elsewhere(each["name"], names)]
    if not shown:
        return ""
    return [element("h4", "Parameters"), element("dl", [_parameter(each) for each in shown])]


def _is_described_elsewhere(name: str, names: set[str]) -> bool:
    """Return whether a parameter is a filter of a field whose first filter names the others."""
    parts = _FILTER.fullmatch(name)
    return parts is not None and parts[1] in names


def _parameter(parameter: _Document) -> Content:
    notes: list[Content] = [element("p", inline(parameter["description"]))]
    if "example" in parameter:
        shown = element("code", _as_text(parameter["example"]))
        notes.append(element("p", ["Example: ", shown], class_="type"))
    if parameter["in"] != "query":
        notes.append(element("p", f"In the {parameter['in']}.", class_="type"))
    return member(parameter["name"], parameter["schema"], bool(parameter.get("required")), *notes)


def _body(body: _Document) -> Content:
    if not body:
        return ""
    return [element("h4", "Body"), _contents(body["content"])]


def _contents(content: _Document) -> Content:
    return [_media(*each) for each in content.items()]


def _media(media_type: str, media: _Document) -> Content:
    schema = media["schema"]
    words = [element("code", media_type), ": ", phrase(schema)]
    about = prose(schema["description"]) if "description" in schema else ""
    examples = [_example(each) for each in _examples(media) if "$ref" not in each]
    references = [link(each["$ref"]) for each in _examples(media) if "$ref" in each]
    codes = element("p", ["For example ", _with_commas(references), "."]) if references else ""
    return element("div", [element("p", words, class_="type"), about, members(schema), examples, codes], class_="media")


def _examples(media: _Document) -> list[_Document]:
    examples = list(media.get("examples", {}).values())
    return [*examples, {"value": media["example"]}] if "example" in media else examples


def _example(example: _Document) -> Content:
    about = element("p", example["summary"], class_="type") if "summary" in example else ""
    return [about, element("pre", element("code", _as_text(example["value"], indent=2)))]


def _with_commas(parts: list[Markup]) -> Content:
    return [[", " if number else "", each] for number, each in enumerate(parts)]


def _response(document: _Document, status: str, response: _Document) -> Content:
    headers = response.get("headers", {})
    descriptions = {name: _header(document, each) for name, each in headers.items()}
    described = [
        [element("dt", element("code", name)), element("dd", element("p", inline(text)))]
        for name, text in descriptions.items()
    ]
    listed = [element("p", "Headers:", class_="type"), element("dl", described)] if described else ""
    parts = [prose(response["description"]), _contents(response.get("content", {})), listed]
    return [element("dt", element("code", status)), element("dd", parts)]


def _header(document: _Document, header: _Document) -> str:
    if "$ref" in header:
        header = document["components"]["headers"][header["$ref"].rpartition("/")[2]]
    return str(header["description"])


def _command(path: str, method: str, operation: _Document, *, needs_token: bool) -> str:
    """Return a command for a shell that sends the operation's example."""
    required = [each for each in operation.get("parameters", []) if each.get("required")]
    for each in required:
        if each["in"] == "path":
            path = path.replace(f"{{{each['name']}}}", _as_text(each.get("example", "…")))
    query = [f"{each['name']}={_as_text(each.get('example', '…'))}" for each in required if each["in"] == "query"]
    words = ["curl", *(["-X", method.upper()] if method not in {"get", "post"} else [])]
    words.append(f'"{_ADDRESS}"' + shlex.quote(path + ("?" + "&".join(query) if query else "")))
    if needs_token:
        words.append('-H "Authorization: Bearer $TOKEN"')
    for media_type, media in operation.get("requestBody", {}).get("content", {}).items():
        example = next(iter(_examples(media)), None)
        data = "…" if example is None else _as_text(example["value"])
        words.append(f"-H {shlex.quote(f'Content-Type: {media_type}')} \\\n  -d {shlex.quote(data)}")
        break
    return " ".join(words)


def _problems(document: _Document) -> Markup:
    entries = [
        _component(
            f"#/components/examples/{name}",
            element("p", [str(each["value"]["status"]), ": ", each["summary"]]),
            element("pre", element("code", _as_text(each["value"], indent=2))),
        )
        for name, each in document["components"]["examples"].items()
    ]
    about = "Every error is a problem document (RFC 9457). These are examples, by their code."
    return _chapter("problems", "Problems", element("p", about), entries)


def _schemas(document: _Document) -> Markup:
    entries = [
        _component(f"#/components/schemas/{name}", component(schema))
        for name, schema in document["components"]["schemas"].items()
    ]
    return _chapter("schemas", "Schemas", entries)


def _component(reference: str, *content: Content) -> Markup:
    """Return what a `$ref` names; as with an operation, a link opens it."""
    summary = element("summary", element("h3", element("code", reference.rpartition("/")[2])))
    return element("details", [summary, element("div", content, id=anchor(reference))])


def _as_text(value: Any, indent: int | None = None) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=indent)
