"""A question is measured before anything else looks at it, however cunningly it is put."""

from __future__ import annotations

import pytest
from graphql import GraphQLError, get_introspection_query, parse

from rest.graphql.limits import (
    ALIASES_MAX,
    DEPTH_MAX,
    FIELDS_MAX,
    INTROSPECTION_DEPTH_MAX,
    TOKENS_MAX,
    TWINS_MAX,
    Size,
    read_document,
    size_of,
)


def nested(levels: int, name: str = "a") -> str:
    return f"{{{name}" * levels + "}" * levels


def aliased(count: int) -> str:
    return "{" + " ".join(f"a{n}: hello" for n in range(count)) + "}"


def test_a_question_is_measured_with_its_fragments_put_in() -> None:
    document = parse(
        "query { a { ...F b: c { d } } ... on Query { e } } fragment F on A { x: y { z } }"
    )
    assert size_of(document) == Size(depth=3, introspection=0, aliases=2, fields=6, twins=0)


def test_fields_of_one_name_are_counted_also_across_fragments() -> None:
    document = parse(
        "{ a a { b ...F } ... on Query { a c: a } } fragment F on A { b d { e e } ...G }"
        " fragment G on A { b }"
    )
    assert size_of(document).twins == 2 + 2 + 1


def test_what_tools_ask_of_the_schema_has_a_depth_of_its_own() -> None:
    query = get_introspection_query(input_value_deprecation=True, schema_description=True)
    size = size_of(read_document(query))
    assert (size.depth, size.twins) == (0, 0)


@pytest.mark.parametrize(
    "query",
    [nested(DEPTH_MAX), aliased(ALIASES_MAX), nested(INTROSPECTION_DEPTH_MAX, "__x")],
)
def test_what_is_within_the_limits_is_read(query: str) -> None:
    read_document(query)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (nested(DEPTH_MAX + 1), "at most 8 levels deep, not 9"),
        (nested(400), "nested too deeply"),
        (nested(INTROSPECTION_DEPTH_MAX + 1, "__x"), "at most 20 levels deep, not 21"),
        (aliased(ALIASES_MAX + 1), "at most 15 aliases, not 16"),
        ("{" + "a " * TOKENS_MAX + "}", "1000 tokens"),
        ("{" + " ".join(f"a{n}" for n in range(FIELDS_MAX + 1)) + "}", "at most 500 fields"),
        ("{" + "a " * (TWINS_MAX + 2) + "}", "repeats at most 20 fields, not 21"),
        ("{ a", "Expected Name"),
        ("{ ...F } fragment F on A { b { ...F } }", "F contains itself"),
        ("{ ...F } fragment F on A { ...G } fragment G on A { ...F }", "F contains itself"),
    ],
)
def test_what_is_beyond_them_is_not(query: str, message: str) -> None:
    with pytest.raises(GraphQLError, match=message):
        read_document(query)


def test_fragments_that_double_at_every_level_are_counted_without_being_walked() -> None:
    levels = 80
    query = "{ ...F0 }" + "".join(
        f" fragment F{n} on A {{ ...F{n + 1} ...F{n + 1} }}" for n in range(levels)
    )
    with pytest.raises(GraphQLError, match="500 fields"):
        read_document(f"{query} fragment F{levels} on A {{ a }}")
