#!/usr/bin/env python3
"""Draws a comparison: time against error, and the abundance maps beside the truth.

    picture.py peers.json --truth truth.npz --out peers.png

Of each method the run of median RMSE is mapped. Colours are those of Okabe & Ito, which readers
with any colour vision can tell apart; each method has its own marker, too.
"""
import argparse
import json
import textwrap
from statistics import median

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.ticker import FuncFormatter  # noqa: E402

import scores  # noqa: E402
from methods import METHODS, OURS  # noqa: E402

COLOURS = ["#D55E00", "#E69F00", "#0072B2", "#CC79A7", "#009E73", "#56B4E9", "#000000", "#7F7F7F",
           "#8C6D31"]
MARKERS = "oXsDv^<>P"
NO_TICKS = dict(bottom=False, left=False, labelbottom=False, labelleft=False)


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("record")
    parser.add_argument("--truth", required=True)
    parser.add_argument("--out", required=True)
    return parser.parse_args()


def scored(record):
    """Runs with scores, by method and device."""
    found = {}
    for run in record["runs"]:
        if run["part"] == "quality" and "scores" in run and "error" not in run:
            found.setdefault((run["method"], run["device"]), []).append(run)
    order = list(METHODS)
    return dict(sorted(found.items(), key=lambda one: (one[0][1], order.index(one[0][0]))))


def title(name, device, devices):
    return METHODS[name].title + (f", {device.upper()}" if len(devices) > 1 else "")


def chart(axes, found):
    """Seconds of the whole process against RMSE, both logarithmic; lines span all seeds."""
    devices = {device for _, device in found}
    for (name, device), runs in found.items():
        place = list(METHODS).index(name)
        across = [run["seconds"] for run in runs]
        up = [run["scores"]["rmse"] for run in runs]
        middle = median(across), median(up)
        spans = [[[mid - min(values)], [max(values) - mid]]
                 for mid, values in zip(middle, (across, up))]
        axes.errorbar(*middle, xerr=spans[0], yerr=spans[1], fmt=MARKERS[place],
                      color=COLOURS[place], markersize=11 if name in OURS else 8, linewidth=1.2,
                      markerfacecolor="white" if device == "gpu" else COLOURS[place],
                      markeredgewidth=1.5, label=title(name, device, devices), linestyle="none")
    axes.set(xscale="log", yscale="log", xlabel="whole process, seconds",
             ylabel="RMSE of abundances")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(FuncFormatter(lambda value, _: minor(value)))
    axes.margins(0.12)
    axes.grid(True, which="both", color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_title("medians over seeds, lines from the least to the largest; lower left is better",
                   fontsize=9, loc="left", color="#555555")


def minor(value):
    """Labels of 2 and 5 between powers of ten."""
    return f"{value:g}" if f"{value:.0e}"[0] in "25" else ""


def maps(figure, grid, found, known):
    """A column of maps for the truth and each method, a row for each material."""
    devices = {device for _, device in found}
    columns = [("truth", known["abundances"])]
    for (name, device), runs in found.items():
        middle = sorted(runs, key=lambda run: run["scores"]["rmse"])[len(runs) // 2]
        read = scores.ours if name in OURS else scores.result
        best = scores.matched(read(middle["result"]), known)
        words = title(name, device, devices).replace(" (", "\n(").replace(", ", ",\n", 1)
        columns.append((f"{words}\nRMSE {middle['scores']['rmse']:.3f}", best["abundances"]))
    count = known["abundances"].shape[-1]
    cells = grid.subgridspec(count, len(columns), wspace=0.05, hspace=0.05)
    for column, (words, shares) in enumerate(columns):
        for row in range(count):
            axes = figure.add_subplot(cells[row, column])
            picture = axes.imshow(shares[..., row], vmin=0, vmax=1, cmap="viridis")
            axes.tick_params(**NO_TICKS)
            if row == 0:
                axes.set_title(words, fontsize=8)
            if column == 0:
                axes.set_ylabel(f"material {row + 1}", fontsize=8)
    return picture


def main():
    args = arguments()
    with open(args.record, encoding="utf-8") as file:
        record = json.load(file)
    found, known = scored(record), scores.truth(args.truth)
    if not found:
        raise SystemExit("no run has scores")
    count = known["abundances"].shape[-1]
    wide = max(1.25 * (len(found) + 1), 9.0)
    cell = wide / (len(found) + 1) * known["abundances"].shape[0] / known["abundances"].shape[1]
    tall = 4.2 + 1.0 + count * cell
    figure = plt.figure(figsize=(wide + 0.8, tall), dpi=150)
    top = figure.add_gridspec(1, 1, left=0.08, right=0.66, top=1 - 0.65 / tall,
                              bottom=1 - 4.0 / tall)
    axes = figure.add_subplot(top[0])
    chart(axes, found)
    figure.text(0.01, 1 - 0.28 / tall, textwrap.fill(record["scene"], 120),
                fontsize=10, weight="bold", va="center")
    axes.legend(loc="upper left", bbox_to_anchor=(1.03, 1.0), frameon=False, fontsize=9,
                labelspacing=0.7)
    low = figure.add_gridspec(1, 1, left=0.04, right=0.94, top=(count * cell + 0.2) / tall,
                              bottom=0.2 / tall)
    picture = maps(figure, low[0], found, known)
    bar = figure.add_axes([0.95, 0.2 / tall, 0.01, count * cell / tall])
    figure.colorbar(picture, cax=bar).ax.tick_params(labelsize=8)
    bar.set_title("share", fontsize=8)
    figure.savefig(args.out)


if __name__ == "__main__":
    main()
