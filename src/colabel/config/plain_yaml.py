"""YAML as plain values of bounded size: numbers, words, lists and groups, and nothing else."""

from __future__ import annotations

from typing import Any

import yaml

from colabel.errors import ConfigError
from colabel.limits import MAX_YAML_DEPTH, MAX_YAML_INTEGER, MAX_YAML_NODES

_PREFIX = "tag:yaml.org,2002:"


def parse_yaml(text: str, source: str) -> Any:
    """Return what a YAML text says.

    Args:
        text: one document.
        source: what it is called in messages.

    Raises:
        ConfigError: if it is no YAML, has a key twice, is nested too deeply or grows too large by
            its aliases, or holds what no setting is: a date, a whole number of more than 64 bits,
            a tag.

    Example:
        >>> parse_yaml("{epochs: 2, rate: 1.0e-3}", "the recipe")
        {'epochs': 2, 'rate': 0.001}
        >>> parse_yaml("2024-01-01", "the value")
        Traceback (most recent call last):
        colabel.errors.ConfigError: the value is not valid YAML: 2024-01-01 is a date to YAML, and
        no setting is one; put quotes around it to make it a text (line 1, column 1)
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        raise ConfigError(f"{source} is not valid YAML: {_sentence(error)}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{source} is not valid YAML: {' '.join(str(error).split())}") from error
    except RecursionError:
        raise ConfigError(
            f"{source} is not valid YAML: groups and lists in each other more than "
            f"{MAX_YAML_DEPTH} deep"
        ) from None


def _sentence(error: yaml.MarkedYAMLError) -> str:
    """Return what is wrong in one line, with its place."""
    words = " ".join(" ".join(part.split()) for part in (error.context, error.problem) if part)
    mark = error.problem_mark or error.context_mark
    place = "" if mark is None else f" (line {mark.line + 1}, column {mark.column + 1})"
    return f"{words}{place}"


class _Loader(yaml.SafeLoader):
    """The safe loader, which refuses what is no plain value, and a key that occurs twice."""

    def compose_mapping_node(self, anchor: dict[Any, yaml.Node]) -> yaml.MappingNode:
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    raise _problem(f"the key {key.value[:80]!r} occurs twice", key)
                seen.add((key.tag, key.value))
        return node

    def get_single_node(self) -> yaml.Node | None:
        node: yaml.Node | None = super().get_single_node()
        if node is not None:
            _measure(node, {}, 0)
        return node

    def construct_whole(self, node: yaml.ScalarNode) -> int:
        """Return a whole number."""
        try:
            value = self.construct_yaml_int(node)
        except (ValueError, IndexError):  # thousands of digits; no digit at all
            value = None
        if value is None or abs(value) > MAX_YAML_INTEGER:
            shown = node.value if len(node.value) < 40 else f"{node.value[:40]}..."
            raise _problem(f"{shown!r} is no whole number of at most 64 bits", node)
        return int(value)

    def construct_number(self, node: yaml.ScalarNode) -> float:
        """Return a number with a point or an exponent."""
        try:
            value = self.construct_yaml_float(node)
        except (ValueError, IndexError, OverflowError):
            raise _problem(f"{node.value[:40]!r} is no number", node) from None
        return value

    def construct_truth(self, node: yaml.ScalarNode) -> bool:
        """Return true or false."""
        try:
            return bool(self.construct_yaml_bool(node))
        except KeyError:
            raise _problem(f"{node.value[:40]!r} is neither true nor false", node) from None

    def refuse_date(self, node: yaml.ScalarNode) -> None:
        """Refuse what YAML takes for a date."""
        raise _problem(
            f"{node.value[:40]} is a date to YAML, and no setting is one; put quotes around it to "
            "make it a text",
            node,
        )

    def refuse_tag(self, node: yaml.Node) -> None:
        """Refuse binary data, sets, pairs and objects."""
        raise _problem(
            f"the tag {node.tag[:80].replace(_PREFIX, '!!')}; expected plain words, numbers, "
            "lists and groups",
            node,
        )


def _problem(text: str, node: yaml.Node) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, text, node.start_mark)


def _measure(node: yaml.Node, known: dict[int, int], depth: int) -> int:
    """Return how many values a node is with its aliases put in, each counted by itself.

    Args:
        node: of a document; an alias leads to the same node as its anchor.
        known: what was found before, by the identity of the node; 0 while it is looked for.
        depth: groups and lists around it.
    """
    if isinstance(node, yaml.ScalarNode):
        return 1
    if depth > MAX_YAML_DEPTH:
        raise _problem(f"groups and lists in each other more than {MAX_YAML_DEPTH} deep", node)
    if id(node) in known:
        if not known[id(node)]:
            raise _problem("a group or list that holds itself by an alias", node)
        return known[id(node)]
    known[id(node)] = 0
    pairs = isinstance(node, yaml.MappingNode)
    inner = [part for pair in node.value for part in pair] if pairs else node.value
    total = 1
    for part in inner:
        total += _measure(part, known, depth + 1)
        if total > MAX_YAML_NODES:
            raise _problem(
                f"more than {MAX_YAML_NODES:,} values after the aliases are put in", node
            )
    known[id(node)] = total
    return total


for _kind in ("binary", "omap", "pairs", "set", None):
    _Loader.add_constructor(None if _kind is None else _PREFIX + _kind, _Loader.refuse_tag)
_Loader.add_constructor(f"{_PREFIX}int", _Loader.construct_whole)
_Loader.add_constructor(f"{_PREFIX}float", _Loader.construct_number)
_Loader.add_constructor(f"{_PREFIX}bool", _Loader.construct_truth)
_Loader.add_constructor(f"{_PREFIX}timestamp", _Loader.refuse_date)
