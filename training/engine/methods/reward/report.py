"""How good a reward model is on rankings it has not seen: plain numpy on scores and orders."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from math import log

import numpy as np

from labeling.ranking import WeakOrder

from ...intervals import clustered_share

Outcomes = Callable[
    [np.ndarray], np.ndarray
]  # score differences (n,) → probabilities (n, 3) of first wins, tie, second wins


@dataclass(frozen=True)
class Scored:
    """A ranking and the model's normalised score of each of its outputs. `prompt` names what hangs together; `tokens` are lengths.

    `by_head` (K, heads): what each head of an ensemble says, their mean being `scores`; None where there is one.

    For what people say of the same outputs: `task` names them, `whole` ranks all of them, and `said` are the numbers in it of those that
    `order` is about.
    """

    order: WeakOrder
    scores: np.ndarray
    tokens: np.ndarray
    prompt: Hashable = None
    annotator: str | None = None
    task: Hashable = None
    whole: WeakOrder | None = None
    said: tuple[int, ...] = ()
    by_head: np.ndarray | None = None


@dataclass(frozen=True)
class Pairs:
    """All pairs that rankings say something about: score and log2-length differences of first minus second (first is better or tied)."""

    difference: np.ndarray
    doublings: np.ndarray
    tied: np.ndarray
    prompt: np.ndarray  # number of the prompt
    ranking: np.ndarray  # number of the ranking
    distance: np.ndarray  # tiers between the two
    by_head: np.ndarray  # (n, heads) the differences of score by each head; one column where there is one head

    @classmethod
    def of(cls, rankings: Sequence[Scored]) -> "Pairs":
        number: dict[Hashable, int] = {}
        rows = [
            (
                r.scores[a] - r.scores[b],
                np.log2(r.tokens[a] / r.tokens[b]),
                tied,
                number.setdefault(r.prompt, len(number)),
                place,
                r.order.distance(a, b),
                (r.scores[:, None] if r.by_head is None else r.by_head)[[a, b]],
            )
            for place, r in enumerate(rankings)
            for tied, pairs in ((False, r.order.strict_pairs()), (True, r.order.tied_pairs()))
            for a, b in pairs
        ]
        columns = (np.array(column) for column in zip(*rows, strict=True))
        difference, doublings, tied, prompt, ranking, distance, by_head = columns
        apart = by_head[:, 0] - by_head[:, 1]
        return cls(difference, doublings, tied.astype(bool), prompt, ranking, distance, apart)

    @property
    def direction(self) -> np.ndarray:
        """(n,): 1 where the better output scores higher, ½ where both score the same."""
        return (np.sign(self.difference) + 1) / 2

    def share(self, right: np.ndarray, among: np.ndarray) -> tuple[float, float, float] | None:
        """Mean of `right` (n,) over the pairs of `among` (n,), with its interval over prompts; None if there are none."""
        prompts = np.unique(self.prompt[among])
        if not len(prompts):
            return None
        hits = [right[among & (self.prompt == p)].sum() for p in prompts]
        counts = [(among & (self.prompt == p)).sum() for p in prompts]
        return (sum(hits) / sum(counts), *clustered_share(hits, counts))


def tie_threshold(pairs: Pairs) -> float:
    """The score difference up to which calling a pair tied agrees best with people: tie calibration (Deutsch et al. 2023, section 5).

    Ties within it that are tied for people are right, strict pairs beyond it in the right direction are right.
    """
    size = np.abs(pairs.difference)
    order = np.argsort(size, kind="stable")
    # Moving the threshold past a pair wins it if it is tied, and loses it if it was strict and right.
    gain = np.where(pairs.tied, 1, -(pairs.difference > 0).astype(int))[order].cumsum()
    last_of_size = np.append(np.diff(size[order]) > 0, True)
    best, at = 0, -1
    for place in np.flatnonzero(last_of_size).tolist():
        if gain[place] > best:
            best, at = int(gain[place]), place
    if at < 0:
        return 0.0
    ordered = size[order]
    # Half way to the next pair: what was learned here has a margin on others.
    return float((ordered[at] + ordered[at + 1]) / 2 if at + 1 < len(ordered) else ordered[at])


def surprise(pairs: Pairs, outcomes: Outcomes) -> np.ndarray:
    """(n,) -log probability of what people said of each pair: first wins or tie."""
    return -np.log(np.maximum(said(pairs, outcomes(pairs.difference)), 1e-12))


def said(pairs: Pairs, probabilities: np.ndarray) -> np.ndarray:
    """Of (n, 3) probabilities of first wins, tie, second wins: (n,) that of what people said."""
    return np.where(pairs.tied, probabilities[:, 1], probabilities[:, 0])


def three_way_log_loss(pairs: Pairs, outcomes: Outcomes) -> float:
    return float(surprise(pairs, outcomes).mean())


def chance_log_loss(train: Pairs, heldout: Pairs) -> float:
    """The same for one who knows nothing but how often people tie."""
    tie = float(np.clip(train.tied.mean(), 1e-3, 1 - 1e-3))
    share = heldout.tied.mean()
    return float(-share * log(tie) - (1 - share) * log((1 - tie) / 2))


def length_slope(rankings: Sequence[Scored]) -> float | None:
    """Standard deviations of score that a doubling of the length goes with, within prompts (least squares on what is left when each
    ranking's means are taken away). None where lengths hardly differ (by less than a tenth of a doubling): noise would pass for a slope."""
    x = np.concatenate([np.log2(r.tokens) - np.log2(r.tokens).mean() for r in rankings])
    y = np.concatenate([r.scores - r.scores.mean() for r in rankings])
    return float((x * y).sum() / (x * x).sum()) if x.std() > 0.1 else None


def report(train: Sequence[Scored], heldout: Sequence[Scored], outcomes: Outcomes) -> dict[str, float | int | None]:
    """Figures on the held-out rankings; what has to be fitted (the tie threshold, how often people tie) is fitted on `train`."""
    fit, pairs = Pairs.of(train), Pairs.of(heldout)
    threshold = tie_threshold(fit)
    longer = (np.sign(pairs.doublings) + 1) / 2
    called_tied = np.abs(pairs.difference) <= threshold
    agrees = np.where(pairs.tied, called_tied, ~called_tied & (pairs.difference > 0))
    figures: dict[str, float | int | None] = {
        "heldout_rankings": len(heldout),
        "heldout_strict_pairs": int((~pairs.tied).sum()),
        "heldout_tied_pairs": int(pairs.tied.sum()),
        "log_loss_chance": chance_log_loss(fit, pairs),
        "tie_threshold": threshold,
        "length_slope": length_slope(heldout),
    }
    every = np.ones_like(pairs.tied)
    for name, right, among in (
        ("log_loss_three_way", surprise(pairs, outcomes), every),
        ("accuracy", pairs.direction, ~pairs.tied),
        ("tie_aware_accuracy", agrees, every),
        ("longer_accuracy", longer, ~pairs.tied),
    ):
        found = pairs.share(right, among)
        figures |= dict(zip((name, f"{name}_low", f"{name}_high"), found or (None,) * 3, strict=True))
    if len(np.unique(pairs.prompt)) < 2:  # 0 to 1 says "anything" of a share alone
        figures |= {"log_loss_three_way_low": None, "log_loss_three_way_high": None}
    return figures
