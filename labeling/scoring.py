"""What a reward model says of a file of rows, and of the tasks that wait in a project: asked of the model server, some rows at a time."""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from pathlib import Path
from statistics import fmean

from django.http import StreamingHttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from labeling.files import BadRow, Problem, messages_of, refuse, rows, text_of
from labeling.importing.formats import completions_of
from labeling.models import Project
from labeling.task_queries import with_outputs
from labeling.uploads import Upload
from models_registry import serving_client
from models_registry.models import Version
from models_registry.serving_client import MOST_TEXTS, Judged
from people.downloads import download
from people.errors import Refusal

TEXTS_AT_ONCE = 128  # of a request, or one row: what is done is seen, and others are let in between
Progress = Callable[[int, int], None]
Row = tuple[str | list, Sequence[str]]  # a prompt and its completions


@dataclass(frozen=True)
class Result:
    """The rows of a file with what the model said of them, and how many outputs were scored and cut."""

    rows: list[dict]
    outputs: int
    cut: int

    def sentences(self) -> list[str]:
        said = [ngettext("%(n)d output was scored.", "%(n)d outputs were scored.", self.outputs) % {"n": self.outputs}]
        if self.cut:
            cut = ngettext(
                "%(n)d output was longer than the model's context together with its prompt, and was scored without the start of the prompt or its own end.",
                "%(n)d outputs were longer than the model's context together with their prompts, and were scored without the start of the prompt or their own end.",
                self.cut,
            )
            said.append(cut % {"n": self.cut})
        return said


def read(path: Path, name: str | None = None) -> list[tuple[dict, Row]]:
    """Every row of a file, and what of it is scored: a “prompt” (or none), and a “completion”, “completions” or completion_1 ….

    A Refusal names each row that makes no sense.
    """
    found, problems = [], []
    for line, row in rows(path, name):
        try:
            if isinstance(row, Problem):
                raise BadRow(row.reason)
            found.append((row, _asked(row)))
        except BadRow as error:
            problems.append(Problem(line, str(error)))
    if problems:
        raise refuse(problems)
    if not found:
        raise Refusal(_("The file holds no rows."))
    return found


def _asked(row: dict) -> Row:
    prompt = "" if row.get("prompt") in (None, "") else messages_of(row["prompt"], "prompt")
    if "completion" in row:
        return prompt, [text_of(row, "completion", required=False)]
    texts = [text for text, _source in completions_of(row)]
    if not texts:
        raise BadRow(_("it needs “completion”, “completions”, or “completion_1” …: the outputs to score."))
    if len(texts) > MOST_TEXTS:
        raise BadRow(_("a prompt can have %(most)d outputs at most.") % {"most": MOST_TEXTS})
    return prompt, texts


def score_file(version: Version, path: Path, name: str | None, progress: Progress) -> Result:
    """The rows of a file with “score” (and “cut”) beside a “completion”, score_1 … beside completion_1 …, else “scores”; of an ensemble also
    with “std_between”, or std_between_1 …"""
    found = read(path, name)
    told: list[list[Judged]] = []
    for said, _std in judged(version, [row for _given, row in found]):
        told.append(said)
        progress(len(told), len(found))
    outputs = [each for row in told for each in row]
    scored = [_without_spread(row) | _columns(row, said) for (row, _row), said in zip(found, told, strict=True)]
    return Result(scored, len(outputs), sum(each.cut for each in outputs))


def _without_spread(row: dict) -> dict:
    """A file may have been scored before, by an ensemble: what that said is not said of the new scores."""
    return {name: cell for name, cell in row.items() if not name.startswith("std_between")}


def _columns(row: dict, said: Sequence[Judged]) -> dict:
    apart = [each.std_between for each in said if each.std_between is not None]  # of all, or of none
    if "completion" in row:
        return {"score": said[0].score, **({"std_between": apart[0]} if apart else {}), "cut": said[0].cut}
    if "completions" in row:
        spread = {"std_between": apart} if apart else {}
        return {"scores": [each.score for each in said], **spread, "cut": [each.cut for each in said]}
    scores = {f"score_{n}": each.score for n, each in enumerate(said, 1)}
    scores |= {f"std_between_{n}": each for n, each in enumerate(apart, 1)}
    return scores | {"cut": any(each.cut for each in said)}


@dataclass(frozen=True)
class Told:
    """An output with what was said of it; `spread`: how far the heads of an ensemble stand apart."""

    text: str
    score: float
    spread: float | None
    cut: bool


def told(row: dict) -> tuple[str | list, list[Told]]:
    """A row of a result: its prompt, and its outputs with what stands in its columns (_columns) about each."""
    prompt, texts = _asked(row)
    numbers = range(1, len(texts) + 1)
    scores = row.get("scores") or [row.get(f"score_{n}", row.get("score")) for n in numbers]
    spreads = row.get("std_between")
    if not isinstance(spreads, list):
        spreads = [row.get(f"std_between_{n}", spreads) for n in numbers]
    cut = row["cut"] if isinstance(row["cut"], list) else [row["cut"]] * len(texts)
    return prompt, [Told(*each) for each in zip(texts, scores, spreads, cut, strict=True)]


def columns_of(scored: Iterable[dict]) -> list[str]:
    """Of all rows, in the order in which they come."""
    return list(dict.fromkeys(column for row in scored for column in row))


def rows_of(result: Upload) -> Iterator[dict]:
    """A Refusal (404) where the upload is no result, but a file that somebody has brought."""
    found = (row for _line, row in rows(result.path) if isinstance(row, dict) and "cut" in row)
    if (first := next(found, None)) is None:
        raise Refusal(_("This file holds no scores; let a reward model score it first."), status=404)
    return chain([first], found)


def file_of(result: Upload, kind: str) -> StreamingHttpResponse:
    """The scored rows to take away: "csv", or "json" (a line each)."""
    if kind not in ("csv", "json"):
        raise Refusal(_("Choose csv or json."))
    scored = list(rows_of(result))
    columns = columns_of(scored)
    if kind == "csv":
        scored = [dict.fromkeys(columns) | row for row in scored]
    return download(scored, columns, result.path.stem, kind)


def as_lines(scored: Iterable[dict]) -> Iterator[bytes]:
    return (json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in scored)


def uncertainties(version: Version, project: Project, progress: Progress) -> dict[int, float]:
    """How uncertain a reward model is about each task that waits: see `uncertainty`, and of an ensemble `disagreement`."""
    waiting = project.tasks.filter(position__isnull=False).order_by("pk")
    total = waiting.count()
    asked: list[int] = []
    found: dict[int, float] = {}

    def tasks() -> Iterator[Row]:
        for task in with_outputs(waiting).iterator(chunk_size=500):
            asked.append(task.pk)
            yield task.prompt.content, [item.completion.text for item in task.items.all()]

    for said, std in judged(version, tasks()):
        by_head = [each.by_head for each in said if each.by_head]
        found[asked[len(found)]] = (
            disagreement(by_head, std) if by_head else uncertainty([each.score for each in said], std)
        )
        progress(len(found), max(total, len(found)))
    return found


def uncertainty(scores: Sequence[float], std: float) -> float:
    """How close the best two of at least two outputs are, from 0 (no doubt which is best) to 1 (equally good).

    Twice the probability that the second best would win against the best: 2 / (1 + exp(std · (s₁ − s₂))), by Bradley and Terry (1952).
    `std` brings a difference of scores back to the scale on which the model learned it.
    """
    best, second = sorted(scores, reverse=True)[:2]
    odds = math.exp(-std * (best - second))
    return 2 * odds / (1 + odds)


def disagreement(by_head: Sequence[Sequence[float]], std: float) -> float:
    """How much the heads of an ensemble disagree about which of two outputs is better, mean over their pairs, from 0 (all say the same, be it that
    the two are alike) to 1 (each is sure, and half of them of the opposite).

    What a comparison would tell about which head is right, in bits: H(mean p) − mean H(p), p by Bradley and Terry (Houlsby et al. 2011, BALD).
    Unlike `uncertainty` it is small where outputs are known to be equally good: to ask again would teach nothing.
    """

    def entropy(p: float) -> float:
        return -sum(q * math.log2(q) for q in (p, 1 - p) if q > 0)

    found = []
    for one, other in combinations(by_head, 2):
        wins = [_sigmoid(std * (a - b)) for a, b in zip(one, other, strict=True)]
        found.append(entropy(fmean(wins)) - fmean(map(entropy, wins)))
    return max(fmean(found), 0.0)  # rounding may leave a little less than nothing


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def judged(version: Version, asked: Iterable[Row]) -> Iterator[tuple[list[Judged], float]]:
    """Of each row, in its order, what the model says of its completions, and the `std` of its scale (serving_client.Judgement)."""
    some: list[Row] = []
    for row in asked:
        if some and sum(len(texts) for _prompt, texts in [*some, row]) > TEXTS_AT_ONCE:
            yield from _answers(version, some)
            some = []
        some.append(row)
    if some:
        yield from _answers(version, some)


def _answers(version: Version, some: Sequence[Row]) -> Iterator[tuple[list[Judged], float]]:
    judgement = serving_client.judge(version, some)
    return ((row, judgement.std) for row in judgement.rows)
