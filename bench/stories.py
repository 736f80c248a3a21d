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
from typing import Any

import httpx

from training.demo.annotators import order_of
from training.engine.diversity import distinct_ngrams
from training.engine.intervals import clustered_share, wilson

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


class Sides:
    """Start and result of a run, and its held-out prompts, which they answer with the same random numbers: as long as the run's own answers, at
    temperature 1."""

    def __init__(self, run: Path) -> None:
        from models_registry.lm.chain import load
        from models_registry.lm.inspect import describe
        from models_registry.lm.text import encode_prompt

        order = json.loads((run / "run.json").read_text())
        base = [Path(folder) for folder in order["inputs"]["base"]]
        rows = [json.loads(line) for line in Path(order["inputs"]["dataset"]).read_text(encoding="utf-8").splitlines()]
        self.prompts = list(dict.fromkeys(row["prompt"] for row in rows if row["split"] == "heldout"))
        self.tokens = order["config"].get("max_tokens", 64)
        output = run / "output"
        self.start, self.result = load(base), load([output] if describe(output).kind == "full" else [*base, output])
        self.ids = [encode_prompt(self.start, prompt) for prompt in self.prompts]

    def outputs(self, seed: int) -> tuple[list[Any], list[Any]]:
        """What both write, before and after."""
        from models_registry.lm.generate import generate_ids

        before, after = (
            generate_ids(model, self.ids, max_tokens=self.tokens, seed=seed) for model in (self.start, self.result)
        )
        return before, after

    def pairs(self, seed: int) -> list[dict[str, str]]:
        return [
            {"prompt": prompt, "before": old.text, "after": new.text}
            for prompt, old, new in zip(self.prompts, *self.outputs(seed), strict=True)
        ]

    def departure(self, seed: int) -> dict[str, float]:
        """How far the result is from its start, in nats an answer, and how likely the start finds the answers of both, in nats a token."""
        import torch

        from models_registry.lm.score import completion_logprobs, padded

        def nats(model: Any, stories: list[Any]) -> float:
            batch = padded(self.ids, [story.token_ids for story in stories], model.device)
            with torch.no_grad():
                return float(completion_logprobs(model.model, batch).sum())

        before, after = self.outputs(seed)
        return {
            "kl": (nats(self.result, after) - nats(self.start, after)) / len(self.prompts),
            "loss_under_base_start": -nats(self.start, before) / sum(len(story.token_ids) for story in before),
            "loss_under_base": -nats(self.start, after) / sum(len(story.token_ids) for story in after),
        }


def won(pairs: list[dict[str, str]]) -> list[float]:
    """1 where the result's story pleases the taste more than the start's, a half where as much."""
    tastes = [(taste(pair["before"]), taste(pair["after"])) for pair in pairs]
    return [(after > before) + (after == before) / 2 for before, after in tastes]


def report(run: Path, *, answers: int = 1) -> dict[str, object]:
    """What became of the stories of a run's held-out openings, by the taste without its noise. `wins` are of one story to each opening; with
    more `answers`, `wins_of_all` are of so many, with an interval over openings: one story to each of 100 openings has a
    standard error of three points."""
    metrics = json.loads((run / "output" / "metrics.json").read_text())
    own = (run / "samples.jsonl").exists()
    sides = Sides(run) if answers > 1 or not own else None
    if own:
        pairs = [json.loads(line) for line in (run / "samples.jsonl").read_text(encoding="utf-8").splitlines()]
    else:
        assert sides is not None
        pairs = sides.pairs(0)
        metrics |= sides.departure(0)
    wins = won(pairs)
    words = {side: distinct_ngrams([pair[side] for pair in pairs]) for side in ("before", "after")}
    found: dict[str, object] = {
        "openings": len(pairs),
        "wins": statistics.mean(wins),
        "wins_interval": list(wilson(sum(wins), len(pairs))),
        "taste": [statistics.mean(taste(pair[side]) for pair in pairs) for side in ("before", "after")],
    }
    if sides is not None and answers > 1:
        each = [sum(by) for by in zip(*(won(sides.pairs(seed)) for seed in range(answers)), strict=True)]
        found["wins_of_all"] = sum(each) / (answers * len(each))
        found["wins_of_all_interval"] = list(clustered_share(each, [answers] * len(each)))
    if "reward" in metrics:
        found["reward"] = [metrics["reward_start"], metrics["reward"]]
    return found | {
        "kl": metrics["kl"],
        "loss_under_base": [metrics["loss_under_base_start"], metrics["loss_under_base"]],
        "distinct_3grams_within": [words["before"][0], words["after"][0]],
        "distinct_3grams_across": [words["before"][1], words["after"][1]],
        "stories": pairs[:3],
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
    tell.add_argument("--answers", type=int, default=1, help="stories to each opening that the wins are counted of")
    tell.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.command == "openings":
        openings(given.stories, given.tokenizer, given.out, count=given.count, heldout=given.heldout)
    elif given.command == "rank":
        password = os.environ.get("PERINGKAT_PASSWORD") or sys.exit("Set PERINGKAT_PASSWORD.")
        rank(given.url, given.user, password, given.project, tasks=given.tasks, seed=given.seed)
    else:
        results = {str(run): report(run, answers=given.answers) for run in given.runs}
        if given.json:
            print(json.dumps(results, ensure_ascii=False))
            return
        for name, figures in results.items():
            print(name, *lines(figures), "", sep="\n")
            for pair in figures["stories"]:  # type: ignore[attr-defined]
                print(f"{pair['prompt']}\n  before: {pair['before']}\n  after:  {pair['after']}\n")


if __name__ == "__main__":
    main()
