"""Whether a version knows the better output: a reward model by its scores, a language model by how likely it finds them, or by what it writes.

Rows of one prompt hang together (`cluster`): their intervals are drawn prompt by prompt.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from itertools import islice
from typing import Any

import numpy as np

from labeling.ranking import WeakOrder
from models_registry.lm.chain import Loaded
from models_registry.lm.generate import generate
from models_registry.lm.heads import read_scale
from models_registry.lm.packed import Group, Way, probe, scores
from models_registry.lm.score import rewards
from models_registry.lm.text import encode_pairs, encode_prompt

from ..data import RankingRow, as_prompt
from ..messages import Message, _
from ..methods.reward.rankings import tokenized
from ..methods.reward.report import Pairs, Scored, tie_threshold
from .figures import Options
from .language import nats_of

CALIBRATED_ON = 1000  # rankings that a missing tie threshold is fitted on, at most


def cluster_of(prompt: Any) -> str:
    """A short name of a prompt."""
    return sha256(repr(as_prompt(prompt)).encode()).hexdigest()[:12]


def pairs_right(order: WeakOrder, scores: Sequence[float]) -> dict[str, float]:
    """How many strict pairs the scores put in the right order; equal scores are half right."""
    strict = order.strict_pairs()
    right = sum(0.5 * (float(np.sign(scores[a] - scores[b])) + 1) for a, b in strict)
    return {"strict_right": right, "strict_pairs": len(strict)}


def agreement(order: WeakOrder, scores: Sequence[float], threshold: float) -> dict[str, float]:
    """How many pairs are right when scores closer than the threshold are called a tie (Deutsch et al. 2023, section 3)."""
    tied = sum(abs(scores[a] - scores[b]) <= threshold for a, b in order.tied_pairs())
    strict = sum(scores[a] - scores[b] > threshold for a, b in order.strict_pairs())
    return {"agree": float(tied + strict), "pairs": len(order.tied_pairs()) + len(order.strict_pairs())}


def _has_room(model: Loaded, prompt: Any) -> bool:
    return model.context_length is None or len(encode_prompt(model, prompt)) < model.context_length


def _said(row: RankingRow) -> tuple[list[int], WeakOrder | None]:
    """The outputs about which a ranking says something, and what it says about them."""
    said = [item for item in range(row.order.items) if item not in row.order.unranked]
    return said, row.order.restrict(said)


class ByReward:
    """rows → {"cluster", "scores", "strict_right", "strict_pairs", "agree", "pairs"}; scores on the reward model's own scale."""

    def __init__(self, loaded: Loaded, calibration_rows: Iterable[RankingRow], options: Options) -> None:
        self.loaded, self.options = loaded, options
        self.scale = read_scale(loaded.folders[-1])
        self.cut = 0
        self._way: Way | None = None  # found out at the first rows
        self.fitted_on = 0
        self.threshold = self.scale.tie_threshold
        if self.threshold is None:
            self.threshold = self._fit(list(islice(calibration_rows, CALIBRATED_ON)))

    def _fit(self, rows: Sequence[RankingRow]) -> float | None:
        scored = [
            Scored(order, np.array(scores), np.ones(order.items))
            for order, scores in self._scored(rows)
            if order is not None and (order.strict_pairs() or order.tied_pairs())
        ]
        self.fitted_on = len(scored)
        return tie_threshold(Pairs.of(scored)) if scored else None

    def _scored(self, rows: Sequence[RankingRow]) -> list[tuple[WeakOrder | None, list[float]]]:
        """What each ranking says, and the score of each output about which it says something."""
        rankings = [tokenized(self.loaded, row) for row in rows]
        groups: list[Group] = []
        for ranking in rankings:
            if ranking is not None:
                group = ranking.group.cut(self.loaded.context_length)
                self.cut += group is not ranking.group
                groups.append(group)
        values = iter(self._scores(groups))
        return [(None, []) if ranking is None else (ranking.order, next(values)) for ranking in rankings]

    def _scores(self, groups: Sequence[Group]) -> list[list[float]]:
        if groups and self._way is None:
            self._way = probe(self.loaded.model, groups).way
        found: list[list[float]] = [[] for _group in groups]
        order = sorted(range(len(groups)), key=lambda i: groups[i].packed_length)
        for begin in range(0, len(order), self.options.batch_size):
            places = order[begin : begin + self.options.batch_size]
            values = self.scale.apply(
                scores(self.loaded.model, [groups[i] for i in places], self._way or "separate")
            ).tolist()
            for i in places:
                found[i], values = values[: len(groups[i].completions)], values[len(groups[i].completions) :]
        return found

    def __call__(self, rows: Sequence[RankingRow]) -> list[dict[str, Any]]:
        found = []
        for row, (order, values) in zip(rows, self._scored(rows), strict=True):
            example: dict[str, Any] = {"cluster": cluster_of(row.prompt), "scores": values}
            if order is not None:
                example |= pairs_right(order, values)
                if self.threshold is not None:
                    example |= agreement(order, values, self.threshold)
            found.append(example)
        return found

    def notes(self) -> list[Message]:
        found = []
        if self.cut:
            text = _("%(number)s rankings are longer than the model's context and lose the start of their prompts.")
            found.append(Message("rankings-cut", text, {"number": self.cut}))
        if self.threshold is None:
            text = _(
                "This reward model has no tie threshold, and the data set has no training rankings to fit one on: nothing is said about ties."
            )
            found.append(Message("no-tie-threshold", text))
        elif self.fitted_on:
            text = _(
                "This reward model brought no tie threshold; it was fitted on %(number)s training rankings of this data set."
            )
            found.append(Message("tie-threshold-fitted", text, {"number": self.fitted_on}))
        return found

    def extra(self, _examples: list[dict[str, Any]]) -> dict[str, Any]:
        return {"tie_threshold": self.threshold}


class ByLikelihood:
    """rows → {"cluster", "scores", "strict_right", "strict_pairs"}: scores are mean log-probabilities a token (of rankings).

    With a reward model, on the first row of each prompt also {"answers", "reward"}, and with a reference {"reference_answers", "win"}: the
    share of answers whose reward is higher, a tie being half.
    """

    def __init__(
        self,
        loaded: Loaded,
        reward_model: Loaded | None,
        reference: Loaded | None,
        options: Options,
        seed: int,
    ) -> None:
        self.loaded, self.reward_model, self.reference = loaded, reward_model, reference
        self.options, self.seed = options, seed
        self._seen: set[str] = set()
        self.full = 0

    def __call__(self, rows: Sequence[Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = [{"cluster": cluster_of(row.prompt)} for row in rows]
        if isinstance(rows[0], RankingRow):
            self._compare(rows, found)
        if self.reward_model is not None:
            self._write(rows, found)
        return found

    def _compare(self, rows: Sequence[RankingRow], found: list[dict[str, Any]]) -> None:
        said = [_said(row) for row in rows]
        asked = [
            (as_prompt(row.prompt), row.completions[item])
            for row, (items, _order) in zip(rows, said, strict=True)
            for item in items
        ]
        limit = self.loaded.context_length or 4096
        pieces = []
        for prompt, answer in encode_pairs(self.loaded, asked):
            group = Group(prompt, [answer[:limit]]).cut(limit + 1)
            start = group.prompt or prompt[:1]
            pieces.append(([*start, *group.completions[0]], len(start)))
        scores = iter(
            -nats / max(len(ids) - prompt, 1)
            for (ids, prompt), nats in zip(pieces, nats_of(self.loaded, pieces, self.options), strict=True)
        )
        for example, (items, order) in zip(found, said, strict=True):
            own = [next(scores) for _item in items]
            example["scores"] = own
            if order is not None:
                example |= pairs_right(order, own)

    def _write(self, rows: Sequence[Any], found: list[dict[str, Any]]) -> None:
        new = []
        for place, example in enumerate(found):
            if example["cluster"] not in self._seen:
                self._seen.add(example["cluster"])
                new.append(place)
        if not new:
            return
        first = len(self._seen) - len(new)
        writers = [model for model in (self.loaded, self.reference) if model is not None]
        some = [place for place in new if all(_has_room(model, as_prompt(rows[place].prompt)) for model in writers)]
        self.full += len(new) - len(some)
        new = some
        prompts = [as_prompt(rows[place].prompt) for place in new]
        answers = self._answers(self.loaded, prompts, first)
        scored = self._rewards(prompts, answers)
        for place, own, values in zip(new, answers, scored, strict=True):
            found[place] |= {"answers": own, "reward": float(np.mean(values))}
        if self.reference is not None:
            theirs = self._answers(self.reference, prompts, first)
            for place, own, others, mine, other in zip(
                new, answers, theirs, scored, self._rewards(prompts, theirs), strict=True
            ):
                wins = [
                    0.5 if text == against or value == worth else float(value > worth)
                    for text, against, value, worth in zip(own, others, mine, other, strict=True)
                ]
                found[place] |= {
                    "reference_answers": others,
                    "reference_reward": float(np.mean(other)),
                    "win": float(np.mean(wins)),
                }

    def _answers(self, model: Loaded, prompts: Sequence[Any], first: int) -> list[list[str]]:
        """(prompts, samples) texts; what is drawn depends on the seed and the prompt's number alone."""
        options = self.options
        outputs = generate(
            model,
            prompts,
            max_tokens=options.max_tokens,
            temperature=options.temperature,
            samples=options.samples,
            seed=self.seed,
            batch_size=options.batch_size,
            first_index=first,
        )
        texts = [output.text for output in outputs]
        return [texts[begin : begin + options.samples] for begin in range(0, len(texts), options.samples)]

    def _rewards(self, prompts: Sequence[Any], answers: Sequence[Sequence[str]]) -> list[list[float]]:
        assert self.reward_model is not None
        pairs = [(prompt, text) for prompt, own in zip(prompts, answers, strict=True) for text in own]
        values = rewards(self.reward_model, pairs, batch_size=self.options.batch_size)
        each = self.options.samples
        return [values[begin : begin + each] for begin in range(0, len(values), each)]

    def notes(self) -> list[Message]:
        if not self.full:
            return []
        text = _("%(number)s prompts fill the model's context; nothing could be written to them.")
        return [Message("prompts-full", text, {"number": self.full})]

    def extra(self, _examples: list[dict[str, Any]]) -> dict[str, Any]:
        return {"prompts": len(self._seen)} if self._seen else {}
