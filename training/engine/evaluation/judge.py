"""Judging a version: which task fits it and its rows, then row by row in their order, and the figures at the end.

Nothing here draws from the global random state, and rows are done in parts of fixed size, so the same call gives the same numbers.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, Protocol

import torch

from models_registry.lm.chain import Loaded

from ..data import KINDS
from ..messages import Message, Refused, _
from . import classification, language, preference
from .figures import Evaluation, Options, Task, figures_of
from .tasks import task_for

PART = 256  # rows that are encoded, judged and told at once

Numbered = tuple[int, Any]  # number of a row in its data set, from 0; and the row


@dataclass
class Watcher:
    """What is told while it goes on: `example` gets each row as soon as it is judged, in order; `done` the number of rows so far.

    `pause` is called between parts and may raise; `note` gets remarks for people.
    """

    example: Callable[[dict[str, Any]], None] = lambda _row: None
    done: Callable[[int], None] = lambda _rows: None
    pause: Callable[[], None] = lambda: None
    note: Callable[[Message], None] = lambda _message: None


class Judge(Protocol):
    """Judges rows of one task; see the modules of the tasks for what is said of a row."""

    def __call__(self, rows: Sequence[Any], /) -> list[dict[str, Any]]: ...

    def notes(self) -> list[Message]: ...

    def extra(self, _examples: list[dict[str, Any]], /) -> dict[str, Any]: ...


def evaluate(
    loaded: Loaded,
    rows: Iterable[Numbered],
    *,
    task: Task | Literal["auto"] = "auto",
    reward_model: Loaded | None = None,
    reference: Loaded | None = None,
    calibration_rows: Iterable[Any] = (),
    seed: int = 0,
    options: Options | None = None,
    watcher: Watcher | None = None,
) -> Evaluation:
    """How a version does on rows of one data set.

    language: nats, tokens and bytes of each text (of the completion alone where there is a prompt). classification: the likeliest label.
    preference: which of two outputs is the better one, by the reward model's score, or by a language model's mean log-probability a token;
    with `reward_model`, also the reward of freshly written answers, and how often it is higher than that of `reference`.
    calibration_rows: rankings that fit the tie threshold of a reward model which brings none.

    Raises Refused, before anything is computed, for what does not go together, and when there are no rows.
    """
    options, watcher = options or Options(), watcher or Watcher()
    stream = iter(rows)
    first = next(stream, None)
    if first is None:
        raise Refused(
            Message("nothing-to-judge", _("The data set has no rows of this split to judge the version on."))
        )
    chosen = task_of(type(first[1]), loaded, task, reward_model is not None, reference is not None)
    for model in (loaded, reward_model, reference):
        if model is not None:
            model.shortened = 0
    with _as_it_is(loaded, reward_model, reference), torch.inference_mode():
        judge: Judge
        if chosen == "language":
            judge = language.Judge(loaded, options)
        elif chosen == "classification":
            judge = classification.Judge(loaded, options)
        elif loaded.head == "reward":
            judge = preference.ByReward(loaded, calibration_rows, options)
        else:
            judge = preference.ByLikelihood(loaded, reward_model, reference, options, seed)
        examples: list[dict[str, Any]] = []
        for part in _parts(first, stream):
            watcher.pause()
            for (number, _row), found in zip(part, judge([row for _number, row in part]), strict=True):
                examples.append({"row": number, **found})
                watcher.example(examples[-1])
            watcher.done(len(examples))
    for note in [*judge.notes(), *_shortened(loaded, reference)]:
        watcher.note(note)
    figures = figures_of(chosen, examples, resamples=options.resamples, seed=0)
    if not figures:
        text = _(
            "None of the %(rows)s rows could be judged: they say nothing that this version could be right or wrong about."
        )
        raise Refused(Message("nothing-judged", text, {"rows": len(examples)}))
    return Evaluation(chosen, figures, examples, judge.extra(examples))


def _parts(first: Numbered, stream: Iterator[Numbered]) -> Iterator[list[Numbered]]:
    part = [first, *islice(stream, PART - 1)]
    while part:
        yield part
        part = list(islice(stream, PART))


@contextmanager
def _as_it_is(*models: Loaded | None):
    """Without dropout, for the time of the block."""
    training = [model.model for model in models if model is not None and model.model.training]
    for model in training:
        model.eval()
    try:
        yield
    finally:
        for model in training:
            model.train()


def task_of(
    row: type, loaded: Loaded, wanted: Task | Literal["auto"], has_reward_model: bool, has_reference: bool
) -> Task:
    """The task, or Refused with the reasons why these rows, this version and these inputs do not go together."""
    kind = next(name for name, model in KINDS.items() if model is row)
    task, problems = task_for(
        kind,
        head=loaded.head,
        has_labels=bool(loaded.labels),
        wanted=wanted,
        has_reward_model=has_reward_model,
        has_reference=has_reference,
    )
    if problems:
        raise Refused(problems)
    return task


def _shortened(*models: Loaded | None) -> list[Message]:
    text = _(
        "Not all examples fit into the model's context beside what is asked: %(number)s times the first ones were left out."
    )
    return [
        Message("examples-left-out", text, {"number": model.shortened})
        for model in models
        if model is not None and model.shortened
    ]


def tokens_read(models: Sequence[Loaded]) -> Callable[[], int]:
    """Counts, from now on, the tokens that go through these models, padding included; the result tells how many."""
    total = 0

    def count(_module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        nonlocal total
        ids = args[0] if args else kwargs.get("input_ids")
        if ids is not None:
            total += ids.numel()
        elif (embeddings := kwargs.get("inputs_embeds")) is not None:
            total += embeddings.shape[0] * embeddings.shape[1]

    for each in (model for loaded in models for model in (loaded.model, *loaded.others)):
        each.base_model.register_forward_pre_hook(count, with_kwargs=True)
    return lambda: total
