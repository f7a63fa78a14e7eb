"""The array results as a picture."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from tables import AXES, NAMES
from targets import peers_of

PEERS = {
    "coreai-opt": ("v", "tab:blue"),
    "torchao": ("s", "tab:orange"),
    "onnxruntime": ("^", "tab:green"),
    "mlx": ("D", "tab:cyan"),
    "ggml": ("P", "tab:purple"),
}
"""Markers and colours."""


def plot_arrays(arrays: dict[str, Any], path: Path) -> None:
    """Draw the speed of every contender in every case, one panel for each source."""
    mpl.rcParams["svg.hashsalt"] = "benchmarks"  # the same file for the same results
    sources = list(dict.fromkeys(row["source"] for row in arrays["cases"]))
    figure = Figure(figsize=(5.2 * len(sources), 8), layout="constrained")
    panels = figure.subplots(1, len(sources), sharey=True, sharex=True, squeeze=False)[0]
    for panel, source in zip(panels, sources, strict=True):
        _draw(panel, source, [row for row in arrays["cases"] if row["source"] == source])
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    figure.savefig(path, metadata={"Date": None})


def _draw(panel: Any, source: str, rows: list[dict[str, Any]]) -> None:
    places = range(len(rows), 0, -1)
    speeds = [_speeds(row) for row in rows]
    panel.hlines(places, [s["ours"] for s in speeds], [s["floor"] for s in speeds], color="0.85")
    _scatter(panel, places, speeds, "floor", marker="|", color="black", s=70)
    _scatter(panel, places, speeds, "ours", marker="o", color="tab:red", s=45)
    for peer, (marker, color) in PEERS.items():
        _scatter(panel, places, speeds, peer, marker=marker, color=color, s=22, alpha=0.8)
    panel.set_yticks(places, [f"{row['label']}, {AXES[row['axis']]}" for row in rows])
    panel.set_xscale("log")
    panel.set_title(source)
    panel.set_xlabel("M weights/s, one thread")
    panel.grid(axis="x", color="0.93")
    panel.spines[["top", "right", "left"]].set_visible(False)


def _speeds(row: dict[str, Any]) -> dict[str, float]:
    return {
        NAMES.get(name, name): row["weights"] / row["seconds"][name] / 1e6
        for name in ("floor", "ours", *peers_of(row))
    }


def _scatter(
    panel: Any, places: range, speeds: list[dict[str, float]], name: str, **style: Any
) -> None:
    points = [(s[name], y) for s, y in zip(speeds, places, strict=True) if name in s]
    panel.scatter([x for x, _ in points], [y for _, y in points], label=name, zorder=2, **style)
