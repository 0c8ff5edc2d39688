"""What /metrics of a running server has, and a reader of PromQL that knows enough to compare."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

# What Prometheus adds to every series.
ADDED = frozenset({"instance", "job"})
OURS = re.compile(r"(?:talktime|process)_[a-z0-9_]+")
WORDS = frozenset(
    {"by", "on", "or", "and", "unless", "without", "ignoring", "sum", "min", "max", "avg", "count",
     "topk", "rate", "increase", "min_over_time", "max_over_time", "histogram_quantile", "vector",
     "label_values"}
)  # fmt: skip
_strings = re.compile(r'"(?:[^"\\]|\\.)*"')
_ranges = re.compile(r"\[[^\]]*\]")
_selector = re.compile(r"([a-z_][a-z0-9_]*)\s*\{([^}]*)\}")
_matcher = re.compile(r"([a-z_]+)\s*(?:=~|!~|!=|=)")
_grouping = re.compile(r"\b(by|without|on|ignoring)\s*\(([^)]*)\)")
_name = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Asked:
    """What an expression asks for: labels by the name of the sample that must have them, names
    without labels too; `grouped` are the labels of all its groupings, `odd` words nobody knows."""

    labels: Mapping[str, set[str]]
    grouped: set[str]
    odd: set[str]


def read_expression(text: str) -> Asked:
    labels: dict[str, set[str]] = {}
    bare = _ranges.sub("", _strings.sub('""', text))
    for name, inner in _selector.findall(bare):
        labels.setdefault(name, set()).update(_matcher.findall(inner))
    bare = _selector.sub(r"\1", bare)
    grouped: set[str] = set()
    for _, inner in _grouping.findall(bare):
        grouped.update(each.strip() for each in inner.split(",") if each.strip())
    bare = _grouping.sub(" ", bare)
    odd = set()
    for name in _name.findall(bare):
        if OURS.fullmatch(name):
            labels.setdefault(name, set())
        elif name not in WORDS:
            odd.add(name)
    return Asked(labels, grouped, odd)


@dataclass(frozen=True)
class Figures:
    """Of every sample the labels; of every family its samples and how it is counted."""

    labels: dict[str, set[str]] = field(default_factory=dict)
    families: dict[str, set[str]] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)

    def wrong_with(self, text: str) -> Iterator[str]:
        """What this server could not answer of the expression."""
        asked = read_expression(text)
        yield from (f"unknown word {each}" for each in sorted(asked.odd))
        there: set[str] = set(ADDED)
        for name, wanted in asked.labels.items():
            if name not in self.labels:
                yield f"no figure {name}"
                continue
            there |= self.labels[name]
            lacking = wanted - self.labels[name] - ADDED
            yield from (f"{name} has no label {each}" for each in sorted(lacking))
        yield from (f"no label {each} to group by" for each in sorted(asked.grouped - there))
        if not asked.labels:
            yield "it asks for no figure"


def read_figures(text: str) -> Figures:
    figures = Figures()
    for family in text_string_to_metric_families(text):
        samples = figures.families.setdefault(family.name, set())
        figures.types[family.name] = family.type
        for sample in family.samples:
            samples.add(sample.name)
            figures.labels.setdefault(sample.name, set()).update(sample.labels)
    return figures
