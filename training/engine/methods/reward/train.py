"""Reward modelling, top to bottom: read rankings, share prompts, learn, keep the best weights, put the scores on a scale, report.

A ranking of K outputs is one element of a batch and costs one forward pass per output, never one per pair (Ouyang et al. 2022, section 3.5).
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from labeling.ranking import MAX_ITEMS
from models_registry.lm.chain import Loaded, active_head, load
from models_registry.lm.heads import Scale, into_reward, write_scale
from models_registry.lm.members import Members, read_members
from models_registry.lm.packed import ROWS, Group, Way, pooled, probe, scores
from models_registry.lm.tuning.apply import save

from ... import loop
from ...best import Best
from ...context import Context
from ...messages import Message, _
from ...moving import Moving
from ...preferences import BradleyTerry, Comparisons, Davidson, Objective, PlackettLuce, Preference, RaoKupper, Soft
from .config import Config
from .ensemble import doubts, shares
from .judging import judged
from .padding import becomes_padding
from .rankings import Ranking, batches, read_rankings
from .report import Pairs, Scored, report, three_way_log_loss

Scorer = Callable[[Sequence[Group]], Tensor]  # groups → raw scores of all their completions by each head: (N, heads)

EVALUATED_AT_ONCE = 8  # rankings in one forward pass


@dataclass(frozen=True)
class Micro:
    """Rankings that go through the model at once."""

    rankings: list[Ranking]

    @property
    def weight(self) -> int:
        return len(self.rankings)

    @property
    def tokens(self) -> int:
        return sum(ranking.group.packed_length for ranking in self.rankings)


def run(ctx: Context) -> None:
    config: Config = ctx.config
    loaded = load(ctx.inputs["base"], device=ctx.device)
    train, heldout = read_rankings(ctx, loaded)
    if loaded.head == "lm":
        padded = loaded.tokenizer.pad_token
        into_reward(loaded, seed=ctx.seed)
        if padded is None:
            ctx.note(becomes_padding(loaded.tokenizer.pad_token))
    moving = Moving(ctx, loaded, (ids for r in train for ids in (r.group.prompt, *r.group.completions)))
    way = way_of(ctx, loaded, train + heldout) if config.share_prompt else "separate"
    members = several_heads(ctx, loaded, moving) if config.ensemble > 1 else None
    scores_of = scorer(loaded, way, members)

    preference = preference_of(config)
    usable = [r for r in train if teaches(r, preference, config)]
    people = annotators_of(ctx, usable) if config.annotator_scale else None
    objective = Objective(
        preference, line=config.line_weight, centering=config.centering, people=people, spread=config.annotator_spread
    ).to(ctx.device)
    shuffle = loop.Shuffle(len(usable), config.batch_size, ctx.seed)
    beside = {f"objective.{name}": p for name, p in objective.named_parameters() if p.requires_grad}
    parameters = moving.parameters | beside
    by_prompt = shares(usable, config.ensemble, seed=ctx.seed) if members is not None and config.bootstrap else {}

    def batch(step: int) -> list[Micro]:
        chosen = [usable[i] for i in shuffle(step)]
        return [Micro(part) for part in batches(chosen, config.micro_batch or config.batch_size)]

    def loss(micro: Micro) -> tuple[Tensor, dict[str, Tensor]]:
        by_head = scores_of([r.group for r in micro.rankings]).unbind(1)
        losses = torch.stack([losses_of(objective, each, micro.rankings)[0] for each in by_head], dim=1)
        weights = np.array([r.weight * by_prompt.get(r.prompt, np.ones(len(by_head))) for r in micro.rankings])
        weighted = losses * torch.from_numpy(weights).to(losses)
        prior = objective.penalty(objective.numbers_of([r.annotator for r in micro.rankings])).sum()
        return weighted.mean(1).sum() + prior, {}

    def evaluate() -> dict[str, float]:
        return look(ctx, objective, scores_of, heldout[: config.eval_rows])

    best = Best("log_loss", parameters, patience=config.patience)
    steps = loop.updates(config, len(usable))
    rates = dict.fromkeys(beside, config.aux_lr / config.lr)
    figures = loop.train(ctx, loaded.model, loop.Job(steps, parameters, batch, loss, evaluate, best=best, rates=rates))

    with loop.evaluating(loaded.model):
        raw = [score(ctx, scores_of, rankings) for rankings in (train, heldout)]
    if members is not None:
        taken = members.center(torch.from_numpy(np.concatenate(raw[0]).mean(0))).cpu().numpy()
        members.into(active_head(loaded))
        raw = [[own - taken for own in rankings] for rankings in raw]
    every = np.concatenate(raw[0]).mean(1)
    scale = Scale(float(every.mean()), max(float(every.std()), 1e-6))
    fit, unseen = (
        [scored(r, (s - scale.mean) / scale.std) for r, s in zip(rankings, scores, strict=True)]
        for rankings, scores in zip((train, heldout), raw, strict=True)
    )
    tie_model = preference if preference.tie else fitted_theta(Pairs.of(fit), scale)
    on_scale = partial(outcomes, tie_model, std=scale.std)
    metrics: dict[str, Any] = {
        "loss": config.loss,
        "log_loss": figures["log_loss"],
        **report(fit, unseen, on_scale),
        "judged": judged(unseen, on_scale),
        **ties_of(tie_model, most=max(r.order.items for r in usable)),
        **({"line_score": scale.apply(objective.threshold).item()} if config.line_weight else {}),
        **({"annotator_scales": objective.scales} if people else {}),
        **({"ensemble": len(members), **doubts(Pairs.of(unseen), on_scale)} if members is not None else {}),
        "train_rankings": len(train),
        "best_step": best.step,
        "steps": steps,
        "prompt_shared": way != "separate",
        "score_mean": scale.mean,
        "score_std": scale.std,
        **moving.report(),
    }
    found, chance = metrics["log_loss_three_way"], metrics["log_loss_chance"]
    if found is not None and chance is not None and found >= chance:
        text = _("On the held-out rankings the scores predict no better than knowing how often people tie. %(rankings)s rankings and %(steps)s updates may be too few: rank more, train longer, or raise the learning rate.")  # fmt: skip
        ctx.note(Message("no-better-than-chance", text, {"rankings": len(train), "steps": steps}), "warning")
    save(loaded, ctx.output)
    if members is not None:
        members.save(ctx.output)
    write_scale(ctx.output, replace(scale, tie_threshold=metrics["tie_threshold"]))
    ctx.finish(metrics)


def several_heads(ctx: Context, loaded: Loaded, moving: Moving) -> Members:
    """The heads of an ensemble, which move in the place of the model's own: it becomes their mean in the end. A base that is an ensemble of as many
    brings them."""
    number: int = ctx.config.ensemble
    head, known = active_head(loaded), read_members(ctx.inputs["base"][-1])
    if known is not None and len(known) == number:
        members = known.requires_grad_(True)
    else:
        members = Members.around(head, number, seed=ctx.seed)
    members.to(ctx.device)
    moving.instead(ctx, head.weight, {"members.weight": members.weight})
    return members


def annotators_of(ctx: Context, rankings: Sequence[Ranking]) -> Counter[str] | None:
    """How many rankings each made; None where they are not several people, and scales would only be that of the scores."""
    found = Counter(r.annotator for r in rankings if r.annotator is not None)
    if len(found) > 1:
        return found
    text = _("The training rankings are not by several people, or do not say by whom, so no scale is learned for each annotator.")  # fmt: skip
    ctx.note(Message("no-annotators", text), "warning")
    return None


def scorer(loaded: Loaded, way: Way, members: Members | None) -> Scorer:
    if members is None:
        return lambda groups: scores(loaded.model, groups, way)[:, None]
    bias = active_head(loaded).bias
    return lambda groups: members(pooled(loaded.model, ROWS[way](groups)), bias)


def way_of(ctx: Context, loaded: Loaded, rankings: Sequence[Ranking]) -> Way:
    """How the outputs of a prompt go through the model; whether they can share it is measured on the longest rankings, in fp32, and told."""
    with loop.evaluating(loaded.model):
        found = probe(loaded.model, [ranking.group for ranking in rankings])
    if found.shares:
        text = _(
            "Each prompt is computed once for all its outputs. Checked on the longest rankings: the difference is %(difference).1e."
        )
        ctx.note(Message("prompt-shared", text, {"difference": found.difference}), "good")
    elif found.difference is not None:
        text = _("This model's numbers change when outputs share a prompt (difference %(difference).1e, allowed %(tolerance).0e), so each output goes through the model by itself: slower, and the same result.")  # fmt: skip
        params = {"difference": found.difference, "tolerance": found.tolerance}
        ctx.note(Message("prompt-not-shared", text, params), "warning")
    else:
        text = _("This model cannot let outputs share a prompt (%(reason)s), so each output goes through the model by itself: slower, and the same result.")  # fmt: skip
        ctx.note(Message("prompt-not-sharable", text, {"reason": found.reason}), "warning")
    return found.way


def preference_of(config: Config) -> Preference:
    learned, shape = config.learn_ties, {"margin": config.margin, "smoothing": config.label_smoothing}
    match config.loss:
        case "rao_kupper":
            return RaoKupper(config.theta, learned=learned, **shape)
        case "davidson":
            return Davidson(config.nu, learned=learned, **shape)
        case "plackett_luce":
            return PlackettLuce(config.nu, learned=learned)
        case "bradley_terry":
            return BradleyTerry(**shape)
        case "soft":
            return Soft(**shape)


def teaches(ranking: Ranking, preference: Preference, config: Config) -> bool:
    """Whether the loss can use anything that a ranking says."""
    order = ranking.order
    by_ties = preference.uses_ties and bool(order.tied_pairs())
    return bool(order.strict_pairs()) or by_ties or (config.line_weight > 0 and order.line is not None)


def ties_of(model: Preference, *, most: int) -> dict[str, float]:
    """What was learned of ties; not of ties among more outputs than any ranking has."""
    unseen = {f"delta_{size}" for size in range(most + 1, MAX_ITEMS + 1)}
    return {name: value for name, value in model.tie.items() if name not in unseen}


def losses_of(objective: Objective, scores: Tensor, rankings: Sequence[Ranking]) -> tuple[Tensor, Tensor]:
    """Loss of each ranking, and how many of its statements count: (n,) and (n,)."""
    comparisons = Comparisons.of_orders([r.order for r in rankings], scores.device)
    return objective.losses(scores, comparisons, objective.numbers_of([r.annotator for r in rankings]))


def look(ctx: Context, objective: Objective, scores_of: Scorer, rankings: Sequence[Ranking]) -> dict[str, float]:
    """Held-out loss (mean over the rankings that the loss can use) and share of strict pairs in the right order."""
    total = used = right = strict = 0.0
    for part in batches(rankings, EVALUATED_AT_ONCE):
        with ctx.autocast():
            scores = scores_of([r.group for r in part]).mean(1)
        losses, count = losses_of(objective, scores, part)
        total, used = total + float(losses.sum()), used + float((count > 0).sum())
        pairs = Comparisons.of_orders([r.order for r in part], scores.device).strict
        difference = scores[pairs[:, 0]] - scores[pairs[:, 1]]
        right += float((difference.sign() + 1).sum() / 2)
        strict += len(pairs)
    return {"log_loss": total / max(used, 1), "accuracy": right / max(strict, 1)}


def score(ctx: Context, scores_of: Scorer, rankings: Sequence[Ranking]) -> list[np.ndarray]:
    """Raw scores (K, heads) of each ranking's outputs, in the order of `rankings`. In fp32, as the model will score: a scale and a tie threshold that were
    measured in bf16 would not be quite its own."""
    place = {id(ranking): i for i, ranking in enumerate(rankings)}
    found: list[np.ndarray] = [np.empty(0)] * len(rankings)
    for part in batches(rankings, EVALUATED_AT_ONCE):
        ctx.pause_point()
        scores = scores_of([r.group for r in part]).double().cpu().numpy()
        for ranking, own in zip(part, np.split(scores, np.cumsum([r.order.items for r in part])[:-1]), strict=True):
            found[place[id(ranking)]] = own
    return found


def scored(ranking: Ranking, scores: np.ndarray) -> Scored:
    """For the report: a ranking with the model's scores (K, heads) of its outputs."""
    return Scored(
        ranking.order,
        scores.mean(1),
        np.array(ranking.tokens),
        ranking.prompt,  # as it was before anything was cut from it
        ranking.annotator,
        ranking.task,
        ranking.whole,
        ranking.said,
        scores,
    )


@torch.no_grad()
def outcomes(model: Preference, difference: np.ndarray, *, std: float) -> np.ndarray:
    """Probabilities of first wins, tie, second wins for differences of scores (n,) in units of `std`: (n, 3)."""
    raw = torch.from_numpy(difference * std).float().to(next(model.parameters()).device)
    return model.outcomes(raw).double().cpu().numpy()


def fitted_theta(pairs: Pairs, scale: Scale) -> RaoKupper:
    """The tie model of a loss that has none: the θ under which the training rankings are likeliest, the scores as they are."""
    return min(
        (RaoKupper(theta, learned=False) for theta in np.exp(np.linspace(0.01, 4, 400))),
        key=lambda model: three_way_log_loss(pairs, partial(outcomes, model, std=scale.std)),
    )
