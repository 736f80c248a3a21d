"""One held-out loss of a story model, counted in several ways: what a figure of somebody else's can be held against.

    python -m bench.story_loss --model FOLDER --stories FILE [--json]

FOLDER is a language model in Hugging Face layout (stories260K), FILE holds stories with <|endoftext|> between them; the held-out tenth is that of
bench/tinystories.py. llama2.c, from which stories260K is, put a BOS before each story and no EOS behind it, ran all stories together, and
judged on windows of the context's length cut anywhere; the other ways judge each story by itself.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from labeling.identity import HELDOUT, digest_of, split_of
from models_registry.lm.chain import Loaded, load

BATCH = 16


@torch.no_grad()
def nats(loaded: Loaded, rows: Sequence[list[int]]) -> list[list[float]]:
    """For each row of tokens the loss of each but its first, the row alone being looked at."""
    found = []
    for place in range(0, len(rows), BATCH):
        batch = [torch.tensor(row) for row in rows[place : place + BATCH]]
        ids = torch.nn.utils.rnn.pad_sequence(
            batch, batch_first=True
        )  # behind the row: causal attention does not see it
        logprobs = loaded.model(input_ids=ids).logits.log_softmax(-1)
        for row, scores in zip(batch, logprobs, strict=True):
            found.append((-scores[: len(row) - 1].gather(1, row[1:, None])[:, 0]).tolist())
    return found


def mean(losses: Sequence[Sequence[float]]) -> dict[str, float]:
    every = [loss for row in losses for loss in row]
    return {"loss": sum(every) / len(every), "tokens": len(every)}


@torch.no_grad()
def own_entropy(loaded: Loaded, *, texts: int = 24, tokens: int = 400) -> dict[str, float]:
    """Nats a token of what the model writes itself at temperature 1: its loss where a text is just as it expects."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.full((texts, 1), loaded.tokenizer.bos_token_id)
    cache, found = None, []
    for _step in range(tokens):
        output = loaded.model(input_ids=ids, past_key_values=cache, use_cache=True)
        cache, logprobs = output.past_key_values, output.logits[:, -1].log_softmax(-1)
        found.append(-(logprobs * logprobs.exp()).sum(-1))
        ids = torch.multinomial(logprobs.exp(), 1, generator=generator)
    return {"loss": torch.stack(found).mean().item(), "tokens": texts * tokens}


def count(loaded: Loaded, stories: Sequence[str]) -> dict[str, dict[str, float]]:
    """Each way's loss in nats a token, and over how many tokens."""
    bos, eos = loaded.tokenizer.bos_token_id, loaded.tokenizer.eos_token_id
    context = loaded.context_length
    assert context is not None
    told = {story: loaded.tokenizer(story, add_special_tokens=False)["input_ids"] for story in stories}
    cut = sorted((ids[: context - 2] for ids in told.values()), key=len)
    behind_bos = nats(loaded, [[bos, *ids, bos] for ids in cut])  # of the last: a BOS that says that another begins
    inside = [row[:-1] for row in behind_bos]
    stream = [token for ids in told.values() for token in (bos, *ids)]
    windows = [stream[start : start + context + 1] for start in range(0, len(stream) - context, context)]
    late = [row[context // 4 :] for row in inside if len(row) > context // 4]
    plain = sorted((ids[: context - 2] for story, ids in told.items() if story.isascii()), key=len)
    return {
        "BOS, story, EOS": mean(nats(loaded, [[bos, *ids, eos] for ids in cut])),
        "BOS, story, BOS": mean(behind_bos),
        "BOS, story": mean(inside),
        "BOS, story; from a quarter of the context on": mean(late),
        "BOS, story; only stories in plain ASCII": mean(nats(loaded, [[bos, *ids] for ids in plain])),
        "story without a BOS": mean(nats(loaded, cut)),
        "windows of the whole context over all stories, BOS between": mean(nats(loaded, windows)),
        "what it writes itself": own_entropy(loaded),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.story_loss", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--stories", type=Path, required=True)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    parts = (part.strip() for part in given.stories.read_text(encoding="utf-8").split("<|endoftext|>"))
    stories = [part for part in parts if part and split_of(digest_of(part), 10) == HELDOUT]
    found: dict[str, Any] = count(load([given.model]), stories)
    if given.json:
        print(json.dumps({"stories": len(stories), "ways": found}))
        return
    print(f"{len(stories)} held-out stories; nats a token")
    for way, one in found.items():
        print(f"{one['loss']:.3f}  {one['tokens']:>7,} tokens  {way}")


if __name__ == "__main__":
    main()
