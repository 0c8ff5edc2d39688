"""How large a question may be, decided before anything walks it: whoever walks a document spread by
spread, as a validator may, takes a time that doubles with every fragment."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    parse,
)

TOKENS_MAX = 1_000
DEPTH_MAX = 8
# The question for the whole schema, which tools ask, follows a type's wrappers ten levels down.
INTROSPECTION_DEPTH_MAX = 20
ALIASES_MAX = 15
FIELDS_MAX = 500
# Validation compares each pair of fields that answer to one name, and what is below them.
TWINS_MAX = 20


@dataclass(frozen=True, slots=True)
class Size:
    """Of a selection with its fragments put in; `introspection` is the depth below `__schema` and
    its like, which `depth` leaves out. `twins` are the fields that stand where another of their
    name does."""

    depth: int = 0
    introspection: int = 0
    aliases: int = 0
    fields: int = 0
    twins: int = 0

    def beside(self, other: Size) -> Size:
        return Size(
            max(self.depth, other.depth),
            max(self.introspection, other.introspection),
            self.aliases + other.aliases,
            self.fields + other.fields,
            self.twins + other.twins,
        )


def read_document(query: str) -> DocumentNode:
    """
    Raises:
        GraphQLError: it cannot be read, or is over a limit; the message says which.
    """
    try:
        document = parse(query, max_tokens=TOKENS_MAX)
        size = size_of(document)
    except RecursionError:
        raise GraphQLError(f"A question is at most {DEPTH_MAX} levels deep.") from None
    if size.depth > DEPTH_MAX:
        raise GraphQLError(f"A question is at most {DEPTH_MAX} levels deep, not {size.depth}.")
    if size.introspection > INTROSPECTION_DEPTH_MAX:
        raise GraphQLError(
            f"Introspection is at most {INTROSPECTION_DEPTH_MAX} levels deep, "
            f"not {size.introspection}."
        )
    if size.aliases > ALIASES_MAX:
        raise GraphQLError(f"A question has at most {ALIASES_MAX} aliases, not {size.aliases}.")
    if size.fields > FIELDS_MAX:
        raise GraphQLError(
            f"A question has at most {FIELDS_MAX} fields, with its fragments put in."
        )
    if size.twins > TWINS_MAX:
        raise GraphQLError(f"A question repeats at most {TWINS_MAX} fields, not {size.twins}.")
    return document


# A selection's size, and how often each name stands in it, before a field around it has closed it.
Measured = tuple[Size, Counter[str]]


def size_of(document: DocumentNode) -> Size:
    """Of all its operations together.

    Raises:
        GraphQLError: a fragment contains itself.
    """
    fragments = {
        each.name.value: each
        for each in document.definitions
        if isinstance(each, FragmentDefinitionNode)
    }
    # By name; None while it is being measured.
    known: dict[str, Measured | None] = {}

    def of_fragment(name: str) -> Measured:
        if name not in fragments:
            return Size(), Counter()  # Validation names it.
        if name in known:
            found = known[name]
            if found is None:
                raise GraphQLError(f"The fragment {name} contains itself.")
            return found
        known[name] = None
        known[name] = measured = of_selections(fragments[name].selection_set)
        return measured

    def of_selections(selections: SelectionSetNode) -> Measured:
        whole, names = Size(), Counter[str]()
        for each in selections.selections:
            match each:
                case FieldNode():
                    size, inner = of_field(each), Counter([(each.alias or each.name).value])
                case FragmentSpreadNode():
                    size, inner = of_fragment(each.name.value)
                case InlineFragmentNode():
                    size, inner = of_selections(each.selection_set)
            whole = whole.beside(size)
            names.update(inner)
        return whole, names

    def closed(selections: SelectionSetNode) -> Size:
        size, names = of_selections(selections)
        return replace(size, twins=size.twins + names.total() - len(names))

    def of_field(node: FieldNode) -> Size:
        inner = Size() if node.selection_set is None else closed(node.selection_set)
        size = replace(
            inner, aliases=inner.aliases + (node.alias is not None), fields=inner.fields + 1
        )
        if node.name.value.startswith("__"):
            deepest = 1 + max(inner.depth, inner.introspection)
            return replace(size, depth=0, introspection=deepest)
        return replace(size, depth=inner.depth + 1)

    whole = Size()
    for each in document.definitions:
        if isinstance(each, OperationDefinitionNode):
            whole = whole.beside(closed(each.selection_set))
    return whole
