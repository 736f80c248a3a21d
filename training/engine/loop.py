"""The supervised loop that pretraining, finetuning and reward modelling share.

One update: the micro-batches of a step, their summed loss divided by their summed weight, clipped gradients, AdamW. The step number decides
everything else (rows, learning rate), so it is the whole data cursor, and a resumed run is bit-identical on a CPU.
"""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from .best import Best
from .config import OptimizerSettings, TrainingSettings
from .context import Context
from .messages import Failed, Message, _


class MicroBatch(Protocol):
    """What goes through the model at once. `weight`: how many tokens (rankings, …) its loss sums over; `tokens`: how many the model reads."""

    @property
    def weight(self) -> float: ...

    @property
    def tokens(self) -> int: ...


M = TypeVar("M", bound=MicroBatch)


@dataclass
class Job(Generic[M]):
    """What a method brings to the loop.

    batch(step) → micro-batches of update `step` (from 1), a function of the step alone.
    loss(micro) → (sum of the losses, numbers): `numbers` are sums too; the loop divides them by the weight and logs them.
    evaluate() → numbers on the held-out rows, logged under "heldout_…"; sample(step): texts for people. Neither may draw from the
    global random state.
    best: keeps the weights of the best evaluation and ends early. rates: factor on the learning rate of single parameters, by name.
    """

    steps: int
    parameters: dict[str, nn.Parameter]
    batch: Callable[[int], Sequence[M]]
    loss: Callable[[M], tuple[Tensor, dict[str, Tensor]]]
    evaluate: Callable[[], dict[str, float]] | None = None
    sample: Callable[[int], None] | None = None
    best: Best | None = None
    rates: dict[str, float] = field(default_factory=dict)


def train(ctx: Context, model: nn.Module, job: Job) -> dict[str, float]:
    """Run the job's updates, from the last checkpoint if there is one. Returns the last evaluation's numbers, or with `best` those of the
    best one, whose weights the model then has.

    Raises Stopped (see Context.boundary), and Failed when the loss stops being a number.
    """
    config: TrainingSettings = ctx.config
    log_every = config.log_every or max(1, job.steps // 200)
    eval_every = config.eval_every or max(1, job.steps // 10)
    optimizer = adamw(config, job.parameters, job.rates)
    parameters = list(job.parameters.values())

    first, heldout = 1, {}
    if (checkpoint := ctx.restore()) is not None:
        load_state(checkpoint, job.parameters, optimizer)
        first = ctx.step + 1
        if job.best is not None:
            job.best.load(checkpoint)
    elif job.evaluate is not None:
        heldout = _look(ctx, model, job, job.evaluate, 0)

    def save(folder: Path) -> None:
        save_state(folder, job.parameters, optimizer)
        if job.best is not None:
            job.best.save(folder)

    model.train()
    seen, since = 0, time.monotonic()
    for step in range(first, ctx.last_step(job.steps) + 1):
        if job.best is not None and job.best.is_over:
            break
        rate = config.lr * schedule(config, step, job.steps)
        for group in optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        batch = job.batch(step)
        totals, weight, norm = update(batch, job.loss, optimizer, parameters, config.grad_clip, ctx.autocast, step)

        tokens = sum(micro.tokens for micro in batch)
        seen, ctx.tokens_seen = seen + tokens, ctx.tokens_seen + tokens
        ctx.progress(step / job.steps)
        if step % log_every == 0 or step in (1, job.steps):
            now = time.monotonic()
            means = {name: float(total) / weight for name, total in totals.items()}
            ctx.event(
                step,
                **means,
                lr=rate,
                grad_norm=float(norm),
                tokens=ctx.tokens_seen,
                tokens_per_s=round(seen / max(now - since, 1e-9)),
            )
            seen, since = 0, now
        if job.evaluate is not None and (step % eval_every == 0 or step == job.steps):
            heldout = _look(ctx, model, job, job.evaluate, step)
            since = time.monotonic()
        ctx.boundary(step, save)
    if job.best is not None:
        if job.best.is_over:
            text = _(
                "Ended early: the held-out loss was smallest after %(step)s of %(steps)s updates. Those weights are kept."
            )
            ctx.note(Message("ended-early", text, {"step": job.best.step, "steps": job.steps}))
        job.best.put_back()
        return job.best.numbers
    if not heldout and job.evaluate is not None:
        # Resumed behind the last step: the numbers were told in an earlier attempt.
        with evaluating(model):
            heldout = job.evaluate()
    return heldout


def update(
    batch: Sequence[M],
    loss_of: Callable[[M], tuple[Tensor, dict[str, Tensor]]],
    optimizer: torch.optim.Optimizer,
    parameters: Sequence[nn.Parameter],
    clip: float = 0.0,
    autocast: Callable[[], AbstractContextManager] = nullcontext,
    step: int = 0,
) -> tuple[dict[str, Tensor], float, Tensor]:
    """One update from its micro-batches. Returns the sums of loss and numbers, the weight they are sums over, and the gradient's norm.

    Raises Failed when the gradient is no number; the parameters are then as they were.
    """
    weight = sum(micro.weight for micro in batch)
    totals: dict[str, Tensor] = defaultdict(lambda: torch.zeros(()))
    for micro in batch:
        with autocast():
            loss, numbers = loss_of(micro)
        (loss / weight).backward()
        for name, number in {"loss": loss, **numbers}.items():
            totals[name] = totals[name] + number.detach()
    norm = nn.utils.clip_grad_norm_(parameters, clip or math.inf)
    must_be_finite(norm, step)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return totals, weight, norm


def _look(
    ctx: Context, model: nn.Module, job: Job, evaluate: Callable[[], dict[str, float]], step: int
) -> dict[str, float]:
    """Evaluate on the held-out rows and write samples."""
    with evaluating(model):
        numbers = evaluate()
        ctx.event(step, **{f"heldout_{name}": number for name, number in numbers.items()})
        if job.sample is not None:
            job.sample(step)
    if job.best is not None:
        job.best.see(step, numbers)
    return numbers


@contextmanager
def evaluating(model: nn.Module):
    """Eval mode and no gradients, for the time of the block."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)


def adamw(
    config: OptimizerSettings, parameters: dict[str, nn.Parameter], rates: dict[str, float] | None = None
) -> torch.optim.AdamW:
    """AdamW over what moves, and only that: frozen weights have no state. Decay is for matrices (Loshchilov and Hutter 2017).

    `rates`: factors on the learning rate of single parameters, by name. Each group carries its own as "factor".
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = defaultdict(list)
    for name, parameter in parameters.items():
        decay = config.weight_decay if parameter.ndim >= 2 else 0.0
        groups[decay, (rates or {}).get(name, 1.0)].append(parameter)
    return torch.optim.AdamW(
        [{"params": members, "weight_decay": decay, "factor": factor} for (decay, factor), members in groups.items()],
        lr=config.lr,
        betas=(config.beta1, config.beta2),
        eps=config.epsilon,
        fused=True,
    )


def schedule(config: OptimizerSettings, step: int, steps: int) -> float:
    """The learning rate of update `step` (1..steps), as a share of its largest value."""
    warm = math.ceil(config.warmup * steps)
    if step <= warm:
        return step / warm
    done = (step - warm) / max(steps - warm, 1)
    if config.schedule == "constant":
        return 1.0
    left = 1.0 - done if config.schedule == "linear" else 0.5 * (1.0 + math.cos(math.pi * done))
    return config.final_lr + (1.0 - config.final_lr) * left


def updates(config: TrainingSettings, rows: int) -> int:
    """How many updates the epochs make of so many rows, or max_steps if that is fewer."""
    steps = max(1, round(config.epochs * rows / config.batch_size))
    return min(steps, config.max_steps or steps)


def permutation(count: int, seed: int, epoch: int) -> np.ndarray:
    """0..count−1 in the order of this epoch; the same on every machine."""
    return np.random.Generator(np.random.Philox(key=[seed, epoch])).permutation(count)


class Shuffle:
    """Rows of each update: every epoch goes through all rows in an order of its own, drawn from (seed, epoch)."""

    def __init__(self, rows: int, batch_size: int, seed: int) -> None:
        self._rows, self._batch_size, self._seed = rows, batch_size, seed
        self._epoch, self._order = -1, np.empty(0, dtype=np.int64)

    def __call__(self, step: int) -> np.ndarray:
        """Row numbers of update `step` (from 1); a batch may lie across the border of two epochs."""
        begin = (step - 1) * self._batch_size
        return np.array([self._row(place) for place in range(begin, begin + self._batch_size)])

    def _row(self, place: int) -> int:
        epoch, within = divmod(place, self._rows)
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = permutation(self._rows, self._seed, epoch)
        return int(self._order[within])


def save_state(folder: Path, parameters: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
    """What moves, and the optimizer's state of it."""
    save_file({name: p.detach().contiguous() for name, p in parameters.items()}, folder / "trained.safetensors")
    torch.save(optimizer.state_dict(), folder / "optimizer.pt")


def load_state(folder: Path, parameters: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
    """Put back what save_state wrote."""
    state = load_file(folder / "trained.safetensors")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(state[name])
    # By way of the processor: of several processes each would load it to the GPU of the one that saved it, and here there may be none.
    optimizer.load_state_dict(torch.load(folder / "optimizer.pt", map_location="cpu", weights_only=True))


def must_be_finite(norm: Tensor, step: int) -> None:
    if not torch.isfinite(norm):
        text = _(
            "The loss stopped being a number at update %(step)s. A smaller learning rate or a longer warm-up usually helps; "
            "start a new run with it."
        )
        raise Failed(Message("diverged", text, {"step": step}))
