"""Stages of the methods, and the terms of their objectives on a batch."""

from colabel.config import check_config

ROWS, WIDTH, CLASSES = 6, 5, 3


def stage_of(method, *, head=(), terms=()):
    """Return the first stage of a method with some settings changed."""
    return check_config({"method": method, "head": dict(head), "terms": dict(terms)}).stages()[0]


def values_of(objective, output, targets):
    return {term.name: term(output, targets).item() for term in objective.terms}


def total_of(objective, output, targets):
    return sum(term.weight * term(output, targets).item() for term in objective.terms)
