"""An XML file as a small tree: no document type, no entities of its own, nothing that is fetched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from xml.parsers import expat

from stompserver.ctl.others.fragment import NotReadable

DEPTH: Final = 100


class Element:
    """An element: ``name`` and the names of ``attributes`` are without their namespaces."""

    __slots__ = ("attributes", "children", "name", "text")

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        self.name = name
        self.attributes = attributes
        self.children: list[Element] = []
        self.text = ""

    def all(self, name: str) -> Iterator[Element]:
        """Those of that name in it, however deep, in their order."""
        for child in self.children:
            if child.name == name:
                yield child
            yield from child.all(name)

    def first(self, name: str) -> Element | None:
        """The first of these."""
        return next(self.all(name), None)


def parse(content: bytes) -> Element:
    """The root. Raises NotReadable for what is no XML, and for a DOCTYPE: entities could make a little text endless,
    or read other files.
    """
    root = Element("", {})
    stack = [root]
    parser = expat.ParserCreate()

    def begin(name: str, attributes: dict[str, str]) -> None:
        if len(stack) > DEPTH:
            raise NotReadable(f"line {parser.CurrentLineNumber}: more than {DEPTH} elements in each other")
        element = Element(_local(name), {_local(key): value for key, value in attributes.items()})
        stack[-1].children.append(element)
        stack.append(element)

    def end(name: str) -> None:
        stack.pop()

    def text(data: str) -> None:
        stack[-1].text += data

    def refuse(*_: object) -> None:
        raise NotReadable(
            f"line {parser.CurrentLineNumber}: a DOCTYPE, which is not read for safety; take it out of the file"
        )

    parser.StartElementHandler = begin
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(content, True)
    except expat.ExpatError as problem:
        raise NotReadable(f"not XML: {problem}") from None
    return root.children[0]


def _local(name: str) -> str:
    return name.rpartition(":")[2]
