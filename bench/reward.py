"""Rankings a second and peak memory of our reward training against TRL's RewardTrainer.

    python -m bench.reward [--quick] [--json] [--threads N] [--rounds N] [--data FOLDER] [--only CASE …]

Llama-shaped models of 7.3 and 29.3 million parameters with one output, on the CPU. Synthetic rankings, since the values of tokens cost nothing:
K outputs of 64 tokens over one prompt of 256, no ties, so that both sides learn from the same K(K−1)/2 pairs. With --data FOLDER (holding
finegrained-qa and pandalm) also real texts, in the tokens of a tokenizer that the product learns from them: fine-grained QA with the question
alone as prompt and with its passages, and PandaLM; ties, which TRL cannot take, are left out on both sides.

Ours is the engine's own update (training.engine.loop, methods.reward) on 4 rankings (2 where K = 9); an update of TRL sees the pairs of as many. TRL runs
through RewardTrainer.train(), gradient checkpointing off, at the fastest of so many pairs at once: which one that is, is tried out first, here
and for each case. The two take turns, A B A B …; a round's ratio compares neighbours, so it holds on a machine that does other things too.
Both clocks are told: wall, and the processor time of this process, which other programs do not take from.

Memory: each side by itself in a process of its own; the peak of the resident set above what the process had with its libraries
loaded. Ours computes a ranking at a time (micro_batch 1); TRL all pairs of a ranking at once, and, as little as it can, a pair at a time.
"""

import argparse
import json
import multiprocessing
import os
import random
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from bench.peer import Clock, Spent, matmul_peak, no_tokenizer, quiet, ratios, trl_arguments, watch
from bench.rankings import Row, fine_grained_qa, pandalm
from training.engine import heap

PROMPT, COMPLETION = 256, 64
PAIRS_AT_ONCE = (1, 2, 4, 8, 16)  # of TRL


@dataclass(frozen=True)
class Size:
    name: str
    vocab_size: int
    hidden_size: int
    layers: int
    intermediate_size: int
    heads: int


SMALL = Size("7.3M", 10_000, 256, 6, 688, 8)
LARGE = Size("29.3M", 8192, 512, 8, 1360, 8)


@dataclass(frozen=True)
class Case:
    """What is measured, and what is expected of it. `items`: outputs of a synthetic ranking; `real`: the data set in its place."""

    name: str
    size: Size
    bar: float
    rankings: int = 4  # in an update
    items: int = 0
    dtype: str = "float32"
    real: str = ""


CASES = (
    Case("K=4", SMALL, 5.0, items=4),
    Case("K=9", SMALL, 15.0, rankings=2, items=9),
    Case("K=4 large", LARGE, 5.0, items=4),
    Case("K=4 bf16", SMALL, 4.0, items=4, dtype="bfloat16"),
    Case("fine-grained QA", SMALL, 2.5, real="finegrained-qa"),
    Case("fine-grained QA, passages", SMALL, 5.0, real="finegrained-qa-passages"),
    Case("PandaLM", SMALL, 1.2, real="pandalm"),
)
QUICK = ("K=4",)


@dataclass(frozen=True)
class Ranked:
    """A prompt, its outputs as tokens, and the pairs (better, worse) that somebody said."""

    prompt: list[int]
    completions: list[list[int]]
    order: str


# What is ranked


def synthetic(size: Size, items: int, count: int) -> list[Ranked]:
    draw = random.Random(1)

    def tokens(length: int) -> list[int]:
        return [draw.randrange(3, size.vocab_size) for _ in range(length)]

    order = " > ".join("ABCDEFGHI"[:items])
    return [Ranked(tokens(PROMPT), [tokens(COMPLETION) for _ in range(items)], order) for _ in range(count)]


def texts_of(name: str, folder: Path) -> Iterator[tuple[str, list[str], str]]:
    """(prompt, completions, ranking) of a real data set, ties put apart by place: TRL knows none. Of PandaLM, what most people said."""
    if name.startswith("finegrained-qa"):
        rows = list(fine_grained_qa(folder, passages=name.endswith("passages")))
    else:
        said: dict[int, list[Row]] = defaultdict(list)
        for row in pandalm(folder):
            said[row["task"]].append(row)
        rows = [own[0] | {"ranking": statistics.mode(row["ranking"] for row in own)} for own in said.values()]
        rows = [row for row in rows if row["ranking"] != "A = B"]
    for row in rows:
        yield row["prompt"], row["completions"], row["ranking"].replace("=", ">")


def real(name: str, folder: Path, size: Size) -> list[Ranked]:
    """In the tokens of a byte-level BPE learned from the texts themselves."""
    from tokenizers import ByteLevelBPETokenizer

    rows = list(texts_of(name, folder))
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(
        (text for prompt, outputs, _ in rows for text in (prompt, *outputs)), size.vocab_size - 3
    )

    def ids(text: str) -> list[int]:
        return [i + 3 for i in tokenizer.encode(text).ids]

    found = [
        Ranked([1, *ids(prompt)], [[*ids(output), 2] for output in outputs], order) for prompt, outputs, order in rows
    ]
    random.Random(1).shuffle(found)
    return found


# Both sides


def make_model(size: Size, longest: int) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForSequenceClassification

    torch.manual_seed(0)
    return LlamaForSequenceClassification(
        LlamaConfig(
            vocab_size=size.vocab_size,
            hidden_size=size.hidden_size,
            intermediate_size=size.intermediate_size,
            num_hidden_layers=size.layers,
            num_attention_heads=size.heads,
            num_key_value_heads=size.heads,
            max_position_embeddings=longest,
            num_labels=1,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=0,
            dtype=torch.float32,
        )
    )


def longest_of(rows: Sequence[Ranked]) -> int:
    return max(len(row.prompt) + max(map(len, row.completions)) for row in rows)


class Ours:
    """The engine's own update, as the method `reward` carries it out with Bradley–Terry, on `at_once` rankings at a time."""

    def __init__(self, case: Case, rows: Sequence[Ranked], at_once: int | None = None) -> None:
        import torch

        from labeling.ranking import WeakOrder
        from models_registry.lm.packed import Group, probe
        from training.engine import loop
        from training.engine.methods.reward.config import Config
        from training.engine.preferences import BradleyTerry, Objective

        self.loop, self.rows, self.place, self.rankings = loop, rows, 0, case.rankings
        self.at_once = at_once or case.rankings
        self.dtype = getattr(torch, case.dtype)
        self.model = make_model(case.size, longest_of(rows)).eval()
        self.groups = [Group(row.prompt, row.completions) for row in rows]
        self.orders = [WeakOrder.parse(row.order) for row in rows]
        self.way = probe(self.model, self.groups[:4]).way
        self.model.train()
        self.objective = Objective(BradleyTerry())
        self.optimizer = loop.adamw(Config(), dict(self.model.named_parameters()))

    def run(self, updates: int) -> Spent:
        import torch

        from models_registry.lm.packed import scores
        from training.engine.preferences import Comparisons

        @dataclass(frozen=True)
        class Micro:
            places: list[int]
            tokens: int = 0

            @property
            def weight(self) -> int:
                return len(self.places)

        def loss(micro: Micro) -> tuple[torch.Tensor, dict]:
            found = scores(self.model, [self.groups[i] for i in micro.places], self.way)
            comparisons = Comparisons.of_orders([self.orders[i] for i in micro.places])
            return self.objective.losses(found, comparisons)[0].sum(), {}

        def autocast() -> Any:
            return torch.autocast("cpu", dtype=self.dtype, enabled=self.dtype != torch.float32)

        parameters = list(self.model.parameters())
        clock = Clock()
        for _ in range(updates):
            chosen = [place % len(self.rows) for place in range(self.place, self.place + self.rankings)]
            chosen.sort(key=lambda i: self.groups[i].packed_length)
            self.place += self.rankings
            batch = [Micro(chosen[i : i + self.at_once]) for i in range(0, self.rankings, self.at_once)]
            self.loop.update(batch, loss, self.optimizer, parameters, 1.0, autocast)
        return clock.spent(updates * self.rankings)


class Theirs:
    """TRL's RewardTrainer with so many pairs at once. Each call trains on, and times the updates after the first."""

    def __init__(self, case: Case, rows: Sequence[Ranked], folder: Path, at_once: int) -> None:
        from labeling.ranking import WeakOrder

        self.name = f"TRL, {at_once} pairs at once"
        self.case, self.folder, self.at_once = case, folder, at_once
        self.model = make_model(case.size, longest_of(rows))
        self.pairs = [
            {"chosen_ids": [*row.prompt, *row.completions[a]], "rejected_ids": [*row.prompt, *row.completions[b]]}
            for row in rows
            for a, b in WeakOrder.parse(row.order).strict_pairs()
        ]
        self.per_ranking = len(self.pairs) / len(rows)
        self.accumulate = max(1, round(case.rankings * self.per_ranking / at_once))
        self.place = 0

    def run(self, updates: int) -> Spent:
        from datasets import Dataset
        from trl import RewardConfig, RewardTrainer

        marks: list[Clock] = []

        done = updates * self.accumulate * self.at_once  # pairs
        places = range(self.place, self.place + done + self.accumulate * self.at_once)
        rows = [self.pairs[place % len(self.pairs)] for place in places]
        self.place += done
        with quiet():
            arguments = trl_arguments(
                RewardConfig,
                self.folder,
                per_device_train_batch_size=self.at_once,
                gradient_accumulation_steps=self.accumulate,
                max_steps=updates + 1,
                max_length=None,
                bf16=self.case.dtype == "bfloat16",
            )
            trainer = RewardTrainer(
                model=self.model,
                args=arguments,
                train_dataset=Dataset.from_list(rows),
                processing_class=no_tokenizer(),
                callbacks=[watch(marks)],
            )
            trainer.train()
        first, last = marks[0], marks[-1]
        return Spent(done / self.per_ranking, last.wall - first.wall, last.cpu - first.cpu)


# Speed


def rows_of(case: Case, data: Path | None, count: int) -> list[Ranked]:
    if not case.real:
        return synthetic(case.size, case.items, count)
    assert data is not None
    return list(islice(real(case.real, data, case.size), count))


def compare(
    case: Case, data: Path | None, folder: Path, *, rounds: int, updates: int, at_once: Sequence[int]
) -> dict[str, Any]:
    """Which number of pairs suits TRL best, then ours and that in turns."""
    rows = rows_of(case, data, (rounds + 3) * case.rankings * updates)
    ours = Ours(case, rows)
    ours.run(1)
    peers = [Theirs(case, rows, folder, pairs) for pairs in at_once]
    tried = {}
    for peer in peers:
        spent = peer.run(1)
        tried[peer.at_once] = spent.done / spent.cpu
    peer = max(peers, key=lambda one: tried[one.at_once])
    turns = [(ours.run(updates), peer.run(updates)) for _ in range(rounds)]
    lengths = [len(row.prompt) for row in rows], [len(c) for row in rows for c in row.completions]
    return {
        "case": case.name,
        "model": case.size.name,
        "dtype": case.dtype,
        "parameters": sum(p.numel() for p in ours.model.parameters()),
        "items": statistics.mean(len(row.completions) for row in rows),
        "prompt_tokens": statistics.mean(lengths[0]),
        "completion_tokens": statistics.mean(lengths[1]),
        "way": ours.way,
        "peer": peer.name,
        "rankings_per_processor_second_tried": tried,
        "bar": case.bar,
        **ratios(turns),
    }


# Memory


SIDES = {"ours": "a ranking at a time", "trl": "the pairs of a ranking at once", "trl_least": "a pair at a time"}


def _peak(connection: Any, side: str, case: Case, folder: Path) -> None:
    """In a process of its own: the peak above what the libraries take, bytes."""
    import datasets  # noqa: F401
    import torch
    import trl  # noqa: F401
    from trl import RewardTrainer  # noqa: F401

    from training.engine.methods.reward import train  # noqa: F401

    torch.set_num_threads(1)
    rows = synthetic(case.size, case.items, 3 * case.rankings)
    empty = heap.peak()
    pairs = case.items * (case.items - 1) // 2 if side == "trl" else 1
    (Ours(case, rows, at_once=1) if side == "ours" else Theirs(case, rows, folder, at_once=pairs)).run(1)
    connection.send(heap.peak() - empty)


def memory(case: Case, folder: Path) -> dict[str, Any]:
    processes = multiprocessing.get_context("spawn")
    found: dict[str, Any] = {"case": case.name, "model": case.size.name, "bar": 0.6}
    for side in SIDES:
        here, there = processes.Pipe(duplex=False)
        process = processes.Process(target=_peak, args=(there, side, case, folder))
        process.start()
        there.close()
        found[side] = here.recv()
        process.join()
    return found | {"ratio": found["ours"] / found["trl"], "ratio_least": found["ours"] / found["trl_least"]}


def table(figures: dict[str, Any]) -> str:
    peak = figures["matmul_peak"]
    lines = [
        f"{figures['threads']} thread(s), matmul peak {peak['float32'] / 1e9:.0f} GFLOP/s fp32, {peak['bfloat16'] / 1e9:.0f} bf16; {figures['rounds']} rounds in turns",
        "rankings a second and the ratio of neighbours: medians, with the least and the largest ratio",
        f"{'case':26}{'model':7}{'clock':6}{'ours':>9}{'TRL':>9}{'ratio':>8}  {'spread':14}{'bar':>5}  TRL's setting",
    ]  # fmt: skip
    for case in figures["cases"]:
        for clock in ("wall", "cpu"):
            said = case[clock]
            spread = f"{said['ratio_low']:.1f} – {said['ratio_high']:.1f}"
            lines.append(
                f"{case['case']:26}{case['model']:7}{clock:6}{said['ours']:9.3f}{said['trl']:9.3f}{said['ratio']:8.1f}  {spread:14}"
                f"{case['bar']:5.1f}  {case['peer']}, ours {case['way']}"
            )
    lines.append("peak memory above the empty process")
    for case in figures["memory"]:
        told = ", ".join(
            f"{name} {case[side] / 2**20:.0f} MiB ({how})"
            for side, how, name in zip(SIDES, SIDES.values(), ("ours", "TRL", "TRL"), strict=True)
        )
        lines.append(
            f"{case['case']:26}{case['model']:7}{told}: {case['ratio']:.2f} (bar {case['bar']}), {case['ratio_least']:.2f}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.reward", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="one synthetic case on the small model, two rounds, no memory"
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--threads", type=int, help="of torch; default: all cores")
    parser.add_argument("--rounds", type=int, help="default: 5, with --quick 2")
    parser.add_argument("--data", type=Path, help="folder with finegrained-qa and pandalm; without it no real texts")
    parser.add_argument("--only", nargs="+", choices=[case.name for case in CASES])
    given = parser.parse_args()
    os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
    import torch

    if given.threads:
        torch.set_num_threads(given.threads)
    names = given.only or (QUICK if given.quick else [case.name for case in CASES])
    cases = [case for case in CASES if case.name in names and (given.data or not case.real)]
    rounds = given.rounds or (2 if given.quick else 5)
    figures: dict[str, Any] = {
        "threads": torch.get_num_threads(),
        "rounds": rounds,
        "matmul_peak": {dtype: matmul_peak(dtype=dtype)["wall"] for dtype in ("float32", "bfloat16")},
    }
    with tempfile.TemporaryDirectory() as folder:
        figures["cases"] = [
            compare(
                case,
                given.data,
                Path(folder),
                rounds=rounds,
                updates=1,
                at_once=(2, 4) if given.quick else PAIRS_AT_ONCE,
            )
            for case in cases
        ]
        figures["memory"] = [
            memory(case, Path(folder))
            for case in cases
            if not case.real and case.dtype == "float32" and not given.quick
        ]
    print(json.dumps(figures) if given.json else table(figures))


if __name__ == "__main__":
    sys.exit(main())
