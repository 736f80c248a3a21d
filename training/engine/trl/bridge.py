"""What makes a trainer of TRL a run: its numbers go into events, its checkpoints are the run's, and it goes on from them to the bit.

TRL computes; everything around it is that of the other methods: the model with its chain and its Tune, optimizer and learning rates, tokens,
sampling, checkpoints. The trainer is given a plain transformers model, inside whose layers the adapters live.
"""

import copy
import json
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import datasets
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file, save_file
from torch.optim.lr_scheduler import LambdaLR
from transformers import PrinterCallback, TrainingArguments

from models_registry.lm.chain import Loaded
from models_registry.lm.generate import generate_ids, positions
from models_registry.lm.text import Prompt, encode_prompt, plain_chat
from models_registry.lm.tuning.apply import trained_parameters

from ..context import Context
from ..loop import adamw, must_be_finite, schedule
from ..messages import Message, _

if TYPE_CHECKING:
    from transformers import Trainer
else:
    Trainer = object  # Bridge is mixed into one

HELDOUT = "heldout_"
RISEN = 1.02  # times the smallest held-out loss is worth a word
A = TypeVar("A", bound=TrainingArguments)

datasets.disable_progress_bars()
warnings.filterwarnings("ignore", message=".*gradient_checkpointing", category=FutureWarning)  # TRL's own setting
os.environ.setdefault("TQDM_DISABLE", "1")  # TRL's own bars ask for it; progress is an event here


def arguments(
    kind: type[A], ctx: Context, *, updates: int, rows: int, at_once: int, steps_per_update: int = 1, **own: Any
) -> A:
    """TRL's arguments from the settings that all its methods share, and the method's `own`.

    rows: in one optimizer step, of which `at_once` go through the model together. Nothing is reported anywhere and nothing downloaded.
    """
    AcceleratorState._reset_state(reset_partial_state=True)  # of a run before this one in the same process
    args = kind(
        output_dir=str(ctx.cache / "trl"),
        max_steps=updates * steps_per_update,
        per_device_train_batch_size=at_once,
        per_device_eval_batch_size=at_once,
        gradient_accumulation_steps=rows // at_once,
        max_grad_norm=ctx.config.grad_clip,
        logging_steps=steps_per_update,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=steps_per_update,
        seed=ctx.seed,
        use_cpu=ctx.device.type == "cpu",
        bf16=ctx.dtype == torch.bfloat16,
        gradient_checkpointing=False,
        dataloader_pin_memory=False,
        report_to="none",
        disable_tqdm=True,
        log_level="error",
        **own,
    )
    args._n_gpu = min(args.n_gpu, 1)  # one process, one device
    return args


class Bridge(Trainer):
    """Mixed into a trainer of TRL, in front of it. `renamed`: TRL's names of the numbers that are told, and ours."""

    renamed: ClassVar[dict[str, str]] = {}

    def __init__(
        self,
        ctx: Context,
        loaded: Loaded,
        args: TrainingArguments,
        *,
        shown: Sequence[Prompt],
        show_every: int,
        temperature: float = 1.0,
        tokens: int,
        **options: Any,
    ) -> None:
        """`loaded` has its Tune applied. At the `shown` prompts the model writes `tokens` tokens every so many updates."""
        self.ctx, self.loaded = ctx, loaded
        self.steps_per_update = int(args.logging_steps)
        self.updates = args.max_steps // self.steps_per_update
        self._trained = trained_parameters(loaded)
        self._shown, self._show_every, self._show_options = shown, show_every, (tokens, temperature)
        self._tokens = 0  # seen in this attempt, when the last update was told
        self._since = time.monotonic()
        self.heldout: dict[str, float | None] = {}  # numbers of the last evaluation
        self._best: list[float] = []  # smallest held-out loss, and the update after which it was found
        optimizer = adamw(ctx.config, self._trained)
        rates = LambdaLR(optimizer, lambda done: schedule(ctx.config, done + 1, args.max_steps))
        tokenizer = copy.deepcopy(loaded.tokenizer)
        if tokenizer.pad_token is None:  # TRL wants one; nothing looks at it
            tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
        super().__init__(
            model=loaded.model, args=args, processing_class=tokenizer, optimizers=(optimizer, rates), **options
        )
        self.remove_callback(PrinterCallback)

    def _send_telemetry(self) -> None:
        """A run tells nobody."""

    def go(self) -> None:
        """Train, from the last checkpoint if there is one. Raises Stopped (see Context.boundary)."""
        checkpoint = self.ctx.restore()
        if self.ctx.only_result:
            self._load_from_checkpoint(str(checkpoint))
            return
        self.args.eval_on_start = checkpoint is None and self.eval_dataset is not None
        if checkpoint is None:
            self.show(0)
        self._since = time.monotonic()
        self.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        if self._best and (self.heldout[HELDOUT + "loss"] or 0.0) > RISEN * self._best[0]:
            text = _("The held-out loss was smallest after %(step)s of %(steps)s updates and has risen since: what came after was learned by heart. Fewer epochs, a smaller learning rate or more rankings usually do better.")  # fmt: skip
            self.ctx.note(Message("learned-by-heart", text, {"step": self._best[1], "steps": self.updates}), "warning")

    @property
    def update(self) -> int:
        return self.state.global_step // self.steps_per_update

    # Numbers and texts

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        super().log(logs, start_time)  # TRL adds its own numbers to `logs`
        self.state.log_history.clear()  # events.jsonl is the log
        if "eval_loss" in logs:
            logs = {name.removeprefix("eval_"): number for name, number in logs.items()}
            self.heldout = {HELDOUT + name: number for name, number in self.numbers(logs).items()}
            self.ctx.event(self.update, **self.heldout)
            self._best = min(self._best or [logs["loss"], self.update], [logs["loss"], self.update])
            self._since = time.monotonic()
        elif "loss" in logs:
            self._tell(logs)

    def _tell(self, logs: dict[str, float]) -> None:
        ctx, update = self.ctx, self.update
        must_be_finite(torch.as_tensor(logs["grad_norm"]), update)
        tokens = self.tokens(logs)
        ctx.tokens_seen += tokens - self._tokens
        ctx.progress(update / self.updates)
        every = getattr(ctx.config, "log_every", None) or max(1, self.updates // 200)
        numbers = self.numbers(logs)
        if update % every == 0 or update in (1, self.updates):
            now = time.monotonic()
            ctx.event(
                update,
                **numbers,
                lr=logs["learning_rate"],
                grad_norm=logs["grad_norm"],
                tokens=ctx.tokens_seen,
                tokens_per_s=round((tokens - self._tokens) / max(now - self._since, 1e-9)),
            )
        self.told(numbers)
        self._tokens, self._since = tokens, time.monotonic()

    def numbers(self, logs: dict[str, float]) -> dict[str, float | None]:
        """What is told of an update or an evaluation, by the names that the other methods use."""
        return {ours: logs[theirs] for theirs, ours in {"loss": "loss", **self.renamed}.items() if theirs in logs}

    def tokens(self, logs: dict[str, float]) -> int:
        """Tokens that were learned from in this attempt."""
        return int(logs["num_tokens"])

    def told(self, numbers: dict[str, float | None]) -> None:
        """After the event of an update: what else is to be said about it."""

    def show(self, update: int) -> None:
        """What the model now writes at the same prompts, with the same random numbers each time."""
        tokens, temperature = self._show_options
        prompts = [encode_prompt(self.loaded, prompt) for prompt in self._shown]
        with as_before(self.loaded), self.ctx.autocast():
            outputs = generate_ids(
                self.loaded,
                prompts,
                max_tokens=tokens,
                temperature=temperature,
                seed=self.ctx.seed,
                stop=getattr(self.ctx.config, "stop_texts", ()),
            )
        for slot, (prompt, output) in enumerate(zip(self._shown, outputs, strict=True)):
            text = prompt if isinstance(prompt, str) else plain_chat(prompt)
            self.ctx.sample(update, text, output.text, slot)

    # Checkpoints

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """The trainer asks for a checkpoint after every update, when its numbers are told; whether one is due is the run's to say."""
        if self.update % self._show_every == 0 or self.update == self.updates:
            self.show(self.update)
        self.ctx.boundary(self.update, self._save_state)
        self._since = time.monotonic()

    def _save_state(self, folder: Path) -> None:
        save_file({name: p.detach().contiguous() for name, p in self._trained.items()}, folder / "trained.safetensors")
        self._save_optimizer_and_scheduler(str(folder))
        self._save_rng_state(str(folder))
        self.state.save_to_json(str(folder / "trainer_state.json"))
        (folder / "bridge.json").write_text(json.dumps(self.memory()))

    def memory(self) -> dict[str, Any]:
        """What a later attempt must know besides, as JSON."""
        return {"heldout": self.heldout, "best": self._best}

    def remember(self, memory: dict[str, Any]) -> None:
        self.heldout, self._best = memory["heldout"], memory["best"]

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        state = load_file(Path(resume_from_checkpoint) / "trained.safetensors")
        with torch.no_grad():
            for name, parameter in self._trained.items():
                parameter.copy_(state[name])
        self.remember(json.loads((Path(resume_from_checkpoint) / "bridge.json").read_text()))


@contextmanager
def as_before(loaded: Loaded) -> Iterator[None]:
    """Leaves training mode as it was: sampling switches it off."""
    training = loaded.model.training
    try:
        yield
    finally:
        loaded.model.train(training)


@contextmanager
def lent(loaded: Loaded) -> Iterator[None]:
    """The model as TRL may use it, and afterwards without what TRL did to it: its settings, its forward.

    Meanwhile the trunk counts positions from the first real token, also where a row is padded in front: TRL tells it none, and learned
    positions (GPT-2) would then differ from those of sampling.
    """
    model = loaded.model
    kept = [(thing, copy.deepcopy(vars(thing))) for thing in (model.config, model.generation_config)]
    forward, tags = vars(model).get("forward"), getattr(model, "model_tags", None)
    hook = model.base_model.register_forward_pre_hook(_place, with_kwargs=True, prepend=True)
    try:
        yield
    finally:
        hook.remove()
        vars(model).pop("forward", None)
        if forward is not None:
            model.forward = forward
        model.model_tags = tags
        for thing, values in kept:
            vars(thing).clear()
            vars(thing).update(values)
        model.eval()


def _place(_trunk: Any, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
    mask = kwargs.get("attention_mask")
    if (
        mask is not None
        and mask.ndim == 2
        and kwargs.get("position_ids") is None
        and not kwargs.get("past_key_values")
    ):
        kwargs["position_ids"] = positions(mask)
    return args, kwargs
