"""The papers as plain Python: float64 loops that a reader can hold beside the page."""
