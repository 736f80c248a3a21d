"""Averaging: classifiers of one shape become one version whose judgement is the mean of theirs. Nothing is trained."""

from models_registry.lm import averaged, chain
from models_registry.lm.tuning.apply import counts

from ...context import Context
from ...messages import Message, Refused, _
from .config import METHOD


def run(ctx: Context) -> None:
    chains = [ctx.inputs[role] for role in METHOD.inputs if role in ctx.inputs]
    if len({tuple(folders) for folders in chains}) < len(chains):
        text = _("A classifier is named twice: its judgement would only count double.")
        raise Refused(Message("averaged-twice", text))
    models = [chain.load(folders, device=ctx.device) for folders in chains]
    if problems := averaged.misfits(models):
        text = _("These cannot be averaged: %(reason)s.")
        reasons = [Message("cannot-average-reason", each.template, each.params) for each in problems]
        raise Refused(Message("cannot-average", text, {"reason": reason}) for reason in reasons)
    ctx.output.mkdir(exist_ok=True)
    number = averaged.save(models, ctx.output)
    ctx.finish(
        {
            "models": number,
            "labels": list(models[0].labels),
            "trained_parameters": 0,
            "total_parameters": sum(counts(each)[1] for each in models),
        }
    )
