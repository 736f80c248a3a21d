"""Scoring 10,000 completions with a reward model, beside the bare forward passes of the same texts.

    python -m bench.score --data FOLDER [--threads N] [--rounds N] [--quick] [--json]

The first rankings of wmt12-rankings (bench/rankings.py), five completions to a prompt, and a Llama of 7.3 million random weights with a byte-level
BPE learned from the texts. Ours is models_registry.lm.judge, from texts to scores: tokens, rows, forward, head, scale. The bare passes are the model
alone on token ids that lie ready, sorted by length, in batches as large: once with each completion behind its own prompt, which is what scoring
without sharing costs, and once in the very rows of ours. All take turns, A B C A B C …
"""

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from bench.peer import Clock
from bench.rankings import wmt12
from bench.reward import SMALL, make_model

ROWS, QUICK_ROWS = 2000, 100  # of five completions each


def reward_model(folder: Path, texts: list[str]) -> Path:
    from tokenizers import ByteLevelBPETokenizer
    from transformers import PreTrainedTokenizerFast

    from models_registry.lm.heads import Scale, write_scale

    special = ["<pad>", "<s>", "</s>"]
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(texts, SMALL.vocab_size, special_tokens=special, show_progress=False)
    pad, begin, end = special
    PreTrainedTokenizerFast(
        tokenizer_object=bpe._tokenizer, pad_token=pad, bos_token=begin, eos_token=end
    ).save_pretrained(folder)
    make_model(SMALL, 2048).save_pretrained(folder)
    write_scale(folder, Scale(0.0, 1.0))
    return folder


def batches(lengths: list[int], at_once: int) -> Iterator[list[int]]:
    """Places of texts of like length, padded together to at most so many tokens."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[place] > at_once:
            yield batch
            batch = []
        batch.append(place)
    yield batch


def measure(data: Path, folder: Path, *, rows: int, rounds: int) -> dict[str, Any]:
    import torch

    from models_registry.lm import judge as judging
    from models_registry.lm.chain import load
    from models_registry.lm.packed import Group, scores
    from models_registry.lm.text import encode_pairs

    asked = [(row["prompt"], row["completions"]) for row in islice(wmt12(data), rows)]
    loaded = load([reward_model(folder, [text for prompt, own in asked for text in (prompt, *own)])])
    model, way = loaded.model, judging.fastest_way(loaded, [Group([1] * 200, [[1] * 200] * 2)])
    pairs = [(prompt, text) for prompt, own in asked for text in own]
    encoded = encode_pairs(loaded, pairs)
    texts = [[*prompt, *completion] for prompt, completion in encoded]
    groups, place = [], 0
    for _prompt, own in asked:
        groups.append(Group(encoded[place][0], [ids for _start, ids in encoded[place : place + len(own)]]))
        place += len(own)
    by_length = list(batches([group.packed_length for group in groups], judging.TOKENS_AT_ONCE))

    def ours() -> None:
        for _scores in judging.judge(loaded, asked):
            pass

    @torch.inference_mode()
    def alone() -> None:
        for part in batches([len(ids) for ids in texts], judging.TOKENS_AT_ONCE):
            longest = max(len(texts[place]) for place in part)
            ids = torch.zeros(len(part), longest, dtype=torch.long)
            mask = torch.zeros_like(ids)
            for line, place in enumerate(part):
                ids[line, : len(texts[place])] = torch.tensor(texts[place])
                mask[line, : len(texts[place])] = 1
            model(input_ids=ids, attention_mask=mask, use_cache=False)

    @torch.inference_mode()
    def same_rows() -> None:
        for part in by_length:
            scores(model, [groups[place] for place in part], way)

    turns: dict[str, list[tuple[float, float]]] = {"ours": [], "alone": [], "same_rows": []}
    for _round in range(rounds):
        for name, work in (("ours", ours), ("alone", alone), ("same_rows", same_rows)):
            clock = Clock()
            work()
            spent = clock.spent(len(pairs))
            turns[name].append((spent.wall, spent.cpu))
    found: dict[str, Any] = {"completions": len(pairs), "way": way, "tokens_alone": sum(map(len, texts))}
    found["tokens_shared"] = sum(group.packed_length for group in groups)
    for number, clock_name in enumerate(("wall", "cpu")):
        seconds = {name: [turn[number] for turn in taken] for name, taken in turns.items()}
        found[clock_name] = {name: statistics.median(values) for name, values in seconds.items()}
        for name in ("alone", "same_rows"):
            each = [mine / bare for mine, bare in zip(seconds["ours"], seconds[name], strict=True)]
            found[clock_name][f"ratio_{name}"] = statistics.median(each)
    return found


def table(found: dict[str, Any]) -> str:
    lines = [
        f"{found['completions']} completions; {found['tokens_alone']:,} tokens with a prompt each, {found['tokens_shared']:,} with shared prompts ({found['way']})",
        f"{'clock':8}{'ours s':>9}{'bare, own prompts s':>22}{'ratio':>8}{'bare, same rows s':>20}{'ratio':>8}",
    ]
    for clock in ("wall", "cpu"):
        one = found[clock]
        lines.append(
            f"{clock:8}{one['ours']:9.1f}{one['alone']:22.1f}{one['ratio_alone']:8.2f}{one['same_rows']:20.1f}{one['ratio_same_rows']:8.2f}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.score", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with wmt12-rankings")
    parser.add_argument("--threads", type=int, help="of torch; default: all cores")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="500 completions, one round")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
    import torch

    if given.threads:
        torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as folder:
        rows, rounds = (QUICK_ROWS, 1) if given.quick else (ROWS, given.rounds)
        found = measure(given.data, Path(folder), rows=rows, rounds=rounds)
    print(json.dumps(found) if given.json else table(found))


if __name__ == "__main__":
    main()
