"""What commands print for programs: JSON, YAML and CSV, always UTF-8."""

from __future__ import annotations

import io
import sys
from typing import Any

from colabel.printing import json_text


def speak_utf8() -> None:
    """Write UTF-8 to standard output, whatever the terminal would be given."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")


def print_json(value: Any, *, indent: int | None = None) -> None:
    """Print a value as JSON that any parser takes."""
    speak_utf8()
    print(json_text(value, indent=indent))
