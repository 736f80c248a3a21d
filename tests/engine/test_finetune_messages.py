"""Finetuning on conversations: the chat template puts them together, and the loss looks at the last answer alone."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from . import runs

TEMPLATE = (
    "{% for message in messages %}<{{ message.role }}>{{ message.content }}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def conversations(count: int = 20) -> list[dict[str, Any]]:
    """Two questions and an answer as the prompt, the second answer as the completion; every fourth is held out."""
    rows = []
    for i in range(count):
        a, b = runs.ANIMALS[i % 6], runs.ANIMALS[(i // 6 + 1) % 6]
        prompt = [
            {"role": "system", "content": "Speak of animals."},
            {"role": "user", "content": f"Who met the {a}?"},
            {"role": "assistant", "content": f"The {b} met the {a}."},
            {"role": "user", "content": "And then?"},
        ]
        answer: Any = f"They ate {i % 7} nüts."
        if i % 2:
            answer = [{"role": "assistant", "content": answer}]
        rows.append({"prompt": prompt, "completion": answer, "split": "heldout" if i % 4 == 0 else "train"})
    return rows


@pytest.fixture(params=[True, False], ids=["with a template", "without"])
def chat_model(request, pretrained, tmp_path) -> Path:
    folder = tmp_path / "chat"
    tokenizer = AutoTokenizer.from_pretrained(pretrained / "output")
    tokenizer.chat_template = TEMPLATE if request.param else None
    tokenizer.save_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(pretrained / "output")
    model.config.max_position_embeddings = 512
    model.save_pretrained(folder)
    return folder


@pytest.mark.slow
def test_the_loss_is_that_of_the_last_answer(chat_model, tmp_path):
    data = runs.write_rows(tmp_path / "rows.jsonl", conversations())
    inputs = {"base": [str(chat_model)], "dataset": str(data)}
    folder = runs.write_run(tmp_path / "run", "finetune", {"max_steps": 1, "lr": 1e-4, "sample_tokens": 4}, inputs)
    assert runs.go(folder) == 0
    assert [event for event in runs.events(folder) if event.get("kind") == "note"] == []
    told = next(event["heldout_loss"] for event in runs.events(folder) if "heldout_loss" in event)

    model, tokenizer = (
        AutoModelForCausalLM.from_pretrained(chat_model).eval(),
        AutoTokenizer.from_pretrained(chat_model),
    )
    nats = tokens = 0.0
    for row in conversations():
        if row["split"] == "train":
            continue
        answer = row["completion"] if isinstance(row["completion"], str) else row["completion"][0]["content"]
        if tokenizer.chat_template:
            texts = [f"<{turn['role']}>{turn['content']}{tokenizer.eos_token}" for turn in row["prompt"]]
            before, ending = "".join(texts) + "<assistant>", answer + tokenizer.eos_token
            start = tokenizer(before, add_special_tokens=False)["input_ids"]
        else:
            lines = [f"{turn['role'].capitalize()}: {turn['content']}\n" for turn in row["prompt"]]
            before, ending = "".join(lines) + "Assistant:", answer + tokenizer.eos_token
            start = tokenizer(before)["input_ids"]
        end = tokenizer(ending, add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            logits = model(torch.tensor([start + end])).logits[0, len(start) - 1 : -1]
        nats -= torch.log_softmax(logits, -1).gather(1, torch.tensor(end)[:, None]).sum().item()
        tokens += len(end)
    assert told == pytest.approx(nats / tokens, rel=1e-4)
    samples = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines() if '"sample"' in line]
    assert all("And then?" in sample["prompt"] for sample in samples)
