"""What the tests of the runs need: a small text corpus as a data set, a run that pretrains a tiny model on it."""

import hashlib
import json
from collections import Counter
from itertools import count
from pathlib import Path

from labeling.models import Dataset
from people.models import User
from tests import factories
from training import actions
from training.models import Run

_numbers = count(1)
NANO = {"size": "nano", "max_steps": 6, "batch_size": 2, "log_every": 1, "eval_every": 3, "sample_tokens": 4}
LONG = NANO | {"max_steps": 100_000, "epochs": 10_000.0}


def dataset(kind: str = "text", rows: list[dict] | None = None, name: str = "") -> Dataset:
    number = next(_numbers)
    if rows is None:
        rows = [
            {
                "text": f"The cat number {n} sat on the mat number {number}.",
                "split": "heldout" if n % 10 == 0 else "train",
            }
            for n in range(60)
        ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    made = Dataset.objects.create(
        name=name or f"Texts {number}",
        kind=kind,
        digest=hashlib.sha256(f"{number}{text}".encode()).hexdigest(),
        rows=len(rows),
        splits=dict(Counter(row.get("split", "train") for row in rows)),
    )
    made.folder.mkdir(parents=True)
    (made.folder / "data.jsonl").write_text(text)
    return made


def run(*, actor: User | None = None, method: str = "pretrain", config: dict | None = None, **fields: object) -> Run:
    """A queued run; by default it pretrains a tiny model."""
    return actions.create_run(
        actor=actor or factories.admin(),
        method=method,
        config=config or NANO,
        inputs=fields.pop("inputs", None) or {"dataset": dataset()},
        **fields,
    )


def write_events(folder: Path, *events: dict) -> None:
    """Append lines to a run's events.jsonl, as the engine would."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "events.jsonl", "a") as file:
        for event in events:
            file.write(json.dumps(event) + "\n")
