"""Prompting: the prompt is put together, shown, and evaluated like any other version. Nothing is trained, and the base's hash proves it."""

from typing import Any

from models_registry.lm import chain, hard_prompt
from models_registry.lm.chain import Loaded
from models_registry.lm.generate import generate
from models_registry.lm.hard_prompt import HardPrompt
from models_registry.lm.tuning.untouched import folders_sha256

from ... import data
from ...context import Context
from ...evaluation import Evaluation, Options
from ...evaluation.report import judged, nothing_moves
from ...messages import Failed, Message, Refused, _
from .config import METHOD, Config, problems_of_examples
from .examples import Drawn, asked, draw

SEPARATORS = {"blank_line": "\n\n", "line": "\n", "space": " "}
STARTS = {"space": " ", "line": "\n", "nothing": ""}
SHOWN = 3  # held-out rows that people see with the whole prompt around them
NAMES = {"log_loss": "loss"}  # of figures, where the trained methods call them otherwise
PREDICTIONS = "predictions.jsonl"  # beside output/: it is about the version, and no part of it


def run(ctx: Context) -> None:
    config: Config = ctx.config
    before = folders_sha256(ctx.inputs["base"])
    loaded = chain.load(ctx.inputs["base"], device=ctx.device)
    loaded.hard_prompt = prompt = _prompt(ctx, config, loaded)
    hard_prompt.write(ctx.output, prompt)
    total = nothing_moves(ctx, loaded)
    metrics: dict[str, Any] = {"examples": len(prompt.examples), "labels": len(prompt.labels)}
    if "dataset" in ctx.inputs:
        metrics |= _evaluated(ctx, loaded)
    after = folders_sha256(ctx.inputs["base"])
    if after != before:
        raise Failed(Message("base-changed", _("The base's files changed while this ran. The result is not kept.")))
    metrics |= {"trained_parameters": 0, "total_parameters": total}
    ctx.finish(metrics | {"base_sha256_before": before, "base_sha256_after": after})


def _rows(ctx: Context, split: data.Split) -> Any:
    return data.rows(ctx.inputs["dataset"], METHOD.inputs["dataset"].accepts, split=split)


def _prompt(ctx: Context, config: Config, loaded: Loaded) -> HardPrompt:
    drawn = _drawn(ctx, config) if "dataset" in ctx.inputs else None
    labels = dict(config.labels)
    if drawn is not None and drawn.labels:
        labels = labels or {label: label for label in sorted(drawn.labels)}
        problems = []
        if unnamed := sorted(drawn.labels.keys() - labels.keys()):
            text = _("The data set has labels for which no words are given: %(labels)s.")
            problems.append(Message("labels-without-words", text, {"labels": ", ".join(unnamed)}))
        if len(labels) < 2:
            text = _("All training rows have the label “%(label)s”: there is nothing to choose between.")
            problems.append(Message("one-label", text, {"label": next(iter(labels))}))
        if problems:
            raise Refused(problems)
    if problems := problems_of_examples(config.examples, labels):
        raise Refused(problems)
    examples = [*(drawn.examples if drawn else []), *hard_prompt.with_words(config.examples, labels)]
    prompt = HardPrompt(
        template=config.template,
        instruction=config.instruction,
        examples=tuple(examples),
        separator=SEPARATORS[config.separator],
        output_start=STARTS[config.output_start],
        labels=labels,
        scoring=config.scoring,
        calibration=config.calibration,
    )
    return prompt.model_copy(update={"room": _room(loaded, prompt) if config.room is None else config.room})


def _room(loaded: Loaded, prompt: HardPrompt) -> int:
    if prompt.labels:
        return max(map(len, loaded.continuation.encode([prompt.answer(words) for words in prompt.labels.values()])))
    return min(prompt.room, (loaded.context_length or 1 << 20) // 4)


def _drawn(ctx: Context, config: Config) -> Drawn:
    drawn = draw(
        _rows(ctx, "train"),
        _rows(ctx, "heldout"),
        shots=config.shots,
        balanced=config.balanced,
        words=config.labels,
        seed=ctx.seed,
    )
    for note in drawn.notes:
        ctx.note(note, "warning")
    return drawn


def _evaluated(ctx: Context, loaded: Loaded) -> dict[str, Any]:
    """Figures on the held-out rows, under the names that the trained methods give them; nothing where no row is held out."""
    first = [row for row, _number in zip(_rows(ctx, "heldout"), range(SHOWN), strict=False)]
    if not first:
        text = _("The data set has no held-out rows, so this run cannot say how well the prompt does.")
        ctx.note(Message("no-heldout-rows-prompt", text), "warning")
        return {}
    found, cost = judged(
        ctx,
        loaded,
        METHOD.inputs["dataset"].accepts,
        predictions=ctx.run_dir / PREDICTIONS,
        options=Options(batch_size=ctx.config.batch_size),
    )
    _show(ctx, loaded, first, found)
    return {
        **{
            f"heldout_{NAMES.get(name, name)}{end}": figure[key]  # type: ignore[literal-required]
            for name, figure in found.figures.items()
            for key, end in (("value", ""), ("low", "_low"), ("high", "_high"))
        },
        **found.extra,
        **cost,
    }


def _show(ctx: Context, loaded: Loaded, rows: list[Any], found: Evaluation) -> None:
    """The prompt as the model reads it, and what it answers."""
    assert loaded.hard_prompt is not None
    if found.task == "classification":
        answers = [row["prediction"] for row in found.examples[: len(rows)]]
    else:
        prompts = [data.as_prompt(row.prompt) for row in rows]
        outputs = generate(loaded, prompts, max_tokens=max(loaded.hard_prompt.room, 1), temperature=0.0)
        answers = [output.text for output in outputs]
    for slot, (row, answer) in enumerate(zip(rows, answers, strict=True)):
        ctx.sample(len(found.examples), loaded.hard_prompt.ask(asked(row)), answer, slot)
