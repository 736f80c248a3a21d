"""How good a classifier is on texts it has not seen: plain numpy on classes, those given and those predicted."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...evaluation.figures import macro_f1


def confusion(labels: np.ndarray, predictions: np.ndarray, classes: int) -> np.ndarray:
    """(classes, classes): row the class a text has, column the one it was given."""
    return np.bincount(labels * classes + predictions, minlength=classes * classes).reshape(classes, classes)


def figures(labels: np.ndarray, predictions: np.ndarray, classes: int) -> dict[str, float]:
    """accuracy and macro_f1 (the mean over the classes that occur), both 0..1."""
    cells = labels * classes + predictions
    return {"accuracy": float((labels == predictions).mean()), "macro_f1": float(macro_f1(cells[None], classes)[0])}


def per_class(matrix: np.ndarray, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """precision, recall, f1 (0 where nothing was right) and the number of texts of each class."""
    found = {}
    for number, name in enumerate(names):
        right, given, there = (int(n) for n in (matrix[number, number], matrix[:, number].sum(), matrix[number].sum()))
        found[name] = {
            "precision": right / given if given else 0.0,
            "recall": right / there if there else 0.0,
            "f1": 2 * right / (given + there) if given + there else 0.0,
            "texts": there,
        }
    return found
