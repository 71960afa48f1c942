"""The picture of two kernels' similarities: surfaces, and contours of pairs of kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from colabel.figures.drawing import BLUE, ORANGE, new_figure, save

_HALF_WIDTH = 4.0
_LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)  # of the kernel's largest value, which is 1

_Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class KernelSurface:
    """A similarity of two kernels on a line.

    Args:
        name: of the similarity.
        means: differences of the means.
        deviations: differences of the standard deviations.
        values: in [0, 1], shape (means, deviations).
    """

    name: str
    means: _Numbers
    deviations: _Numbers
    values: _Numbers


@dataclass(frozen=True)
class KernelScene:
    """Two kernels in the plane.

    Args:
        title: what the scene shows.
        means: of both, each of shape (2,).
        covariances: of both, each of shape (2, 2).
        similarities: of the two, by name.
    """

    title: str
    means: tuple[_Numbers, _Numbers]
    covariances: tuple[_Numbers, _Numbers]
    similarities: Mapping[str, float]


def kernels_figure(
    surfaces: Sequence[KernelSurface], scenes: Sequence[KernelScene], png: Path
) -> None:
    """Draw the surfaces above, the scenes below.

    Args:
        surfaces: as many as scenes.
        scenes: pairs of kernels.
        png: picture to write.

    Raises:
        RunError: if it cannot be written.
    """
    columns = len(surfaces)
    figure = new_figure(3.8 * columns, 7.4)
    for number, surface in enumerate(surfaces, start=1):
        axes = figure.add_subplot(2, columns, number, projection="3d")
        means, deviations = np.meshgrid(surface.means, surface.deviations, indexing="ij")
        axes.plot_surface(
            means, deviations, surface.values, cmap="viridis", vmin=0, vmax=1, linewidth=0
        )
        axes.set_zlim(0, 1)
        axes.set_title(surface.name, fontsize=10)
        axes.set_xlabel("Δ mean", fontsize=8)
        axes.set_ylabel("Δ standard deviation", fontsize=8)
        axes.tick_params(labelsize=7)
    for number, scene in enumerate(scenes, start=columns + 1):
        _draw_scene(figure.add_subplot(2, columns, number), scene)
    save(figure, png)


def _draw_scene(axes: Axes, scene: KernelScene) -> None:
    line = np.linspace(-_HALF_WIDTH, _HALF_WIDTH, 161)
    places = np.stack(np.meshgrid(line, line), axis=-1)
    for mean, covariance, colour in zip(
        scene.means, scene.covariances, (BLUE, ORANGE), strict=True
    ):
        apart = places - mean
        squared = np.einsum("xyi,ij,xyj->xy", apart, np.linalg.inv(covariance), apart)
        axes.contour(line, line, np.exp(-squared / 2), levels=_LEVELS, colors=colour, linewidths=1)
        axes.plot(*mean, marker="+", color=colour)
    said = "   ".join(f"{name} {value:.2f}" for name, value in scene.similarities.items())
    axes.set_title(f"{scene.title}\n{said}", fontsize=8)
    axes.set_aspect("equal")
    axes.tick_params(labelsize=7)
