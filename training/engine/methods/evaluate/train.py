"""Evaluation as a run: output/metrics.json holds the figures, output/predictions.jsonl what each row had to do with them."""

from models_registry.lm import chain
from models_registry.lm.chain import Loaded
from models_registry.lm.tuning.untouched import folders_sha256

from ...context import Context
from ...evaluation import Options
from ...evaluation.report import judged, nothing_moves
from .config import METHOD, Config


def run(ctx: Context) -> None:
    config: Config = ctx.config
    before = folders_sha256(ctx.inputs["base"])
    loaded = chain.load(ctx.inputs["base"], device=ctx.device)
    total = nothing_moves(ctx, loaded)

    def other(role: str) -> Loaded | None:
        return chain.load(ctx.inputs[role], device=ctx.device) if role in ctx.inputs else None

    ctx.output.mkdir(exist_ok=True)
    found, cost = judged(
        ctx,
        loaded,
        METHOD.inputs["dataset"].accepts,
        split=config.split,
        limit=config.limit,
        task=config.task,
        predictions=ctx.output / "predictions.jsonl",
        reward_model=other("reward_model"),
        reference=other("reference"),
        options=Options(
            batch_size=config.batch_size,
            resamples=config.resamples,
            samples=config.samples,
            max_tokens=config.max_tokens,
            temperature=config.temperature,
        ),
    )
    ctx.finish(
        {
            **found.as_json(),
            "split": config.split,
            **cost,
            "total_parameters": total,
            "base_sha256_before": before,
            "base_sha256_after": folders_sha256(ctx.inputs["base"]),
        }
    )
