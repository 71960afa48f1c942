"""The command line. Importing it, and printing help, imports neither torch nor any of the rest."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and leave with a status that says how it went."""
    try:
        # only here, so that Ctrl-C while it is loaded is no trace either
        from colabel.cli.app import run

        status = run()
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)
