"""HTML as text: elements whose contents are escaped, and the little Markdown of the document's descriptions. Pure."""

import re
from collections.abc import Iterable
from html import escape

_INLINE = re.compile(r"`([^`]+)`|\*\*([^*]+)\*\*|\*([^*\s][^*]*)\*")


class Markup(str):
    """HTML that is safe as it is; every other text is escaped."""

    __slots__ = ()


Content = str | Iterable["Content"]


def element(tag: str, content: Content = "", /, **attributes: str) -> Markup:
    """Return an element; `class_` is the attribute `class`, and `aria_label` is `aria-label`."""
    stated = "".join(f' {name.rstrip("_").replace("_", "-")}="{escape(value)}"' for name, value in attributes.items())
    return Markup(f"<{tag}{stated}>{joined(content)}</{tag}>")


def joined(content: Content) -> Markup:
    """Return all of `content`, in which only Markup is taken as HTML."""
    match content:
        case Markup():
            return content
        case str():
            return Markup(escape(content, quote=False))
        case _:
            return Markup("".join(map(joined, content)))


def prose(text: str) -> list[Markup]:
    """Return the paragraphs of a description."""
    paragraphs = re.split(r"\n\s*\n", text.strip())
    return [element("p", inline(each)) for each in paragraphs if each]


def inline(text: str) -> list[Markup]:
    """Return a paragraph's text, with its code and emphasis."""
    parts: list[Markup] = []
    end = 0
    for mark in _INLINE.finditer(text):
        parts.append(joined(text[end : mark.start()]))
        code, strong, stressed = mark.groups()
        if code is not None:
            parts.append(element("code", code))
        elif strong is not None:
            parts.append(element("strong", inline(strong)))
        else:
            parts.append(element("em", inline(stressed)))
        end = mark.end()
    return [*parts, joined(text[end:])]
