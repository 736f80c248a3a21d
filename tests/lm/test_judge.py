"""Scores of many outputs, each prompt computed once, against score.rewards, which computes each text alone."""

import pytest
import torch

from models_registry.lm import judge as judging
from models_registry.lm.chain import load
from models_registry.lm.heads import Scale, into_reward, write_scale
from models_registry.lm.judge import fastest_way, judge, pieces, trace
from models_registry.lm.packed import Group
from models_registry.lm.score import rewards
from models_registry.lm.text import encode_completions, encode_prompt
from models_registry.lm.tuning.apply import apply, save, trained_parameters
from models_registry.lm.tuning.config import TuneLora, TunePrefix, TuneSoftPrompt

from . import tiny

LONG = "The cat met the dog. " * 60
ROWS = [
    ("Where is the fox?", [" It sleeps", "", " naïve — fox!"]),
    ("", ["1 2 3"]),
    (LONG, [" The cat", LONG]),
    ([{"role": "user", "content": "Kucing?"}], ["Anjing.", "The dog met the cat."]),
]
PAIRS = [(prompt, text) for prompt, texts in ROWS for text in texts]


@pytest.fixture(params=tiny.SHAPES)
def reward(request, folders, tmp_path):
    """A reward model with a head of some size and a scale that is not the identity."""
    loaded = load([folders[request.param]])
    into_reward(loaded, seed=3)
    with torch.no_grad():
        loaded.model.score.weight.mul_(20)
    save(loaded, tmp_path)
    write_scale(tmp_path, Scale(0.5, 2.0))
    return load([tmp_path])


def in_order(batches):
    return sorted((one for batch in batches for one in batch), key=lambda one: (one.row, one.place))


def test_scores_are_those_of_each_text_alone_whatever_is_cut(reward):
    found = in_order(judge(reward, ROWS))
    assert [one.value for one in found] == pytest.approx(rewards(reward, PAIRS), abs=1e-4)
    assert [one.cut for one in found] == [False, False, False, False, True, True, False, False]
    assert fastest_way(reward, [Group([1], [[2], [3]])]) == "flat"


@pytest.mark.parametrize("tune", [TuneLora(rank=2), TunePrefix(length=4), TuneSoftPrompt(length=4, init="random")])
def test_adapters_and_virtual_tokens_count(folders, tmp_path, tune):
    """Their links lie in one loaded model; each chain is tried out by itself."""
    loaded = load([folders["llama"]])
    into_reward(loaded, seed=3)
    apply(loaded, tune)
    with torch.no_grad():
        for parameter in trained_parameters(loaded).values():
            parameter.normal_(std=0.3)
    save(loaded, tmp_path)
    chain = load([folders["llama"], tmp_path])
    assert [one.value for one in in_order(judge(chain, ROWS))] == pytest.approx(rewards(chain, PAIRS), abs=1e-4)
    assert [one.value for one in in_order(trace(chain, ROWS))] == pytest.approx(rewards(chain, PAIRS), abs=1e-4)


def test_many_small_batches_say_the_same(reward, monkeypatch):
    monkeypatch.setattr(judging, "TOKENS_AT_ONCE", 12)
    assert [one.value for one in in_order(judge(reward, ROWS))] == pytest.approx(rewards(reward, PAIRS), abs=1e-4)


def test_the_trace_ends_with_the_score_and_says_that_of_each_beginning(reward):
    found = in_order(trace(reward, ROWS))
    assert [one.value for one in found] == pytest.approx(rewards(reward, PAIRS), abs=1e-4)
    for one in found:
        assert one.trace[-1].score == one.value
        text = ROWS[one.row][1][one.place]
        assert one.cut or "".join(point.text for point in one.trace) == text
    [prompt, [text, *_others]] = ROWS[0]
    ids = encode_completions(reward, [text], end=False)[0]
    start = encode_prompt(reward, prompt)
    for place, point in enumerate(found[0].trace[: len(ids)]):
        rows = torch.tensor([[*start, *ids[: place + 1]]])
        with torch.no_grad():
            alone = reward.model.score(reward.model.base_model(input_ids=rows).last_hidden_state[0, -1])
        assert point.score == pytest.approx((float(alone) - 0.5) / 2, abs=1e-4)


def test_what_tokens_add_is_the_text(reward):
    for text in ["naïve — fox", "  tabs\t\n", "日本語 🦊"]:
        [ids] = encode_completions(reward, [text], end=False)
        assert "".join(pieces(reward, ids)) == text


def test_a_sliding_window_is_found_out_where_texts_are_longer_than_it(folders, tmp_path):
    """At first the texts fit into the window, and sharing a prompt is right; later they do not."""
    from transformers import AutoTokenizer, MistralConfig, MistralForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(folders["llama"])
    torch.manual_seed(5)
    config = MistralConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, sliding_window=24,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    MistralForCausalLM(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded = load([tmp_path])
    into_reward(loaded, seed=3)
    rows = [("The cat", [" met", " the dog"]), ("The fox " * 20, [" sleeps", " met the cat and the dog"])]
    pairs = [(prompt, text) for prompt, texts in rows for text in texts]
    for some, alone in ((rows[:1], pairs[:2]), (rows, pairs)):
        found = [one.value for one in in_order(judge(loaded, some))]
        assert found == pytest.approx(rewards(loaded, alone), abs=1e-4)
    assert fastest_way(loaded, [Group([1] * 100, [[2]])]) == "separate"
