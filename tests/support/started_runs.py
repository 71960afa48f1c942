"""Training started as a user would, and refused before it begins."""

from tiny_runs import command


def train(folder, *arguments, data=None):
    """Start training as a user would."""
    return command(
        "train",
        folder / "tiny.yaml",
        "--data",
        data or folder / "labels.csv",
        "--out",
        folder / "run",
        "--cpu",
        *arguments,
    )


def refused(folder, capsys, *arguments, data=None):
    """Check that training ends before it begins; return what the user reads."""
    assert train(folder, *arguments, data=data) == 2
    printed = capsys.readouterr().err
    assert "error: " in printed
    assert "Traceback" not in printed
    assert not (folder / "run").exists()
    return printed


def write_rows(folder, *rows):
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
