"""Several runs that are planned together, trained one after the other and gone on with.

``planning`` imports no torch, so that a mistake is told at once; ``training`` trains.
"""
