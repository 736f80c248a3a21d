"""An evaluation as part of a run: rows of its data set are judged, each is written down as soon as it is, and the cost is measured."""

import json
import time
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np

from models_registry.lm.chain import Loaded
from models_registry.lm.tuning.apply import counts

from .. import data
from ..context import Context, memory
from . import judge
from .figures import METRICS, Evaluation, Options, Task, parts_of


def numbered(
    path: Path, accepts: tuple[str, ...], split: data.Split | Literal["all"], limit: int | None
) -> Iterator[judge.Numbered]:
    """Rows of a split with their numbers in the whole data set, from 0."""
    rows = ((i, row) for i, row in enumerate(data.rows(path, accepts)) if split in ("all", row.split))
    return islice(rows, limit)


def judged(
    ctx: Context,
    loaded: Loaded,
    accepts: tuple[str, ...],
    *,
    split: data.Split | Literal["all"] = "heldout",
    limit: int | None = None,
    task: Task | Literal["auto"] = "auto",
    predictions: Path | None = None,
    reward_model: Loaded | None = None,
    reference: Loaded | None = None,
    options: Options,
) -> tuple[Evaluation, dict[str, Any]]:
    """The evaluation of a version on rows of ctx.inputs["dataset"], and what it cost: {"seconds", "tokens_per_s", "rows_per_s", …}.

    predictions: file that gets one JSON object a row, in the order of the rows. Raises what judge.evaluate raises.
    """
    dataset = ctx.inputs["dataset"]
    count = sum(1 for _row in numbered(dataset, accepts, split, limit))
    read = judge.tokens_read([model for model in (loaded, reward_model, reference) if model is not None])
    begin = time.monotonic()

    so_far = {name: [0.0, 0.0] for name in METRICS}

    def done(rows: int) -> None:
        ctx.tokens_seen = read()
        ctx.progress(rows / max(count, 1))
        ctx.event(rows, **{n: float(METRICS[n].finish(np.array(a / b))) for n, (a, b) in so_far.items() if b})

    with open(predictions, "w", encoding="utf-8") if predictions else nullcontext() as file, ctx.autocast():

        def example(row: dict[str, Any]) -> None:
            if file is not None:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
            for name, sums in so_far.items():
                if (parts := parts_of(METRICS[name], row)) is not None:
                    sums[0], sums[1] = sums[0] + parts[0], sums[1] + parts[1]

        found = judge.evaluate(
            loaded,
            numbered(dataset, accepts, split, limit),
            task=task,
            reward_model=reward_model,
            reference=reference,
            calibration_rows=data.rows(dataset, accepts, split="train"),
            seed=ctx.seed,
            options=options,
            watcher=judge.Watcher(example, done, ctx.pause_point, lambda note: ctx.note(note, "warning")),
        )
    seconds = time.monotonic() - begin
    cost = {
        "rows": len(found.examples),
        "seconds": round(seconds, 3),
        "tokens_per_s": round(read() / max(seconds, 1e-9)),
        "rows_per_s": round(len(found.examples) / max(seconds, 1e-9), 2),
        **memory(ctx.device),
    }
    return found, cost


def nothing_moves(ctx: Context, loaded: Loaded) -> int:
    """Tell that no parameter is trained; returns how many it has."""
    _trained, total = counts(loaded)
    ctx.facts(trained_parameters=0, total_parameters=total)
    return total
