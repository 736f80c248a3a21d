"""How often a classifier is right: any version with labels, be they neurons of its head or words of a hard prompt."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from models_registry.lm.chain import Loaded
from models_registry.lm.score import class_logprobs

from ..messages import Message, Refused, _
from .figures import Options, labels_in


class Judge:
    """rows → {"label", "prediction", "log_loss", "logprobs": {label: nats}}; log_loss is None for a label that the version does not know."""

    def __init__(self, loaded: Loaded, options: Options) -> None:
        self.loaded, self.options = loaded, options
        self.unknown: Counter[str] = Counter()

    def __call__(self, rows: Sequence[Any]) -> list[dict[str, Any]]:
        labels = self.loaded.labels
        logprobs = class_logprobs(self.loaded, [row.text for row in rows], batch_size=self.options.batch_size)
        found = []
        for row, values in zip(rows, np.asarray(logprobs, float), strict=True):
            by_label = dict(zip(labels, (float(value) for value in values), strict=True))
            if row.label not in by_label:
                self.unknown[row.label] += 1
            found.append(
                {
                    "label": row.label,
                    "prediction": labels[int(values.argmax())],
                    "log_loss": -by_label[row.label] if row.label in by_label else None,
                    "logprobs": by_label,
                }
            )
        return found

    def notes(self) -> list[Message]:
        if not self.unknown:
            return []
        text = _(
            "%(texts)s rows have labels that this version does not know (%(labels)s), so they count as wrong. It knows: %(known)s."
        )
        labels, known = ", ".join(sorted(self.unknown)), ", ".join(self.loaded.labels)
        return [Message("unknown-labels", text, {"texts": self.unknown.total(), "labels": labels, "known": known})]

    def extra(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """The confusion matrix: a row for the label a text has, a column for the one it was given."""
        if self.unknown.total() == len(examples):
            text = _(
                "No row has a label that this version knows. The rows have: %(labels)s. The version knows: %(known)s."
            )
            labels, known = ", ".join(sorted(self.unknown)[:20]), ", ".join(self.loaded.labels)
            raise Refused(Message("no-known-label", text, {"labels": labels, "known": known}))
        names = [*self.loaded.labels, *(name for name in labels_in(examples) if name not in self.loaded.labels)]
        place = {name: number for number, name in enumerate(names)}
        matrix = np.zeros((len(names), len(names)), dtype=int)
        for row in examples:
            matrix[place[row["label"]], place[row["prediction"]]] += 1
        return {"confusion": {"labels": names, "matrix": matrix.tolist()}}
