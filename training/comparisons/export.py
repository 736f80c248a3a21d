"""A comparison as files: the table as CSV, Markdown and JSON, and what each method said about every held-out row."""

import csv
import json
from collections.abc import Iterator
from dataclasses import asdict
from io import StringIO
from typing import Any

from labeling.datasets.store import rows_of as data_rows
from people.downloads import safe_cell

from ..engine.evaluation import METRICS
from . import learning, losses
from .models import Comparison
from .table import BASE, BEST, Attempt, Contrast, Estimate, Row, Table, rows_of

FLOOR = "Largest class (no model)"
OF_THE_DATA = frozenset({"row", "label", "bytes", "cluster"})  # what every evaluation repeats of a row


def record(table: Table, row: Row) -> dict[str, Any]:
    """One method as programs read it. Bytes, seconds and tokens are plain numbers; shares are 0 … 1."""
    figures = {name: _estimate(estimate) for name in table.metrics if (estimate := row.figure(name))}
    return {
        "number": row.number,
        "label": row.label,
        "method": row.entry.method or "base",
        "config": row.entry.config,
        "version": str(row.version) if row.version else None,
        "kind": row.version.kind if row.version else None,
        "figures": figures,
        "difference_to_base": _contrasts(row, table.base),
        "difference_to_best": _contrasts(row, table.best),
        "trained_parameters": row.trained,
        "trained_share": row.share,
        "bytes": row.size,
        "seconds": row.seconds,
        "peak_memory": row.memory,
        "tokens_per_s": row.speed,
        "serving": None if row.version is None else "own base" if row.needs_own_base else "shared base",
        "notes": row.notes,
        "seeds": [_attempt(attempt) for attempt in row.attempts],
    }


def _estimate(estimate: Estimate) -> dict[str, Any]:
    found = {"value": estimate.value, "low": estimate.low, "high": estimate.high, "n": estimate.n}
    return found | ({"over_seeds": list(estimate.spread)} if estimate.spread else {})


def _contrasts(row: Row, other: Row | None) -> dict[str, dict[str, Any]]:
    if other is None or other is row:
        return {}
    return {name: _contrast(contrast) for name, contrast in row.against(other).items()}


def _contrast(contrast: Contrast) -> dict[str, Any]:
    return {
        "value": contrast.value,
        "low": contrast.low,
        "high": contrast.high,
        "p": contrast.p,
        "test": contrast.test,
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "seed": attempt.seed,
        "state": attempt.phase,
        "problems": attempt.problems,
        "notes": attempt.notes,
        "run": str(attempt.run.pk) if attempt.run else None,
        "evaluation": str(attempt.evaluation.pk) if attempt.evaluation else None,
        "version": str(attempt.version) if attempt.version else None,
        "figures": attempt.figures,
    }


def as_json(table: Table) -> dict[str, Any]:
    """Everything of the table, and what was held equal."""
    comparison = table.comparison
    return {
        "comparison": comparison.pk,
        "name": comparison.name,
        "task": comparison.task,
        "base": str(comparison.base),
        "dataset": {"name": comparison.dataset.name, "digest": comparison.dataset.digest},
        "reward_model": str(comparison.reward_model) if comparison.reward_model else None,
        "seeds": comparison.seeds,
        "epochs": comparison.epochs,
        "max_steps": comparison.max_steps,
        "batch_size": comparison.batch_size,
        "methods": [record(table, row) for row in table.rows],
        "largest_class": asdict(table.largest_class)
        if table.largest_class
        else None,  # no model: what one has to beat
        "loss_functions": _losses(losses.side_by_side(table)),
        "learning_curves": [_learned(curve) for curve in learning.curves(table)],
    }


def _losses(found: losses.SideBySide | None) -> dict[str, Any] | None:
    if found is None:
        return None
    rows = [{"number": loss.row.number, "log_loss_three_way": _estimate(loss.log_loss)} for loss in found.losses]
    return {"losses": rows, "log_loss_chance": found.chance}


def _learned(curve: learning.Curve) -> dict[str, Any]:
    """Figures by the rankings that were learned from."""
    points = [
        {"rankings": line.rankings, "number": line.row.number, "figures": {n: _estimate(e) for n, e in line.figures.items()}}
        for line in curve.lines
    ]  # fmt: skip
    return {"label": curve.label, "points": points, "says": curve.sentence}


def as_csv(table: Table) -> str:
    """A line a method; every figure with its interval, and its difference to the base and the best of the chosen one."""
    lines = []
    for row in table.rows:
        found = record(table, row)
        line = {name: found[name] for name in ("label", "method", "version", "kind")}
        for name in table.metrics:
            estimate = found["figures"].get(name, {})
            line |= {
                name: estimate.get("value"),
                f"{name}_low": estimate.get("low"),
                f"{name}_high": estimate.get("high"),
            }
        for to in ("base", "best"):
            contrast = found[f"difference_to_{to}"].get(table.metric, {})
            line |= {f"{table.metric}_to_{to}": contrast.get("value"), f"p_to_{to}": contrast.get("p")}
        costs = ("trained_parameters", "trained_share", "bytes", "seconds", "peak_memory", "tokens_per_s", "serving")
        lines.append(line | {name: found[name] for name in costs} | {"notes": " · ".join(found["notes"])})
    if floor := table.largest_class:
        line = {"label": f"{FLOOR}: {floor.label}", "method": ""}
        for name in table.metrics:
            figure = floor.figures.get(name, {})
            line |= {name: figure.get("value"), f"{name}_low": figure.get("low"), f"{name}_high": figure.get("high")}
        lines.append(line)
    return _csv(lines)


def as_markdown(table: Table) -> str:
    """The table for a document, with the numbers that people compare."""
    to = "the base" if table.to == BASE else "the best" if table.to == BEST else table.reference.label
    head = ["Method", METRICS[table.metric].title, "95 % interval", f"to {_cleaned(to)} (p)", "Trained", "%", "Bytes", "Seconds", "Peak MiB", "Tokens/s", "To serve", "Notes"]  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|" + "|".join(["---", *["---:"] * 9, "---", "---"]) + "|"]
    for row in table.rows:
        estimate = table.quality(row)
        contrast = table.difference(row)
        cells = [
            _cleaned(row.label),
            *_value(estimate),
            _signed(contrast) if contrast else "",
            f"{row.trained:,}" if row.trained is not None else "",
            f"{100 * row.share:.3g}" if row.share is not None else "",
            f"{row.size:,}" if row.size is not None else "",
            f"{row.seconds:.1f}" if row.seconds is not None else "",
            f"{row.memory / 2**20:.0f}" if row.memory is not None else "",
            f"{row.speed:.0f}" if row.speed is not None else "",
            "" if row.version is None or row.is_base else "own base" if row.needs_own_base else "shared base",
            _cleaned(" · ".join(row.notes)),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    if floor := table.largest_class:
        cells = [f"*{FLOOR}: {_cleaned(floor.label)}*", *_value(table.floor), *[""] * 9]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _value(estimate: Estimate | None) -> tuple[str, str]:
    """The figure and its interval."""
    if estimate is None:
        return "", ""
    return f"{estimate.value:.4f}", f"{estimate.low:.4f} – {estimate.high:.4f}" if estimate.low is not None else ""


def _cleaned(text: str) -> str:
    """A text that ends no cell and no line of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")


def _signed(contrast: Contrast) -> str:
    return f"{contrast.value:+.4f}" + (f" ({contrast.p:.2g})" if contrast.p is not None else "")


# ---- What was said about each row ----------------------------------------------------------------------------------


def side_by_side(table: Table) -> Iterator[dict[str, Any]]:
    """A dict a held-out row: the row of the data set, and under "methods" what each method said, by label (and seed)."""
    sides: dict[str, dict[int, dict[str, Any]]] = {}
    for row in table.rows:
        for attempt in row.done:
            if attempt.predictions:
                name = row.label if len(row.attempts) == 1 else f"{row.label}, seed {attempt.seed}"
                sides[name] = {each["row"]: each for each in rows_of(attempt.predictions)}
    judged = set().union(*sides.values())
    for number, data in enumerate(data_rows(table.comparison.dataset.folder)):
        if number in judged:
            said = {name: rows[number] for name, rows in sides.items() if number in rows}
            methods = {
                name: {key: value for key, value in each.items() if key not in OF_THE_DATA}
                for name, each in said.items()
            }
            yield {"row": number, **data, "methods": methods}


def predictions(comparison: Comparison, form: str) -> str:
    """All methods side by side, as jsonl or csv (a column for each thing that a method says)."""
    rows = list(side_by_side(Table(comparison)))
    if form == "jsonl":
        return _jsonl(rows)
    flat = []
    for row in rows:
        methods = row.pop("methods")
        flat.append(row | {f"{name}: {key}": value for name, said in methods.items() for key, value in said.items()})
    return _csv(flat)


def predictions_of(attempt: Attempt, form: str) -> str:
    """Of one method, each with the row of the data set that it is about."""
    said = {each["row"]: each for each in rows_of(attempt.predictions)} if attempt.predictions else {}
    data = enumerate(data_rows(attempt.trial.entry.comparison.dataset.folder))
    rows = [{"row": number, **row, **said[number]} for number, row in data if number in said]
    return _jsonl(rows) if form == "jsonl" else _csv(rows)


def _jsonl(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _csv(rows: list[dict[str, Any]]) -> str:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: safe_cell(value) for key, value in row.items()})
    return text.getvalue()
