# SPDX-License-Identifier: Apache-2.0
"""The result: rows of figures, a column for each runtime, and the limits ours are held to."""

import statistics

# Time of the binary that is installed as bulkhead, as a multiple of the floor built with static
# glibc in the same run. The other limits hold for bulkhead-shared too.
RATIO_LIMITS = {
    "run": 1.3, "create": 1.3,
    "exec": 1.4, "start": 1.4, "delete": 1.4, "state": 1.4,
    "delete -f": 2.0,
}
SYSCALL_LIMITS = {"run": 220, "exec": 110, "state": 40}
# Of CPU groups: as a multiple of the same outside of one, or of the bare kernel work (groups.py).
GROUP_LIMITS = {"run in a CPU group": 1.05, "move 100 processes": 2.0, "statistics of 500": 1.3, "lost in 1000 moves": 0}
# Of files from layers: as a multiple of floor's container plus a bare overlay, and of tar or umoci (layers.py).
LAYER_LIMITS = {"run over 1 layer": 1.3, "run over 10 layers": 1.3, "run over 100 layers": 1.3,
                "id-mapped over 300000 files": 1.2, "import of 200 MB": 1.25, "diff in 300000 files": 1.2,
                "commit in 300000 files": 1.2, "diff beside a walk": 0.01, "commit beside a walk": 0.01}
CLONE_LIMIT = 1
PEAK_LIMITS = {"static": 1600, "dynamic": 3000}  # kB, of create


class Sheet:
    """Rows are plain dictionaries, printed as a table and written as JSON alike."""

    def __init__(self, runtimes):
        self.runtimes = runtimes
        self.rows = []

    def add(self, name, unit, values, ratios=None, limit=None, notes=None):
        """
        values, ratios and notes are per runtime name. limit(runtime) is None or the limit's number;
        it holds for the ratio if there are ratios, else for the value.
        """
        row = {"name": name, "unit": unit, "cells": {}}
        for rt in self.runtimes:
            value = values.get(rt.name)
            ratio = (ratios or {}).get(rt.name)
            cell = {"value": value, "ratio": ratio, "note": (notes or {}).get(rt.name)}
            bound = limit(rt) if limit and rt.is_ours else None
            if bound is not None:
                judged = ratio if ratios is not None else value
                cell["limit"] = bound
                cell["ok"] = judged is not None and round(judged, 2) <= bound
            row["cells"][rt.name] = cell
        self.rows.append(row)

    def missed(self):
        return [f"{row['name']} ({name})" for row in self.rows for name, cell in row["cells"].items()
                if cell.get("ok") is False]

    def print(self):
        width = max(len(row["name"]) for row in self.rows)
        print(f"{'':{width}}      " + "".join(f"{rt.name:>20}" for rt in self.runtimes) + "  limit")
        for row in self.rows:
            bounds = sorted({cell["limit"] for cell in row["cells"].values() if "limit" in cell})
            sign = "x" if any(cell["ratio"] for cell in row["cells"].values()) else ""
            limit = "<= " + "/".join(f"{b:g}{sign}" for b in bounds) if bounds else ""
            cells = "".join(f"{_text(row['cells'][rt.name]):>20}" for rt in self.runtimes)
            print(f"{row['name']:{width}} {row['unit']:>4} {cells}  {limit}".rstrip())


def _text(cell):
    if cell["value"] is None:
        words = cell["note"] or "-"
    elif isinstance(cell["value"], str):
        words = cell["value"]
    else:
        words = f"{cell['value']:.0f}"
    if cell["ratio"] is not None:
        words += f" {cell['ratio']:5.2f}"
    if "ok" in cell:
        words += " ok  " if cell["ok"] else " MISS"
    elif cell["ratio"] is not None:
        words += "     "
    return words


class Rounds:
    """Samples by metric, runtime and round."""

    def __init__(self, reference):
        self.reference = reference
        self.samples = {}

    def add(self, metric, name, number, sample):
        self.samples.setdefault(metric, {}).setdefault(name, {})[number] = sample

    def ratio(self, metric, name, field):
        """Median of the ratios within each round, so that a slow minute of the host weighs on both."""
        mine, theirs = (self.samples[metric].get(n, {}) for n in (name, self.reference))
        pairs = [getattr(mine[r], field) / getattr(theirs[r], field)
                 for r in mine if r in theirs and getattr(theirs[r], field)]
        return statistics.median(pairs) if pairs else None

    def summary(self):
        """For the JSON file: medians, the tenth percentile, processor time and its ratio."""
        result = {}
        for metric, by_name in self.samples.items():
            for name, by_round in by_name.items():
                walls = sorted(s.wall for s in by_round.values())
                result.setdefault(metric, {})[name] = {
                    "n": len(walls),
                    "wall_us": statistics.median(walls),
                    "wall_us_p10": walls[len(walls) // 10],
                    "wall_ratio": self.ratio(metric, name, "wall"),
                    "cpu_us": statistics.median(s.cpu for s in by_round.values()),
                    "cpu_ratio": self.ratio(metric, name, "cpu"),
                    "peak_kb": max(s.peak for s in by_round.values()),
                }
        return result

    def fill(self, sheet, cannot):
        """A row for each metric; cannot(runtime, metric) says why there is no figure."""
        for metric, by_name in self.samples.items():
            sheet.add(metric, "us",
                      {name: statistics.median(s.wall for s in rounds.values()) for name, rounds in by_name.items()},
                      {name: self.ratio(metric, name, "wall") for name in by_name if name != self.reference},
                      lambda rt, m=metric: RATIO_LIMITS.get(m) if rt.name == "bulkhead" else None,
                      {rt.name: "n/a" for rt in sheet.runtimes if cannot(rt, metric)})
