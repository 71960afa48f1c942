"""Whether the papers' own quantities know something of errors that the probability does not.

For finished KMCL runs: the variance of a label's kernel and its distance to the label's prototype,
as they are, standardised for each label, and in a regression that predicts errors on the
validation images from them and from what the probability says. Everything is fitted on validation
images and measured on test images: area under the risk-coverage curve over (image, label) pairs,
in per cent, mean and standard deviation over runs. Lower is better.

    python benchmarks/uncertainty_constructions.py runs/kmcl-0 runs/kmcl-1 runs/kmcl-2
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from colabel.uncertainty import aurc, compute_score, pair_errors
from colabel.workflows.predicted_split import predict_split
from colabel.workflows.uncertainty import outputs_of, references

OWN = ("kernel_variance", "prototype_distance")
FREE = ("entropy", "margin")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--cpu", action="store_true")
    given = parser.parse_args()
    found = defaultdict(list)
    for run in given.runs:
        sides = [
            predict_split(run, split=s, cpu=given.cpu, everything=True) for s in ("val", "test")
        ]
        for name, value in constructions(*sides).items():
            found[name].append(100 * value)
    for name, values in found.items():
        print(f"{name:58} {np.mean(values):7.3f} ± {np.std(values, ddof=len(values) > 1):.3f}")


def constructions(validation, test):
    """Return the area under the curve of every construction, by name."""
    compared = references(validation.collected)
    outputs = [
        outputs_of(side.collected, side.description.operating_point, *compared)
        for side in (validation, test)
    ]
    errors = [
        pair_errors(output.given, side.collected.targets)
        for output, side in zip(outputs, (validation, test), strict=True)
    ]
    judged = [~np.isnan(each) for each in errors]
    columns = [{name: compute_score(name, output) for name in (*FREE, *OWN)} for output in outputs]
    for name in OWN:  # of each label, by the validation images
        logs = [np.log(side[name].clip(1e-12)) for side in columns]
        mean, spread = logs[0].mean(axis=0), logs[0].std(axis=0).clip(1e-12)
        for side, values in zip(columns, logs, strict=True):
            side[f"{name}, standardised for each label"] = (values - mean) / spread

    def area(values):
        return aurc(values[judged[1]], errors[1][judged[1]])

    results = {"chance": float(errors[1][judged[1]].mean())}
    results |= {name: area(values) for name, values in columns[1].items()}
    sets = {"what the probability says": FREE}
    for name in OWN:
        sets[f"what the probability says, and {name}"] = (
            *FREE,
            f"{name}, standardised for each label",
        )
    sets["what the probability says, and both"] = (
        *FREE,
        *(f"{name}, standardised for each label" for name in OWN),
    )
    sets["both without the probability"] = tuple(
        f"{name}, standardised for each label" for name in OWN
    )
    for title, names in sets.items():
        results[f"regression on {title}"] = area(predicted(names, columns, judged, errors))
    return results


def predicted(names, columns, judged, errors):
    """Return the chance of an error on the test images, by a regression on the validation ones."""
    design = [
        np.stack([np.nan_to_num(side[name], posinf=30, neginf=-30) for name in names], axis=-1)
        for side in columns
    ]
    design = [with_products(each) for each in design]
    mean, spread = design[0][judged[0]].mean(axis=0), design[0][judged[0]].std(axis=0) + 1e-12
    model = LogisticRegression(max_iter=1000)
    model.fit((design[0][judged[0]] - mean) / spread, errors[0][judged[0]])
    return model.decision_function(((design[1] - mean) / spread).reshape(-1, len(mean))).reshape(
        errors[1].shape
    )


def with_products(columns):
    """Return columns and the products of every two of them, squares included."""
    first, second = np.triu_indices(columns.shape[-1])
    return np.concatenate([columns, columns[..., first] * columns[..., second]], axis=-1)


if __name__ == "__main__":
    main()
