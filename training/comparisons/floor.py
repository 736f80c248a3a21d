"""What needs no model: the commonest label of the training rows, given to every held-out row. Counted from the data alone."""

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from labeling.datasets.store import rows_of
from labeling.models import Dataset

from ..engine.evaluation import Figure, figures_of

RESAMPLES = 2000


@dataclass(frozen=True)
class LargestClass:
    """`share`: how many of the training rows have the label, 0..1. `figures`: as an evaluation gives them, but for those that need
    probabilities."""

    label: str
    share: float
    figures: dict[str, Figure]


def largest_class(dataset: Dataset) -> LargestClass | None:
    """None where nothing is to be learned from, or nothing to be judged on."""
    return _counted(dataset.folder)


@lru_cache(maxsize=64)
def _counted(folder: Path) -> LargestClass | None:
    """The rows of a data set never change."""
    labels: dict[str, list[str]] = {"train": [], "heldout": []}
    for row in rows_of(folder):
        labels[row.get("split", "train")].append(row["label"])
    if not labels["train"] or not labels["heldout"]:
        return None
    counts = Counter(labels["train"])
    label = min(counts, key=lambda each: (-counts[each], each))
    judged = [{"label": each, "prediction": label} for each in labels["heldout"]]
    figures = figures_of("classification", judged, resamples=RESAMPLES)
    return LargestClass(label, counts[label] / len(labels["train"]), figures)
