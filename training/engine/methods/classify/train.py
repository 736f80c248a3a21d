"""Classification, top to bottom: read labelled texts, give the model one output a class, learn, report on what it has not seen.

A text is judged at its last token, as the `ForSequenceClassification` models of transformers do. The texts of an update lie side by side in
flat rows and do not see each other.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax

from models_registry.lm import chain
from models_registry.lm.chain import Loaded
from models_registry.lm.heads import into_classes, score_head
from models_registry.lm.tuning import apply as tuning

from ... import loop, packing
from ...best import Best
from ...context import Context
from ...dropout import leave_out
from ...messages import Message, Refused, _
from ...moving import Moving, room
from ...packing import IGNORED, Way
from . import report
from .config import Config
from .examples import Examples, Micro, Thinning, class_weights, micro, read


def run(ctx: Context) -> None:
    config: Config = ctx.config
    loaded = chain.load(ctx.inputs["base"], device=ctx.device)
    train, heldout = read(ctx, loaded, room(loaded, config.tune))
    foretelling = _foretelling_layer(loaded, config)
    _give_classes(ctx, loaded, train.names)
    moving = Moving(ctx, loaded, train.corpus.read())
    way = Way(packing.probe(loaded.model.eval(), int(train.corpus.lengths.max())).together, short=True)
    leave_out(loaded.model, config.dropout)
    parameters = moving.parameters | _only_here(foretelling, moving.parameters)

    weights = class_weights(config, train)
    shuffle = loop.Shuffle(len(train), config.batch_size, ctx.seed)
    at_once = config.micro_batch or config.batch_size

    def batch(step: int) -> list[Micro]:
        pieces, thinning = shuffle(step), Thinning(config.drop_tokens, ctx.seed, step)
        parts = [pieces[begin : begin + at_once] for begin in range(0, len(pieces), at_once)]
        return [micro(train, part, weights, thinning) for part in parts]

    def judged(some: Micro) -> tuple[Tensor, Tensor]:
        """(what the texts cost, logits (n, classes))"""
        states = packing.states(loaded.model, some.rows, way)
        logits = score_head(loaded.model)(states[some.ends.to(ctx.device)]).float()
        losses = cross_entropy(
            logits, some.labels.to(ctx.device), reduction="none", label_smoothing=config.label_smoothing
        )
        total = (losses * some.weights.to(ctx.device)).sum()
        if foretelling is not None:
            total = total + config.lm_weight * _foretold(foretelling, states, some)
        return total, logits

    def loss(some: Micro) -> tuple[Tensor, dict[str, Tensor]]:
        total, logits = judged(some)
        if config.consistency:
            again, others = judged(some)
            apart = (_disagreement(logits, others) * some.weights.to(ctx.device)).sum()
            total = (total + again) / 2 + config.consistency * apart
        right = (logits.argmax(1) == some.labels.to(ctx.device)).sum() * (some.weight / len(logits))
        return total, {"accuracy": right}

    def evaluate() -> dict[str, float]:
        logprobs = predict(ctx, loaded, heldout, way)
        known = heldout.labels < len(train.names)
        nats = -logprobs[known, heldout.labels[known]]  # of what the model can give at all
        found = report.figures(heldout.labels, logprobs.argmax(1), len(heldout.names))
        return {"loss": float(nats.mean()) if len(nats) else float("nan"), **found}

    best = Best("loss", parameters, patience=config.patience) if config.patience and len(heldout) else None
    steps = loop.updates(config, len(train))
    job = loop.Job(steps, parameters, batch, loss, evaluate if len(heldout) else None, best=best)
    figures = loop.train(ctx, loaded.model, job)
    metrics: dict[str, Any] = {
        **{f"heldout_{name}": figure for name, figure in figures.items()},
        "heldout_texts": len(heldout),
        "train_texts": len(train),
        "labels": list(loaded.labels),
        "steps": steps,
        "tokens_seen": ctx.tokens_seen,
        **moving.report(),
    }
    if len(heldout):
        with loop.evaluating(loaded.model):
            predictions = predict(ctx, loaded, heldout, way).argmax(1)
        matrix = report.confusion(heldout.labels, predictions, len(heldout.names))
        metrics["confusion"] = {"labels": list(heldout.names), "matrix": matrix.tolist()}
        metrics["classes"] = report.per_class(matrix, heldout.names)
    tuning.save(loaded, ctx.output)
    ctx.finish(metrics)


def predict(ctx: Context, loaded: Loaded, examples: Examples, way: Way) -> np.ndarray:
    """Log-probabilities (n, classes), texts of like length together."""
    at_once = ctx.config.micro_batch or ctx.config.batch_size
    found = np.empty((len(examples), len(loaded.labels)))
    order = np.argsort(examples.corpus.lengths, kind="stable")
    ones = np.ones(len(examples.names))
    for begin in range(0, len(order), at_once):
        ctx.pause_point()
        some = micro(examples, order[begin : begin + at_once], ones)
        with ctx.autocast():
            states = packing.states(loaded.model, some.rows, way)
            logits = score_head(loaded.model)(states[some.ends.to(ctx.device)])
        found[some.pieces] = torch.log_softmax(logits.float(), -1).double().cpu().numpy()
    return found


def _give_classes(ctx: Context, loaded: Loaded, names: tuple[str, ...]) -> None:
    """A fresh head with these labels, unless the model already tells exactly these apart."""
    if loaded.labels == names:
        return
    if loaded.head == "classes":
        text = _("The model told other classes apart (%(before)s): its output layer is replaced by a new one.")
        ctx.note(Message("new-classes", text, {"before": ", ".join(loaded.labels)}))
    into_classes(loaded, names, seed=ctx.seed)


def _foretelling_layer(loaded: Loaded, config: Config) -> nn.Module | None:
    """The language model's output layer, which goes on learning beside the classes where lm_weight says so. Not part of the result."""
    if not config.lm_weight:
        return None
    layer = loaded.model.get_output_embeddings()
    # Some models scale or cap their logits; their layer alone would not be the language model that it was.
    if layer is None or not packing.probe(loaded.model.eval(), packing.SLACK).short:
        text = _("This model has no output layer for words that could go on learning: set lm_weight to 0.")
        raise Refused(Message("no-lm-head", text))
    return layer.requires_grad_(config.tune.kind == "all")


def _only_here(layer: nn.Module | None, moving: dict[str, nn.Parameter]) -> dict[str, nn.Parameter]:
    """What of that layer moves and is not part of the model anyway: one that is tied to the embedding is."""
    known = {id(p) for p in moving.values()}
    found = layer.named_parameters() if layer is not None else ()
    return {f"foretelling.{name}": p for name, p in found if p.requires_grad and id(p) not in known}


def _disagreement(logits: Tensor, others: Tensor) -> Tensor:
    """(n,) how far two judgements (n, classes) of the same texts lie apart: KL divergence, the mean of both ways (R-Drop, equation 2)."""
    one, other = log_softmax(logits, -1), log_softmax(others, -1)
    return ((one.exp() - other.exp()) * (one - other)).sum(-1) / 2


def _foretold(layer: nn.Module, states: Tensor, some: Micro) -> Tensor:
    """Sum over the texts of the mean loss of their next tokens, in nats."""
    targets = some.rows.targets.to(states.device)
    wanted = targets != IGNORED
    losses = cross_entropy(layer(states[wanted]).float(), targets[wanted], reduction="none")
    return (losses * some.shares.to(states.device)[wanted]).sum()
