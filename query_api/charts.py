"""Charts as SVG: drawn when somebody looks, from what was measured."""

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lib.storage.measurements import RecallPoint

LABELS = {
    "nearest": "nearest neighbour",
    "random": "any two images",
    "caption": "caption and its image",
    "caption_random": "caption and any image",
}
COLORS = {"nearest": "#1b7f79", "random": "#9aa5b1", "caption": "#b4532a", "caption_random": "#d9c3a5"}
SIZE_IN = (4.6, 4.4)  # a wider one squeezes the names out of the Dagster UI's table
PERCENTS = np.arange(101)


def quality_svg(name: str, quantiles: Mapping[str, NDArray[np.float64]], history: Sequence[RecallPoint]) -> bytes:
    """Return one model's distances (percentiles 0 to 100, (101,), by kind), and below them its recall so far."""
    figure = Figure(figsize=SIZE_IN, layout="constrained")
    distances, recalls = figure.subplots(2, 1)
    figure.suptitle(name, fontsize=10)
    _draw_distances(distances, quantiles)
    _draw_recalls(recalls, history)
    sink = io.BytesIO()
    figure.savefig(sink, format="svg", metadata={"Date": None})
    return sink.getvalue()


def _draw_distances(axes: Axes, quantiles: Mapping[str, NDArray[np.float64]]) -> None:
    axes.set_title("How far apart things are", fontsize=9)
    axes.set_xlabel("cosine distance", fontsize=8)
    axes.set_ylabel("% of pairs as near", fontsize=8)
    for kind in (kind for kind in LABELS if kind in quantiles):
        axes.plot(quantiles[kind], PERCENTS, label=LABELS[kind], color=COLORS[kind], linewidth=1.8)
    _finish(axes, drawn=bool(quantiles))


def _draw_recalls(axes: Axes, history: Sequence[RecallPoint]) -> None:
    axes.set_title("How much searches find", fontsize=9)
    axes.set_xlabel("images in the library", fontsize=8)
    axes.set_ylabel("recall", fontsize=8)
    axes.set_ylim(-0.02, 1.04)
    shown = sorted({(point.kind, point.k) for point in history if point.k in (1, 10, 100)})
    for kind, k in shown:
        points = [point for point in history if (point.kind, point.k) == (kind, k)]
        style = "-" if kind == "index" else "--"
        axes.plot(
            [point.image_count for point in points],
            [point.recall for point in points],
            style,
            marker="o",
            markersize=3.5,
            label=f"{kind} @{k}",
            linewidth=1.4,
        )
    _finish(axes, drawn=bool(shown))


def _finish(axes: Axes, *, drawn: bool) -> None:
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.3)
    if drawn:
        axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    else:
        axes.text(0.5, 0.5, "not measured yet", ha="center", va="center", transform=axes.transAxes, fontsize=9)
