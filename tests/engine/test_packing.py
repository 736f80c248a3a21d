"""The layout of a batch changes how it is computed and not the result: every number agrees with each text on its own."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from models_registry.lm.apart import texts_apart
from training.engine import packing
from training.engine.language import ByTokens
from training.engine.packing import Corpus, Text, Way

from .tiny import VOCABULARY, causal_lm


def texts(seed: int = 0, count: int = 12, longest: int = 30) -> list[Text]:
    random = np.random.default_rng(seed)
    return [
        Text(random.integers(3, VOCABULARY, random.integers(2, longest)).tolist(), prompt=1, bytes=7)
        for _ in range(count)
    ]


def slow_loss(model, some: list[Text]) -> float:
    """Text by text, its prompt left out."""
    total = 0.0
    with torch.no_grad():
        for text in some:
            ids = torch.tensor([list(text.ids)])
            logits = model(input_ids=ids[:, :-1]).logits[0]
            total += cross_entropy(logits[text.prompt - 1 :], ids[0, text.prompt :], reduction="sum").item()
    return total


SHAPES = ["llama", "gpt2", "qwen2", "mistral"]
WAYS = [Way(together, short) for together in (False, True) for short in (False, True)]


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES[:3])
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_the_loss_of_a_batch_is_that_of_the_texts_alone(shape, way, tmp_path):
    model = causal_lm(shape)
    some = [*texts(), Text([5, 6, 7, 8, 9, 10], prompt=4), Text([11] * 9, prompt=1)]
    corpus = Corpus.build(tmp_path, "train", some, 64)
    rows = packing.batch(corpus, np.arange(len(some)))
    assert 1 < len(rows.groups) < len(some)
    with torch.no_grad():
        loss = packing.summed_loss(model, rows, way)
    assert loss.item() == pytest.approx(slow_loss(model, some), rel=1e-5)
    assert rows.weight == corpus.targets == sum(len(text.ids) - text.prompt for text in some)
    assert rows.tokens == sum(len(text.ids) - 1 for text in some)


@pytest.mark.parametrize("shape", SHAPES[:3])
def test_the_gradients_are_those_of_the_texts_alone(shape, tmp_path):
    model = causal_lm(shape)
    corpus = Corpus.build(tmp_path, "train", texts(), 64)
    gradients = []
    for way in (Way(together=True, short=True), Way()):
        model.zero_grad()
        for pieces in [np.arange(12)] if way.together else np.arange(12)[:, None]:
            packing.summed_loss(model, packing.batch(corpus, pieces), way).backward()
        gradients.append({name: p.grad.clone() for name, p in model.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], rtol=1e-4, atol=1e-3, msg=name)


@pytest.mark.slow
@given(st.lists(st.integers(1, 300), min_size=1, max_size=80))
def test_groups_waste_little_and_lose_nothing(lengths):
    counts = np.array(lengths, dtype=np.int64)
    starts = counts.cumsum() - counts
    corpus = Corpus(np.arange(counts.sum() + 1), starts, counts, np.zeros_like(counts), 0, 0, 0)
    rows = packing.batch(corpus, np.arange(len(lengths)))
    assert sorted(rows.targets[rows.targets != packing.IGNORED].tolist()) == list(range(1, sum(lengths) + 1))
    places = sum(count * length for count, length in rows.groups)
    assert len(rows.ids) == len(rows.positions) == places
    assert places <= sum(max(length / packing.LIKE, length + packing.SLACK) for length in lengths)


def test_every_epoch_goes_through_all_pieces_in_updates_of_like_size():
    lengths = np.random.default_rng(0).integers(1, 65, 500)
    pieces_of = ByTokens(lengths, 640, seed=3)
    updates = [pieces_of(step) for step in range(1, 2 * pieces_of.updates + 1)]
    first, second = updates[: pieces_of.updates], updates[pieces_of.updates :]
    assert sorted(np.concatenate(first)) == sorted(np.concatenate(second)) == list(range(500))
    assert np.concatenate(first).tolist() != np.concatenate(second).tolist()
    assert all(abs(lengths[pieces].sum() - 640) <= 2 * 64 for pieces in updates)
    again = ByTokens(lengths, 640, seed=3)
    assert [again(step).tolist() for step in (30, 2)] == [updates[29].tolist(), updates[1].tolist()]


@pytest.mark.slow
@given(st.lists(st.integers(1, 16), min_size=1, max_size=60), st.integers(16, 64))
def test_no_update_is_empty(lengths, tokens):
    pieces_of = ByTokens(np.array(lengths), tokens, seed=0)
    assert all(len(pieces_of(step)) for step in range(1, pieces_of.updates + 1))


def test_a_long_text_becomes_pieces_that_lose_no_target(tmp_path):
    ids = list(range(3, 95))
    corpus = Corpus.build(tmp_path, "train", [Text(ids)], 20)
    assert corpus.lengths.tolist() == [20, 20, 20, 20, 11]
    rows = packing.batch(corpus, np.arange(5))
    assert rows.targets[rows.targets != packing.IGNORED].tolist() == ids[1:]
    assert corpus.first_pieces.tolist() == [0]


def test_an_example_that_is_too_long_loses_its_end_and_one_that_is_all_prompt_is_left_out(tmp_path):
    examples = [
        Text(list(range(10, 40)), prompt=5, splits=False),
        Text(list(range(10, 40)), prompt=29, splits=False),
        Text(list(range(10, 16)), prompt=2, splits=False),
    ]
    corpus = Corpus.build(tmp_path, "train", examples, 12)
    assert corpus.cut == 2
    assert (corpus.lengths.tolist(), corpus.skips.tolist()) == ([12, 5], [4, 1])
    rows = packing.batch(corpus, np.arange(2))
    assert rows.targets.tolist() == [-100] * 4 + list(range(15, 23)) + [-100] + [12, 13, 14, 15]


def test_a_corpus_is_found_again_and_a_build_that_was_killed_is_not(tmp_path: Path):
    built = Corpus.build(tmp_path, "train", texts(), 16)
    found = Corpus.open(tmp_path, "train")
    assert found.tokens.tolist() == built.tokens.tolist()
    assert (found.texts, found.bytes) == (12, 12 * 7)
    assert len(found.first_pieces) == 12

    def breaks():
        yield from texts(count=3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Corpus.build(tmp_path, "heldout", breaks(), 16)
    with pytest.raises(FileNotFoundError):
        Corpus.open(tmp_path, "heldout")


def test_an_empty_corpus_is_empty(tmp_path):
    corpus = Corpus.build(tmp_path, "train", [], 16)
    assert (len(corpus.lengths), corpus.targets, len(corpus.first_pieces)) == (0, 0, 0)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_probe_finds_the_fastest_way_that_is_right(shape):
    """Mistral's sliding window of 8 is shorter than the texts: it goes group by group, where its own mask holds."""
    assert packing.probe(causal_lm(shape), 64) == Way(together=shape != "mistral", short=True)


def test_a_window_longer_than_every_text_is_no_hindrance():
    assert packing.probe(causal_lm("mistral", sliding_window=64), 64).together


def test_a_window_beyond_what_a_probe_computes_is_known_of():
    """Texts of 700 tokens reach past a window of 600, and a probe looks at 512."""
    model = causal_lm("mistral", sliding_window=600, max_position_embeddings=1024, num_hidden_layers=1)
    assert packing.probe(model, 600).together
    way = packing.probe(model, 700)
    tokens = np.arange(701) * 7 % VOCABULARY
    rows = packing.batch(
        Corpus(tokens, np.array([0]), np.array([700]), np.zeros(1, dtype=np.int64), 1, 0, 0), np.array([0])
    )
    with torch.no_grad():
        expected = model.base_model(torch.from_numpy(tokens[:-1])[None]).last_hidden_state[0]
        assert torch.allclose(packing.states(model, rows, way), expected, atol=1e-5)


def test_a_model_that_brings_its_own_attention_is_found_out(monkeypatch):
    model = causal_lm("llama")
    forward = model.base_model.forward

    def careless(*, position_ids=None, attention_mask=None, **inputs):
        """Takes the positions and sees the whole row, whatever attention is asked for."""
        model.config._attn_implementation = "sdpa"
        length = inputs["input_ids"].shape[1]
        mask = torch.ones(1, 1, length, length, dtype=torch.bool).tril()
        return forward(position_ids=position_ids, attention_mask=mask, **inputs)

    monkeypatch.setattr(model.base_model, "forward", careless)
    assert not packing.probe(model, 64).together


def test_logits_that_are_more_than_the_output_layer_are_found_out(monkeypatch):
    model = causal_lm("llama")
    forward = model.forward

    def scaled(**inputs):
        result = forward(**inputs)
        result.logits = result.logits * 0.5
        return result

    monkeypatch.setattr(model, "forward", scaled)
    assert packing.probe(model, 64) == Way(together=True, short=False)


def test_the_attention_is_put_back():
    model = causal_lm("llama")
    before = model.config._attn_implementation
    with texts_apart(model, [(1, 4)]):
        assert model.config._attn_implementation != before
    assert model.config._attn_implementation == before
