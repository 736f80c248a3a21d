"""One evaluation for versions of every kind, so that numbers cannot differ by path. Light: `judge.evaluate` loads torch, the rest does not.

    judge.evaluate(loaded, rows, …) -> Evaluation     figures with intervals, and what each row had to do with them
    paired.paired(a, b)                                two lists of such rows, of the same data: are the two different?

What is written about a row (a line of predictions.jsonl) holds everything that its figures are made of, so that a comparison needs no model.
"""

from .figures import METRICS, TASKS, Evaluation, Figure, Metric, Options, Task, figures_of
from .paired import Difference, paired

__all__ = [
    "METRICS",
    "TASKS",
    "Difference",
    "Evaluation",
    "Figure",
    "Metric",
    "Options",
    "Task",
    "figures_of",
    "paired",
]
