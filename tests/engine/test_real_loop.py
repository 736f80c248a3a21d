"""The loop on a real pretrained language model: rankings by a fixed taste, a reward model, PPO against that model."""

import json
import os
import random
import re
from pathlib import Path

import pytest

from labeling.ranking import LETTERS
from models_registry.lm.chain import load
from models_registry.lm.generate import generate_ids
from models_registry.lm.text import encode_prompt

from . import runs

REAL = Path(os.environ.get("PERINGKAT_REAL_DATA", "/nowhere"))
MODEL = REAL / "models" / "stories260K"
STORIES = REAL / "data" / "tinystories" / "tinystories_sample.txt"

pytestmark = pytest.mark.skipif(not (MODEL.is_dir() and STORIES.is_file()), reason="PERINGKAT_REAL_DATA is not set")

JOY = set(
    "happy happily smile smiled smiling laugh laughed laughing joy joyful glad love loved fun cheerful excited delighted "
    "play played hug hugged".split()
)


def taste(text: str) -> float:
    """Joyful words, somebody speaks, no repeated runs of three words."""
    words = re.findall(r"[a-z']+", text.lower())
    triples = [tuple(words[i : i + 3]) for i in range(len(words) - 2)]
    repeated = 1 - len(set(triples)) / len(triples) if triples else 0.0
    return min(4, len(JOY & set(words))) + 1.5 * ('"' in text) - 4 * repeated


def openings(count: int) -> list[dict[str, str]]:
    """The first 16 tokens of distinct stories; every fifth is held out."""
    model = load([MODEL])
    stories = [
        story.strip() for story in STORIES.read_text("utf-8").split("<|endoftext|>") if len(story.strip()) > 200
    ]
    random.Random(0).shuffle(stories)
    texts = dict.fromkeys(model.tokenizer.decode(encode_prompt(model, story)[1:17]) for story in stories)
    return [
        {"prompt": text, "split": "heldout" if i % 5 == 0 else "train"} for i, text in enumerate(list(texts)[:count])
    ]


def ranked(prompts: list[dict[str, str]]) -> list[dict[str, object]]:
    """Four stories of 64 tokens to each opening, ranked by the taste with noise; less than 0.5 apart is a tie."""
    model, noise = load([MODEL]), random.Random(0)
    ids = [encode_prompt(model, row["prompt"]) for row in prompts]
    texts = [output.text for output in generate_ids(model, ids, max_tokens=64, seed=1, samples=4)]
    rows = []
    for i, row in enumerate(prompts):
        four = texts[4 * i : 4 * i + 4]
        felt = [taste(text) + noise.gauss(0, 0.7) for text in four]
        best_first = sorted(range(4), key=lambda k: -felt[k])
        notation = LETTERS[best_first[0]]
        top = felt[best_first[0]]
        for k in best_first[1:]:
            tied = top - felt[k] < 0.5
            notation += (" = " if tied else " > ") + LETTERS[k]
            top = top if tied else felt[k]
        rows.append(row | {"completions": four, "ranking": notation})
    return rows


@pytest.mark.slow
def test_a_real_model_shares_prompts_and_starts_ppo_exactly(tmp_path):
    prompts = openings(20)
    rankings = runs.write_rows(tmp_path / "rankings.jsonl", ranked(prompts))
    reward = runs.write_run(
        tmp_path / "reward",
        "reward",
        {"max_steps": 2, "batch_size": 4},
        {"base": [str(MODEL)], "dataset": str(rankings)},
    )
    assert runs.go(reward) == 0
    [shared] = [e["message"] for e in runs.events(reward) if e.get("kind") == "note"]
    assert shared["id"] == "prompt-shared"
    assert shared["params"]["difference"] < 1e-5

    ppo = runs.write_run(
        tmp_path / "ppo",
        "ppo",
        {"updates": 1, "episodes": 16, "max_tokens": 32},
        {"base": [str(MODEL)], "reward_model": [str(reward / "output")], "dataset": str(rankings)},
    )
    assert runs.go(ppo) == 0
    [first] = [event for event in runs.events(ppo) if "ratio" in event]
    assert first["ratio_start"] == pytest.approx(1, abs=1e-6)
    assert (first["kl"], first["clip_fraction_start"]) == (pytest.approx(0, abs=1e-4), 0)


@pytest.mark.prove
def test_the_whole_loop_wins_by_the_taste_that_ranked(tmp_path):
    """At least 80 % wins by the taste without its noise, at a KL of at most 30 nats, on openings it has not seen."""
    prompts = openings(250)
    rankings = runs.write_rows(tmp_path / "rankings.jsonl", ranked(prompts))
    lora = {"kind": "lora", "rank": 16, "alpha": 32}
    reward = runs.write_run(
        tmp_path / "reward",
        "reward",
        {"tune": lora, "lr": 3e-3, "epochs": 5},
        {"base": [str(MODEL)], "dataset": str(rankings)},
    )
    assert runs.go(reward) == 0
    assert json.loads((reward / "output" / "metrics.json").read_text())["accuracy"] > 0.65

    ppo = runs.write_run(
        tmp_path / "ppo",
        "ppo",
        {"tune": {"kind": "all"}, "lr": 3e-4, "updates": 60},
        {"base": [str(MODEL)], "reward_model": [str(MODEL), str(reward / "output")], "dataset": str(rankings)},
    )
    assert runs.go(ppo) == 0
    found = json.loads((ppo / "output" / "metrics.json").read_text())
    pairs = [json.loads(line) for line in (ppo / "samples.jsonl").open()]
    tastes = [(taste(pair["after"]), taste(pair["before"])) for pair in pairs]
    wins = sum((after > before) + (after == before) / 2 for after, before in tastes) / len(pairs)
    assert wins >= 0.8
    assert found["kl"] <= 30
    assert found["loss_under_base"] <= found["loss_under_base_start"]
