"""Real rankings as rows of the engine: fine-grained QA, PandaLM and WMT12, ties included, a fifth of the prompts held out."""

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from labeling.ranking import WeakOrder

Row = dict[str, Any]
HELDOUT = 0.2  # of the prompts


def split_of(prompt: str) -> str:
    """Hangs on the prompt's text alone."""
    return "heldout" if int(sha256(prompt.encode()).hexdigest()[:8], 16) < HELDOUT * 2**32 else "train"


def fine_grained_qa(folder: Path, *, passages: bool = False) -> Iterator[Row]:
    """Four answers to a question, all six pairs judged by one person: their Copeland order, equal scores tied."""
    for row in json.loads((folder / "finegrained-qa" / "dev_feedback.json").read_text("utf-8")):
        wins = [0.0] * 4
        pairs = [(a, b) for a in range(4) for b in range(a + 1, 4)]
        for (a, b), said in zip(pairs, row["preference"], strict=True):
            wins[a] += {1: 1.0, 0: 0.5, 2: 0.0}[said]
            wins[b] += {1: 0.0, 0: 0.5, 2: 1.0}[said]
        prompt = row["question"]
        if passages:
            prompt += "\n\n" + "\n\n".join(f"{part[0]}\n{' '.join(part[1:])}" for part in row["passages"])
        yield {
            "prompt": prompt,
            "completions": [row[f"prediction {n}"] for n in range(1, 5)],
            "ranking": str(WeakOrder.from_ranks([-won for won in wins])),
            "split": split_of(row["question"]),
        }


def pandalm(folder: Path) -> Iterator[Row]:
    """Two answers to an instruction, judged by three people each."""
    for row in json.loads((folder / "pandalm" / "testset-v1.json").read_text("utf-8")):
        prompt = "\n\n".join(filter(None, (row["instruction"], row["input"])))
        texts = row["response1"], row["response2"]  # one of them is a bare `true`
        for number in (1, 2, 3):
            yield {
                "prompt": prompt,
                "completions": [text if isinstance(text, str) else json.dumps(text) for text in texts],
                "ranking": ("A = B", "A > B", "B > A")[int(row[f"annotator{number}"])],
                "task": row["idx"],
                "annotator": f"annotator {number}",
                "split": split_of(prompt),
            }


def wmt12(folder: Path) -> Iterator[Row]:
    """Five translations of a sentence, judged by one to several people; what was left blank is not said."""
    for line in (folder / "wmt12-rankings" / "rankings.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        options = sorted(row["options"], key=lambda option: option["system"])
        ranks = [option["rank"] if option["rank"] > 0 else None for option in options]
        if sum(rank is not None for rank in ranks) < 2:
            continue
        yield {
            "prompt": row["prompt"],
            "completions": [option["text"].strip() for option in options],
            "ranking": str(WeakOrder.from_ranks(ranks)),
            "task": f"{row['pair']} {row['src_index']} " + " ".join(option["system"] for option in options),
            "annotator": row["judge"],
            "split": split_of(row["prompt"]),
        }


READERS = {"finegrained-qa": fine_grained_qa, "pandalm": pandalm, "wmt12-rankings": wmt12}
