"""How large a question may be, decided before anything walks it: whoever walks a document spread by
spread, as a validator may, takes a time that doubles with every fragment."""

from __future__ import annotations

from dataclasses import dataclass

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
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


@dataclass(frozen=True, slots=True)
class Size:
    """Of a selection with its fragments put in; `introspection` is the depth below `__schema` and
    its like, which `depth` leaves out."""

    depth: int = 0
    introspection: int = 0
    aliases: int = 0
    fields: int = 0

    def beside(self, other: Size) -> Size:
        return Size(
            max(self.depth, other.depth),
            max(self.introspection, other.introspection),
            self.aliases + other.aliases,
            self.fields + other.fields,
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
    return document


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
    known: dict[str, Size | None] = {}

    def of_fragment(name: str) -> Size:
        if name not in fragments:
            return Size()  # Validation names it.
        if name in known:
            size = known[name]
            if size is None:
                raise GraphQLError(f"The fragment {name} contains itself.")
            return size
        known[name] = None
        known[name] = measured = of_selections(fragments[name].selection_set)
        return measured

    def of_selections(selections: SelectionSetNode | None) -> Size:
        whole = Size()
        for each in selections.selections if selections is not None else ():
            match each:
                case FieldNode():
                    whole = whole.beside(of_field(each))
                case FragmentSpreadNode():
                    whole = whole.beside(of_fragment(each.name.value))
                case _:
                    whole = whole.beside(of_selections(getattr(each, "selection_set", None)))
        return whole

    def of_field(node: FieldNode) -> Size:
        inner = of_selections(node.selection_set)
        aliases = inner.aliases + (node.alias is not None)
        if node.name.value.startswith("__"):
            deepest = 1 + max(inner.depth, inner.introspection)
            return Size(0, deepest, aliases, inner.fields + 1)
        return Size(inner.depth + 1, inner.introspection, aliases, inner.fields + 1)

    whole = Size()
    for each in document.definitions:
        if isinstance(each, OperationDefinitionNode):
            whole = whole.beside(of_selections(each.selection_set))
    return whole
