"""The Markdown of a comparison: medians, and from where to where they went."""
from statistics import median

from methods import METHODS


def spread(values, form="{:.2f}"):
    """Median, and in brackets the least and the largest where there are several."""
    if not values:
        return ""
    middle = form.format(median(values))
    least, most = form.format(min(values)), form.format(max(values))
    return middle if least == most else f"{middle} ({least} to {most})"


def seconds(values):
    return spread(values, "{:.2f}" if values and median(values) < 10 else "{:.0f}")


def quality(runs, device):
    """Rows of the methods on one device."""
    lines = [f"On the {device.upper()}:", "",
             "| method | whole process, s | processor, s | peak, MB | RMSE | mean angle, rad "
             "| held, % |", "| --- | --- | --- | --- | --- | --- | --- |"]
    for name, method in METHODS.items():
        mine = [run for run in runs if run["method"] == name and run["device"] == device]
        good = [run for run in mine if "error" not in run]
        if good:
            scores = [run["scores"] for run in good if "scores" in run]
            cells = [seconds([run["seconds"] for run in good]),
                     seconds([run["cpu_seconds"] for run in good]),
                     f"{median(run['peak_mb'] for run in good):,.0f}",
                     spread([one["rmse"] for one in scores], "{:.3f}"),
                     spread([one["sad"] for one in scores], "{:.3f}"),
                     spread([100 * one["held"] for one in scores if "held" in one], "{:.0f}")]
            lines.append(f"| {method.title} | {' | '.join(cells)} |")
        elif mine:
            lines.append(f"| {method.title} | did not run: {mine[0]['error']} | | | | | |")
    return lines


def speed(runs):
    """Rows of the settings: ours, NumPyro, how many times as quick in each round."""
    lines = ["| | NumPyro, ms a step | unmixel, ms a step | ratio (each round) | whole process of "
             "NumPyro, s | of unmixel, s |", "| --- | --- | --- | --- | --- | --- |"]
    for setting in dict.fromkeys(run["setting"] for run in runs):
        here = [run for run in runs if run["setting"] == setting]
        mine = {run["round"]: run for run in here
                if run["method"] == "unmixel" and "error" not in run}
        for name in dict.fromkeys(run["method"] for run in here if run["method"] != "unmixel"):
            other = {run["round"]: run for run in here
                     if run["method"] == name and "error" not in run}
            title = setting + (", 100 steps a call" if name == "numpyro-scan" else "")
            if not other or not mine:
                failed = next(run["error"] for run in here if "error" in run)
                lines.append(f"| {title} | did not run: {failed} | | | | |")
                continue
            ratios = [other[turn]["step_ms"] / mine[turn]["step_ms"] for turn in mine
                      if turn in other]
            cells = [f"{median(run['step_ms'] for run in other.values()):.3g}",
                     f"{median(run['step_ms'] for run in mine.values()):.3g}",
                     f"{median(ratios):.3g} ({', '.join(f'{one:.3g}' for one in ratios)})",
                     seconds([run["seconds"] for run in other.values()]),
                     seconds([run["seconds"] for run in mine.values()])]
            lines.append(f"| {title} | {' | '.join(cells)} |")
        if len({run["method"] for run in here}) == 1 and mine:
            alone = f"{median(run['step_ms'] for run in mine.values()):.3g}"
            lines.append(f"| {setting} | | {alone} | | | "
                         f"{seconds([run['seconds'] for run in mine.values()])} |")
    return lines


def markdown(record):
    """The whole page, of what peers.json holds."""
    runs = record["runs"]
    lines = ["# Peers", "", f"    {record['command']}", "",
             f"{record['date']}, {record['machine']}, {record['unmixel']}; {record['scene']}.", ""]
    of = [run for run in runs if run["part"] == "quality"]
    if of:
        lines += ["Medians over seeds, the least and the largest in brackets; whole processes, in "
                  "turn. RMSE of abundances", "as shares of peak-normalised spectra; materials are "
                  "matched by least angle; *held* is the share of", "abundances inside of the 90 % "
                  "intervals, of methods that have some.", ""]
        for device in dict.fromkeys(run["device"] for run in of):
            lines += [*quality(of, device), ""]
        if record.get("unscored"):
            lines += [f"Without scores: {record['unscored']}.", ""]
        names = {run["method"] for run in of}
        lines += [f"- {method.title}: {method.about}." for name, method in METHODS.items()
                  if name in names] + [""]
    of = [run for run in runs if run["part"] == "speed"]
    if of:
        lines += ["Steps of one model, mean-field, one draw a step; ours takes the next multiple "
                  "of 16 pixels.", "", *speed(of), ""]
    return "\n".join(lines)
