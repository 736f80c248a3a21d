"""Useful tokens a second of our training step against TRL's SFTTrainer, and the share of the machine's matmul peak.

    python -m bench.pretrain [--quick] [--json] [--threads N] [--rounds N]

Llama-shaped models of 7.3 and 29.3 million parameters, fp32, on the CPU; synthetic tokens, since their values cost nothing; documents of unequal length
(log-normal, as the stories of TinyStories: median 208 tokens, σ 0.34, at most 512) and of equal length (256). An update reads 16 documents on both
sides, isolated from each other, ends with a clipped gradient and a step of fused AdamW. Useful tokens are those of documents: padding does not
count. TRL runs through SFTTrainer.train(), gradient checkpointing off, at the fastest of: padded batches of 1, 2 and 4 documents, and documents packed with
positions that begin anew ("bfd"), always accumulated to 16 documents an update. Which one is fastest is tried out first, here and for each case.

Ours and theirs take turns, A B A B …; a round's ratio compares neighbours, so it holds on a machine that does other things too. Beside
wall time stands the processor time of this process, which other programs do not take from.

The share of the peak is model FLOPs (6 a parameter and token, and 6 · layers · width · document length for causal attention) over what
torch.matmul reaches here on square matrices in the same run.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.peer import Clock, Spent, matmul_peak, no_tokenizer, quiet, ratios, trl_arguments, watch

DOCUMENTS = 16  # in an update
CONTEXT = 512
UNEQUAL_MEDIAN, UNEQUAL_SIGMA = 208, 0.34
EQUAL = 256


@dataclass(frozen=True)
class Size:
    name: str
    bar_unequal: float
    vocab_size: int
    hidden_size: int
    layers: int
    intermediate_size: int


SIZES = (Size("7.3M", 1.2, 4096, 256, 8, 672), Size("29.3M", 1.1, 8192, 512, 8, 1360))


def make_model(size: Size) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=size.vocab_size,
            hidden_size=size.hidden_size,
            intermediate_size=size.intermediate_size,
            num_hidden_layers=size.layers,
            num_attention_heads=8,
            num_key_value_heads=8,
            max_position_embeddings=CONTEXT,
            tie_word_embeddings=True,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=0,
            dtype=torch.float32,
        )
    )


def documents(size: Size, equal: bool, count: int) -> list[list[int]]:
    """Token rows; each is read but for its last token, which is only predicted."""
    import numpy as np

    random = np.random.default_rng(1)
    if equal:
        lengths = np.full(count, EQUAL)
    else:
        lengths = (
            np.exp(random.normal(np.log(UNEQUAL_MEDIAN), UNEQUAL_SIGMA, count)).round().clip(8, CONTEXT).astype(int)
        )
    return [random.integers(3, size.vocab_size, length).tolist() for length in lengths]


class Ours:
    """The engine's own update (training.engine.loop, packing), as `pretrain` and `finetune` carry it out."""

    name = "ours"

    def __init__(self, size: Size, rows: list[list[int]], folder: Path) -> None:
        from training.engine import loop, packing
        from training.engine.methods.pretrain.config import Config

        self.loop, self.packing = loop, packing
        self.model = make_model(size)
        self.corpus = packing.Corpus.build(
            folder / f"{size.name}-{len(rows)}", "train", map(packing.Text, rows), CONTEXT
        )
        self.way = packing.probe(self.model.eval(), CONTEXT)
        self.model.train()
        self.optimizer = loop.adamw(Config(), dict(self.model.named_parameters()))
        self.place = 0
        self.padding = 0.0  # share of the places computed, of the last batch

    def run(self, updates: int) -> Spent:
        import numpy as np

        parameters = list(self.model.parameters())
        tokens, clock = 0, Clock()
        for _ in range(updates):
            pieces = np.arange(self.place, self.place + DOCUMENTS) % len(self.corpus.lengths)
            self.place += DOCUMENTS
            batch = self.packing.batch(self.corpus, pieces)
            self.loop.update(
                [batch], lambda rows: (self.packing.summed_loss(self.model, rows, self.way), {}), self.optimizer, parameters, 1.0
            )  # fmt: skip
            tokens += batch.tokens
            self.padding = 1 - batch.tokens / len(batch.ids)
        return clock.spent(tokens)


class Theirs:
    """TRL's SFTTrainer at one setting. Each call trains anew, on the same model, and times the updates after the first."""

    def __init__(self, size: Size, rows: list[list[int]], folder: Path, *, batch: int, packed: bool) -> None:
        self.name = f"TRL, {'packed, ' if packed else ''}batch {batch}"
        self.rows, self.folder, self.batch, self.packed = rows, folder, batch, packed
        self.model = make_model(size)
        self.tokenizer = no_tokenizer()
        self.place = 0

    def run(self, updates: int) -> Spent:
        from datasets import Dataset
        from torch.utils.data import SequentialSampler
        from trl import SFTConfig, SFTTrainer

        places = range(self.place, self.place + DOCUMENTS * (updates + 1))
        rows = [self.rows[place % len(self.rows)] for place in places]
        self.place += DOCUMENTS * updates
        marks: list[Clock] = []
        seen: list[int] = []

        class Trainer(SFTTrainer):
            def _get_train_sampler(self, *_args: object, **_others: object) -> SequentialSampler:
                return SequentialSampler(self.train_dataset)

            def training_step(self, model: Any, inputs: dict, *args: object, **others: object) -> Any:
                mask = inputs.get("attention_mask")
                # A document's last token is predicted and not read; TRL reads it all the same.
                count = _documents_in(inputs)
                seen.append((int(mask.sum()) if mask is not None else inputs["input_ids"].numel()) - count)
                marks_of_parts.append(len(marks))
                return super().training_step(model, inputs, *args, **others)

        marks_of_parts: list[int] = []
        data = Dataset.from_dict({"input_ids": rows})
        # Packed rows hold more than a document each: as many rows an update as come to the same number of tokens.
        at_once = self.batch
        accumulate = max(1, DOCUMENTS // at_once)
        if self.packed:
            mean = statistics.mean(map(len, rows))
            accumulate = max(1, round(DOCUMENTS * mean / CONTEXT / at_once))
        with quiet():
            arguments = trl_arguments(
                SFTConfig,
                self.folder,
                per_device_train_batch_size=at_once,
                gradient_accumulation_steps=accumulate,
                max_steps=updates + 1,
                packing=self.packed,
                packing_strategy="bfd",
                max_length=CONTEXT,
                bf16=False,
            )
            trainer = Trainer(
                model=self.model,
                args=arguments,
                train_dataset=data,
                processing_class=self.tokenizer,
                callbacks=[watch(marks)],
            )
            trainer.train()
        tokens = sum(count for count, step in zip(seen, marks_of_parts, strict=True) if step > 0)
        first, last = marks[0], marks[-1]
        return Spent(tokens, last.wall - first.wall, last.cpu - first.cpu)


def _documents_in(inputs: dict) -> int:
    """How many documents a batch of TRL holds."""
    positions = inputs.get("position_ids")
    return int((positions == 0).sum()) if positions is not None else inputs["input_ids"].shape[0]


def flops_per_token(size: Size, rows: list[list[int]], parameters: int) -> float:
    """Of a training step (forward once, backward twice): 6 a parameter, tied embeddings counted once, and causal attention's two products."""
    lengths = [len(row) - 1 for row in rows]
    length = sum(n * n for n in lengths) / sum(lengths)  # what a token's document is long, on average
    return 6 * parameters + 6 * size.layers * size.hidden_size * length


def compare(size: Size, equal: bool, folder: Path, *, rounds: int, updates: int) -> dict[str, Any]:
    """Which setting of TRL is fastest, then ours and that in turns."""
    rows = documents(size, equal, 16 * DOCUMENTS)
    ours = Ours(size, rows, folder)
    ours.run(1)
    tried = {}
    peers = [Theirs(size, rows, folder, batch=batch, packed=False) for batch in (1, 2, 4)]
    if not equal:
        peers.append(Theirs(size, rows, folder, batch=1, packed=True))
    for peer in peers:
        spent = peer.run(updates)
        tried[peer.name] = spent.done / spent.cpu
    peer = max(peers, key=lambda one: tried[one.name])
    turns = [(ours.run(updates), peer.run(updates)) for _ in range(rounds)]
    found: dict[str, Any] = {
        "model": size.name,
        "lengths": "equal" if equal else "unequal",
        "parameters": sum(p.numel() for p in ours.model.parameters()),
        "mean_length": statistics.mean(map(len, rows)),
        "bar": 1.0 if equal else size.bar_unequal,
        "peer": peer.name,
        "tokens_per_processor_second_tried": tried,
        "padding": ours.padding,
    }
    for clock, said in ratios(turns).items():
        found[clock] = {"ours_tokens_per_s": said.pop("ours"), "trl_tokens_per_s": said.pop("trl"), **said}
    found["flops_per_token"] = flops_per_token(size, rows, found["parameters"])
    return found


def table(figures: dict[str, Any]) -> str:
    lines = [
        f"{figures['threads']} thread(s), matmul peak {figures['matmul_peak']['wall'] / 1e9:.0f} GFLOP/s; {figures['rounds']} rounds in turns",
        "useful tokens a second and the ratio of neighbours: medians, with the least and the largest ratio",
        f"{'model':7}{'lengths':9}{'clock':7}{'ours':>8}{'TRL':>8}{'ratio':>8}  {'spread':14}{'bar':>5}{'of peak':>9}  TRL's setting",
    ]
    for case in figures["cases"]:
        for clock in ("wall", "cpu"):
            said = case[clock]
            spread = f"{said['ratio_low']:.2f} – {said['ratio_high']:.2f}"
            lines.append(
                f"{case['model']:7}{case['lengths']:9}{clock:7}{said['ours_tokens_per_s']:8.0f}{said['trl_tokens_per_s']:8.0f}"
                f"{said['ratio']:8.2f}  {spread:14}{case['bar']:5.1f}{case[clock]['of_peak']:9.0%}  {case['peer']}"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.pretrain", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the small model alone, few rounds")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--threads", type=int, help="of torch; default: all cores")
    parser.add_argument("--rounds", type=int, help="default: 5, with --quick 3")
    parser.add_argument("--sizes", nargs="+", choices=[size.name for size in SIZES])
    given = parser.parse_args()
    os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
    import torch

    if given.threads:
        torch.set_num_threads(given.threads)
    sizes = [
        size for size in SIZES if size.name in (given.sizes or [one.name for one in SIZES[: 1 if given.quick else 2]])
    ]
    rounds = given.rounds or (3 if given.quick else 5)
    figures: dict[str, Any] = {"threads": torch.get_num_threads(), "rounds": rounds, "matmul_peak": matmul_peak()}
    with tempfile.TemporaryDirectory() as folder:
        figures["cases"] = [
            compare(size, equal, Path(folder), rounds=rounds, updates=1 if given.quick or size is SIZES[-1] else 2)
            for size in sizes
            for equal in (False, True)
        ]
    for case in figures["cases"]:
        for clock, threads in (("wall", 1), ("cpu", figures["threads"])):
            done = case[clock]["ours_tokens_per_s"] * threads * case["flops_per_token"]
            case[clock]["of_peak"] = done / figures["matmul_peak"][clock]
    print(json.dumps(figures) if given.json else table(figures))


if __name__ == "__main__":
    sys.exit(main())
