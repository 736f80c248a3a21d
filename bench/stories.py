"""The whole loop on stories: openings to continue, a fixed taste that ranks them over REST, and a report on the result.

    python -m bench.stories openings STORIES.txt --tokenizer tokenizer.json --out openings.jsonl
    python -m bench.stories rank --url http://127.0.0.1:8000 --user NAME --project SLUG [--tasks N]     password: PERINGKAT_PASSWORD
    python -m bench.stories report RUN_DIR [RUN_DIR …] [--json]            the folders of runs of ppo, rloo, grpo, dpo or kto

Between them, in the browser: import the openings into a project, sample four stories each, freeze, train `reward`, train `ppo`.

The taste is a rule nobody told the model: min(4, distinct joyful words) + 1.5 if someone speaks - 4 × (share of repeated 3-word
runs). Those who rank by it read with Gaussian noise of 0.7 and call stories equal that lie less than 0.5 apart.
"""

import argparse
import json
import os
import random
import re
import statistics
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx

from training.demo.annotators import order_of
from training.engine.diversity import distinct_ngrams
from training.engine.intervals import wilson

JOYFUL = frozenset(
    "happy happily happiness joy joyful smile smiles smiled smiling laugh laughs laughed laughing fun love loves loved "
    "glad excited proud cheerful delighted giggled wonderful hug hugs hugged".split()
)
NOISE = 0.7
OPENING_TOKENS = 16


def taste(story: str) -> float:
    words = re.findall(r"[a-z']+", story.lower())
    runs = [tuple(words[i : i + 3]) for i in range(len(words) - 2)]
    repeated = 1 - len(set(runs)) / len(runs) if runs else 0.0
    return min(4, len(JOYFUL & set(words))) + 1.5 * ('"' in story) - 4 * repeated


def openings(stories: Path, tokenizer_file: Path, out: Path, *, count: int, heldout: int) -> None:
    """The first tokens of `count` stories that begin differently; the last `heldout` of them are held out."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    found: dict[str, None] = {}
    for story in stories.read_text(encoding="utf-8").split("<|endoftext|>"):
        ids = tokenizer.encode(story.strip(), add_special_tokens=False).ids[:OPENING_TOKENS]
        if len(ids) == OPENING_TOKENS:
            found.setdefault(tokenizer.decode(ids))
        if len(found) == count:
            break
    if len(found) < count:
        sys.exit(f"{stories} has only {len(found)} different openings, not {count}.")
    with open(out, "w", encoding="utf-8") as file:
        for number, opening in enumerate(found):
            split = "heldout" if number >= count - heldout else "train"
            row = {"id": f"opening-{number}", "prompt": opening, "split": split}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    print(f"{count} openings, {heldout} of them held out: {out}")


def rank(url: str, user: str, password: str, project: str, *, tasks: int | None, seed: int) -> None:
    """Claim and submit until nothing waits, or `tasks` are done."""
    rng = random.Random(seed)
    with httpx.Client(base_url=url, timeout=60) as client:
        answer = client.post("/api/v1/token/", data={"username": user, "password": password})
        if answer.status_code != 200:
            sys.exit(f"Signing in as {user} failed: {answer.text}")
        client.headers["Authorization"] = f"Token {answer.json()['token']}"
        claimed = client.post(f"/api/v1/projects/{project}/claim/").raise_for_status()
        board = claimed.json() if claimed.status_code == 200 else None
        done = tied = 0
        while board and (tasks is None or done < tasks):
            order = order_of([taste(output["text"]) + rng.gauss(0, NOISE) for output in board["outputs"]])
            key = {"notation": str(order), "client_key": uuid.uuid4().hex}
            stored = client.post(f"/api/v1/assignments/{board['assignment']}/submit/", json=key).raise_for_status()
            board = stored.json()["next"]
            done, tied = done + 1, tied + bool(order.tied_pairs())
    print(f"{done} rankings by the taste, {tied} of them with a tie")


def report(run: Path) -> dict[str, object]:
    """What became of the stories of a run's held-out openings, by the taste without its noise."""
    metrics = json.loads((run / "output" / "metrics.json").read_text())
    if (run / "samples.jsonl").exists():
        pairs = [json.loads(line) for line in (run / "samples.jsonl").read_text(encoding="utf-8").splitlines()]
    else:
        pairs, departure = written(run)
        metrics |= departure
    before, after = ([taste(pair[side]) for pair in pairs] for side in ("before", "after"))
    wins = sum((a > b) + (a == b) / 2 for a, b in zip(after, before, strict=True))
    low, high = wilson(wins, len(pairs))
    words = {side: distinct_ngrams([pair[side] for pair in pairs]) for side in ("before", "after")}
    found: dict[str, object] = {
        "openings": len(pairs),
        "wins": wins / len(pairs),
        "wins_interval": [low, high],
        "taste": [statistics.mean(before), statistics.mean(after)],
    }
    if "reward" in metrics:
        found["reward"] = [metrics["reward_start"], metrics["reward"]]
    return found | {
        "kl": metrics["kl"],
        "loss_under_base": [metrics["loss_under_base_start"], metrics["loss_under_base"]],
        "distinct_3grams_within": [words["before"][0], words["after"][0]],
        "distinct_3grams_across": [words["before"][1], words["after"][1]],
        "stories": pairs[:3],
    }


def written(run: Path, *, tokens: int = 64, seed: int = 0) -> tuple[list[dict[str, str]], dict[str, float]]:
    """Start and result of a run that writes nothing itself answer its held-out prompts with the same random numbers: the pairs, and how far
    the result is from its start, in nats an answer."""
    import torch

    from models_registry.lm.chain import Loaded, load
    from models_registry.lm.generate import Output, generate_ids
    from models_registry.lm.inspect import describe
    from models_registry.lm.score import completion_logprobs, padded
    from models_registry.lm.text import encode_prompt

    inputs = json.loads((run / "run.json").read_text())["inputs"]
    base = [Path(folder) for folder in inputs["base"]]
    rows = [json.loads(line) for line in Path(inputs["dataset"]).read_text(encoding="utf-8").splitlines()]
    prompts = list(dict.fromkeys(row["prompt"] for row in rows if row["split"] == "heldout"))
    output = run / "output"
    start, result = load(base), load([output] if describe(output).kind == "full" else [*base, output])
    ids = [encode_prompt(start, prompt) for prompt in prompts]

    def nats(model: Loaded, stories: list[Output]) -> float:
        with torch.no_grad():
            return float(
                completion_logprobs(model.model, padded(ids, [s.token_ids for s in stories], model.device)).sum()
            )

    before, after = (generate_ids(model, ids, max_tokens=tokens, seed=seed) for model in (start, result))
    pairs = [
        {"prompt": prompt, "before": old.text, "after": new.text}
        for prompt, old, new in zip(prompts, before, after, strict=True)
    ]
    return pairs, {
        "kl": (nats(result, after) - nats(start, after)) / len(prompts),
        "loss_under_base_start": -nats(start, before) / sum(len(story.token_ids) for story in before),
        "loss_under_base": -nats(start, after) / sum(len(story.token_ids) for story in after),
    }


def lines(figures: dict[str, object]) -> Iterator[str]:
    for name, value in figures.items():
        if name == "stories":
            continue
        shown = " → ".join(f"{v:.3f}" for v in value) if isinstance(value, list) else f"{value:.3f}"
        yield f"{name:26} {shown}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.stories", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("openings")
    make.add_argument("stories", type=Path)
    make.add_argument("--tokenizer", type=Path, required=True)
    make.add_argument("--out", type=Path, required=True)
    make.add_argument("--count", type=int, default=250)
    make.add_argument("--heldout", type=int, default=50)
    judge = commands.add_parser("rank")
    judge.add_argument("--url", default="http://127.0.0.1:8000")
    judge.add_argument("--user", required=True)
    judge.add_argument("--project", required=True)
    judge.add_argument("--tasks", type=int)
    judge.add_argument("--seed", type=int, default=0)
    tell = commands.add_parser("report")
    tell.add_argument("runs", type=Path, nargs="+")
    tell.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.command == "openings":
        openings(given.stories, given.tokenizer, given.out, count=given.count, heldout=given.heldout)
    elif given.command == "rank":
        password = os.environ.get("PERINGKAT_PASSWORD") or sys.exit("Set PERINGKAT_PASSWORD.")
        rank(given.url, given.user, password, given.project, tasks=given.tasks, seed=given.seed)
    else:
        results = {str(run): report(run) for run in given.runs}
        if given.json:
            print(json.dumps(results, ensure_ascii=False))
            return
        for name, figures in results.items():
            print(name, *lines(figures), "", sep="\n")
            for pair in figures["stories"]:  # type: ignore[attr-defined]
                print(f"{pair['prompt']}\n  before: {pair['before']}\n  after:  {pair['after']}\n")


if __name__ == "__main__":
    main()
