"""What the benchmarks against TRL share: two clocks, what a matrix product can reach here, ratios of turns, and TRL without its chatter."""

import contextlib
import io
import logging
import statistics
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Spent:
    """Of some updates: what was done (useful tokens, rankings), seconds on the wall and of this process's processor time."""

    done: float
    wall: float
    cpu: float


class Clock:
    def __init__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def spent(self, done: float) -> Spent:
        return Spent(done, time.perf_counter() - self.wall, time.process_time() - self.cpu)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No bars and no advice of the libraries."""
    logging.disable(logging.WARNING)
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


def trl_arguments(kind: Any, folder: Path, **more: Any) -> Any:
    """Of a trainer of TRL: on the processor, with the optimizer and the clipping of ours, without anything that is written or shown."""
    return kind(
        output_dir=str(folder / "trl"),
        gradient_checkpointing=False,
        use_cpu=True,
        max_grad_norm=1.0,
        optim="adamw_torch_fused",
        report_to="none",
        save_strategy="no",
        logging_steps=10_000,
        disable_tqdm=True,
        dataloader_num_workers=0,
        **more,
    )


def watch(marks: list[Clock]) -> Any:
    """A callback of transformers' trainers that looks at the clock after every update."""
    from transformers import TrainerCallback

    class Watch(TrainerCallback):
        def on_step_end(self, *_args: object, **_others: object) -> None:
            marks.append(Clock())

    return Watch()


def no_tokenizer() -> Any:
    """Trainers want one, also where the rows are tokens already."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(WordLevel({"<pad>": 0, "<begin>": 1, "<end>": 2}, unk_token="<pad>"))
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", bos_token="<begin>", eos_token="<end>", unk_token="<pad>"
    )


def matmul_peak(seconds: float = 1.5, dtype: str = "float32") -> dict[str, float]:
    """FLOP/s of torch.matmul on square matrices, by both clocks (the processor's a thread): the best of two sizes and of repetitions."""
    import torch

    best = {"wall": 0.0, "cpu": 0.0}
    for size in (1024, 2048):
        a, b = (torch.randn(size, size).to(getattr(torch, dtype)) for _ in "ab")
        out = torch.empty_like(a)
        torch.matmul(a, b, out=out)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            clock = Clock()
            torch.matmul(a, b, out=out)
            spent = clock.spent(0)
            best["wall"] = max(best["wall"], 2 * size**3 / spent.wall)
            best["cpu"] = max(best["cpu"], 2 * size**3 / (spent.cpu / torch.get_num_threads()))
    return best


def ratios(turns: Sequence[tuple[Spent, Spent]]) -> dict[str, dict[str, float]]:
    """By either clock: ours and theirs a second (medians), and the ratio of neighbours, its median, least and largest."""
    found = {}
    for clock in ("wall", "cpu"):
        rates = [[side.done / getattr(side, clock) for side in turn] for turn in turns]
        each = [mine / other for mine, other in rates]
        found[clock] = {
            "ours": statistics.median(rate[0] for rate in rates),
            "trl": statistics.median(rate[1] for rate in rates),
            "ratio": statistics.median(each),
            "ratio_low": min(each),
            "ratio_high": max(each),
        }
    return found
