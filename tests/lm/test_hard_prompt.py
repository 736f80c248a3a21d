"""Hard prompts: what a model is asked in their words, and how their labels are weighed."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from models_registry.lm import hard_prompt, inspect
from models_registry.lm.chain import load
from models_registry.lm.generate import generate
from models_registry.lm.hard_prompt import Example, HardPrompt
from models_registry.lm.score import class_logprobs, logprobs
from models_registry.lm.text import encode_prompt
from models_registry.lm.verbalised import label_logprobs

from . import tiny

TEXTS = ["The cat met", "fox", "a much longer text about a fox that met the dog", "fox fox"]
MOOD = HardPrompt(
    template="Text: {input}\nMood:",
    instruction="Sort these.",
    examples=(Example(input="cat", output="good"), Example(input="dog", output=" rather bad")),
    labels={"up": "good", "down": "rather bad", "flat": "x"},
    room=8,
)


def chained(folders: dict[str, Path], tmp_path: Path, prompt: HardPrompt, shape: str = "llama"):
    hard_prompt.write(tmp_path / "prompt", prompt)
    return load([folders[shape], tmp_path / "prompt"])


def test_a_prompt_is_instruction_examples_and_the_text_in_the_same_template():
    asked = "Sort these.\n\nText: cat\nMood: good\n\nText: dog\nMood: rather bad\n\nText: fox\nMood:"
    assert MOOD.ask("fox") == asked
    assert MOOD.ask("fox", examples=0) == "Sort these.\n\nText: fox\nMood:"
    assert MOOD.ask("fox", examples=1) == "Sort these.\n\nText: dog\nMood: rather bad\n\nText: fox\nMood:"


def test_only_the_place_of_the_input_is_filled_and_other_braces_stay():
    prompt = HardPrompt(template='{"text": "{input}", "again": "{input}", "label": {label}}')
    assert prompt.ask("{x}") == '{"text": "{x}", "again": "{x}", "label": {label}}'


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"template": "Text: {text}"}, "{input} is missing"),
        ({"labels": {"up": "good"}}, "one label alone"),
        ({"labels": {"up": "good", "down": " "}}, "needs words"),
        ({"labels": {"up": "good", "down": "good"}}, "same words"),
        ({"temperature": 1}, "Extra inputs"),
    ],
)
def test_a_prompt_that_cannot_work_says_why(wrong, said, tmp_path):
    with pytest.raises(ValidationError, match=said):
        HardPrompt(**wrong)
    (tmp_path / "prompt.json").write_text(HardPrompt().model_dump_json()[:-1] + f', "{next(iter(wrong))}": 1}}')
    assert inspect.describe(tmp_path).problems


def test_the_folder_says_what_it_is_and_the_same_prompt_gives_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        hard_prompt.write(tmp_path / name, MOOD)
    assert hard_prompt.read(tmp_path / "one") == MOOD
    assert (tmp_path / "one/prompt.json").read_bytes() == (tmp_path / "two/prompt.json").read_bytes()
    facts = inspect.describe(tmp_path / "one")
    assert (facts.kind, facts.head, facts.labels, facts.parameters) == (
        "hard_prompt",
        "classes",
        ("up", "down", "flat"),
        0,
    )
    assert facts.problems == []


def test_a_chain_asks_in_the_words_of_its_prompt(folders, tmp_path):
    loaded, plain = chained(folders, tmp_path, MOOD), load([folders["llama"]])
    assert encode_prompt(loaded, "fox") == encode_prompt(plain, MOOD.ask("fox"))
    assert loaded.head == "lm"
    assert loaded.labels == ("up", "down", "flat")
    mine, theirs = (generate(m, [p], max_tokens=8, seed=3) for m, p in ((loaded, "fox"), (plain, MOOD.ask("fox"))))
    assert mine[0].token_ids == theirs[0].token_ids


def test_of_messages_the_last_turn_of_the_user_is_asked(folders, tmp_path):
    loaded, plain = chained(folders, tmp_path, MOOD), load([folders["llama"]])
    turns = [("user", "cat"), ("assistant", "good"), ("user", "fox")]
    messages = [{"role": role, "content": text} for role, text in turns]
    asked = [*messages[:2], {"role": "user", "content": MOOD.ask("fox")}]
    assert encode_prompt(loaded, messages) == encode_prompt(plain, asked)
    assert messages[2]["content"] == "fox"


def test_what_does_not_fit_loses_examples_from_the_front_and_is_counted(folders, tmp_path):
    many = tuple(Example(input=f"the cat number {i}", output="good") for i in range(30))
    prompt = MOOD.model_copy(update={"examples": many, "room": 5})
    loaded = chained(folders, tmp_path, prompt)
    ids = encode_prompt(loaded, "fox")
    assert len(ids) <= loaded.context_length - 5
    assert loaded.shortened == 1
    text = loaded.tokenizer.decode(ids, skip_special_tokens=True)
    kept = text.count("the cat number")
    assert 0 < kept < 30
    assert text == prompt.ask("fox", examples=kept)
    assert "the cat number 29" in text
    one_more = encode_prompt(load([folders["llama"]]), prompt.ask("fox", examples=kept + 1))
    assert len(one_more) > loaded.context_length - 5


def by_hand(loaded, plain, texts: list[str], scoring: str) -> np.ndarray:
    """Each text with each label by itself, through the scoring of completions."""
    hard = loaded.hard_prompt
    found = np.zeros((len(texts), len(hard.labels)))
    for i, text in enumerate(texts):
        for j, words in enumerate(hard.labels.values()):
            count = len(loaded.continuation.encode([hard.answer(words)])[0])
            row = logprobs(plain, [(hard.ask(text), hard.answer(words))])[0][:count]  # EOS is no part of a label
            found[i, j] = sum(row) / (count if scoring == "mean" else 1)
    return np.log(np.exp(found) / np.exp(found).sum(1, keepdims=True))


@pytest.mark.slow
@pytest.mark.parametrize("shape", tiny.SHAPES)
@pytest.mark.parametrize("scoring", ["mean", "sum"])
def test_labels_are_weighed_by_the_likelihood_of_their_words(shape, scoring, folders, tmp_path):
    loaded = chained(folders, tmp_path, MOOD.model_copy(update={"scoring": scoring}), shape)
    found = label_logprobs(loaded, TEXTS)
    expected = by_hand(loaded, load([folders[shape]]), TEXTS, scoring)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(np.exp(found).sum(1), 1)
    np.testing.assert_allclose(label_logprobs(loaded, TEXTS, share_beginning=False), found, atol=1e-5)
    np.testing.assert_allclose(label_logprobs(loaded, TEXTS, batch_size=1), found, atol=1e-5)
    np.testing.assert_array_equal(class_logprobs(loaded, TEXTS), found)


def test_calibration_takes_out_what_is_said_of_inputs_without_content(folders, tmp_path):
    plain = chained(folders, tmp_path, MOOD)
    said = np.exp(label_logprobs(plain, ["N/A", "[MASK]", ""])).mean(0)
    weights = np.exp(label_logprobs(plain, TEXTS)) / said
    calibrated = chained(folders, tmp_path, MOOD.model_copy(update={"calibration": "contextual"}))
    np.testing.assert_allclose(
        np.exp(label_logprobs(calibrated, TEXTS)), weights / weights.sum(1, keepdims=True), atol=1e-5
    )


def test_a_window_that_slides_takes_the_way_that_fits_it(tmp_path):
    folders = {"mistral": tiny.folder(tmp_path / "mistral", "mistral")}
    loaded = chained(folders, tmp_path, MOOD, "mistral")
    expected = by_hand(loaded, load([folders["mistral"]]), TEXTS, "mean")
    np.testing.assert_allclose(label_logprobs(loaded, TEXTS), expected, atol=1e-5)


def test_without_words_for_labels_nothing_can_be_chosen(folders, tmp_path):
    with pytest.raises(ValueError, match="words for labels"):
        label_logprobs(chained(folders, tmp_path, HardPrompt()), TEXTS)
