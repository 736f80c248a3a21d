"""What a new model is made of: its tokenizer, its shape, its dropout; and that a run says how far it is before the first update."""

import pytest
import torch

from training.engine.contract import check_config
from training.engine.dropout import leave_out
from training.engine.messages import Refused
from training.engine.methods.pretrain.config import Config
from training.engine.methods.pretrain.train import learn_tokenizer, new_model

from . import runs
from .tiny import causal_lm

TUNES = ["X: 1\nT:A\nK:G\nGAB dBA|GAB d2:|\n", "X: 2\nT:B\nK:D\nFED FED|dcB A3:|\n"] * 20
ODD = 'X: 9\n"Am"ü 🎵\t<|user|>  zz\n\n\nq'


def ids(problems) -> set[str]:
    return {problem.id for problem in problems}


@pytest.mark.parametrize("across_words", [False, True])
def test_every_text_comes_back_as_it_was(across_words):
    tokenizer = learn_tokenizer(TUNES, 320, across_words=across_words)
    for text in [*TUNES[:2], ODD, "", "\n", "\r\n x"]:
        assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text


def test_tokens_reach_across_words_when_asked_and_never_across_lines():
    within, across = (learn_tokenizer(TUNES, 340, across_words=each) for each in (False, True))
    assert len(across(TUNES[0])["input_ids"]) < len(within(TUNES[0])["input_ids"])
    pieces = [across.decode([number]) for number in range(len(across))]
    assert any("|" in piece and "A" in piece for piece in pieces)
    assert not any("\n" in piece.rstrip("\n") for piece in pieces)


def test_special_tokens_of_ones_own_are_never_taken_apart_and_teach_nothing():
    tokenizer = learn_tokenizer(["<|user|>hi<|user|>"] * 50, 300, special=["<|user|>"])
    number = tokenizer.convert_tokens_to_ids("<|user|>")
    assert tokenizer("a<|user|>b")["input_ids"].count(number) == 1
    assert not any("use" in tokenizer.decode([i]) for i in range(len(tokenizer)) if i != number)
    assert number in tokenizer.all_special_ids


def test_the_order_of_the_corpus_is_streamed(tmp_path):
    """What is read is gone: an iterator that can be gone through once is enough."""
    assert learn_tokenizer(iter(TUNES), 300).get_vocab() == learn_tokenizer(TUNES, 300).get_vocab()


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "qwen2", "qwen3"])
def test_a_size_and_the_full_config_of_its_model_make_the_same_model(architecture):
    tokenizer = learn_tokenizer(TUNES, 300)
    config = Config(**{**runs.TINY, "architecture": architecture})
    torch.manual_seed(0)
    model = new_model(config, tokenizer)
    torch.manual_seed(0)
    again = new_model(Config(full_config=model.config.to_diff_dict()), tokenizer)
    assert type(again) is type(model)
    assert model.config.vocab_size == len(tokenizer)
    for name, weights in model.state_dict().items():
        assert torch.equal(weights, again.state_dict()[name])


@pytest.mark.parametrize(
    ("full", "why"),
    [
        ({"model_type": "llama", "hiden_size": 64}, "hiden_size"),
        ({"model_type": "llama", "hidden_size": "wide"}, "hidden_size"),
        ({"model_type": "llama", "hidden_size": 30, "num_attention_heads": 4}, "30"),
        ({"model_type": "gpt2", "n_embd": 10, "n_head": 3}, "divisible"),
    ],
)
def test_a_full_config_that_makes_no_model_is_refused_with_the_reason(full, why):
    config = Config(full_config=full)
    assert config.problems(set()) == []
    with pytest.raises(Refused) as refused:
        new_model(config, learn_tokenizer(TUNES, 300))
    assert why in str(refused.value.problems[0])


def test_settings_that_contradict_each_other_are_refused_together():
    values = {
        "full_config": {"model_type": "bert", "auto_map": {}},
        "size": "nano",
        "special_tokens": ["a", "a", " b"],
    }
    config, problems = check_config("pretrain", values)
    assert problems == []
    assert ids(config.problems(set())) == {
        "size-and-full-config", "full-config-type", "full-config-key", "special-token-twice", "special-token-space",
    }  # fmt: skip
    assert ids(Config(special_tokens=["<|end|>"]).problems(set())) == {"special-token-twice"}
    assert ids(Config(special_tokens=["x"]).problems({"base"})) == {"size-of-base"}
    assert ids(Config(vocab_size=300, special_tokens=[f"<{i}>" for i in range(60)]).problems(set())) == {
        "small-vocabulary"
    }


@pytest.mark.parametrize("shape", ["llama", "gpt2", "qwen2"])
def test_dropout_is_on_in_training_alone_and_is_not_saved(shape):
    model = causal_lm(shape)
    tokens = torch.arange(3, 23)[None]
    before = model(tokens).logits
    leave_out(model, 0.5)
    assert torch.equal(model(tokens).logits, before)
    model.train()
    assert not torch.allclose(model(tokens).logits, model(tokens).logits)
    torch.manual_seed(1)
    once = model(tokens).logits
    torch.manual_seed(1)
    assert torch.equal(model(tokens).logits, once)
    assert "dropout" not in {name.rpartition(".")[2] for name in model.state_dict()}


@pytest.mark.slow
def test_a_run_says_how_far_it_is_before_the_first_update_and_takes_a_full_config(tmp_path, corpus):
    full = {
        "model_type": "llama", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2,
        "max_position_embeddings": 64, "vocab_size": 310,
    }  # fmt: skip
    config = {"full_config": full, "special_tokens": ["<|user|>"], "dropout": 0.1, "max_steps": 2, "batch_size": 2}
    folder = runs.write_run(tmp_path / "run", "pretrain", config, {"dataset": corpus})
    assert runs.go(folder) == 0
    phases = [event["message"]["id"] for event in runs.events(folder) if event.get("kind") == "phase"]
    assert phases == ["learning-tokenizer", "encoding", "encoding-heldout"]
