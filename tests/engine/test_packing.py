"""Packing changes the layout and not the result: every number agrees with each text on its own."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from training.engine import packing
from training.engine.packing import Corpus, Text

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


@given(st.lists(st.integers(1, 20), min_size=1, max_size=60), st.integers(20, 40))
def test_every_piece_has_one_place_and_no_row_is_overfull(lengths, room):
    rows = packing.best_fit(lengths, room)
    assert sorted(piece for row in rows for piece in row) == list(range(len(lengths)))
    filled = [sum(lengths[piece] for piece in row) for row in rows]
    assert max(filled) <= room
    # Best fit opens a row only when no other takes the piece: two rows never fit into one.
    assert all(a + b > room for i, a in enumerate(filled) for b in filled[i + 1 :])


def test_documents_fill_their_rows_almost_wholly():
    lengths = np.random.default_rng(0).integers(20, 256, 2000)
    rows = packing.best_fit(lengths, 256)
    assert lengths.sum() / (256 * len(rows)) > 0.97


@pytest.mark.parametrize("shape", ["llama", "gpt2", "qwen2", "mistral"])
@pytest.mark.parametrize("all_logits", [False, True])
def test_the_loss_of_packed_rows_is_that_of_the_texts_alone(shape, all_logits, tmp_path):
    model = causal_lm(shape)
    some = [*texts(), Text([5, 6, 7, 8, 9, 10], prompt=4), Text([11] * 9, prompt=1)]
    corpus = Corpus.build(tmp_path, "train", some, 64)
    rows = packing.batch(corpus, packing.best_fit(corpus.lengths, 40))
    assert rows.ids.shape[0] < len(some)
    with torch.no_grad():
        loss = packing.summed_loss(model, rows, all_logits=all_logits)
    assert loss.item() == pytest.approx(slow_loss(model, some), rel=1e-5)
    assert rows.weight == corpus.targets == sum(len(text.ids) - text.prompt for text in some)


def test_a_long_text_becomes_pieces_that_lose_no_target(tmp_path):
    ids = list(range(3, 95))
    corpus = Corpus.build(tmp_path, "train", [Text(ids)], 20)
    assert corpus.lengths.tolist() == [20, 20, 20, 20, 11]
    rows = packing.batch(corpus, [[piece] for piece in range(5)])
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
    rows = packing.batch(corpus, [[0, 1]])
    assert rows.targets[0].tolist() == [-100] * 4 + list(range(15, 23)) + [-100] + [12, 13, 14, 15]


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


@pytest.mark.parametrize("shape", ["llama", "gpt2", "qwen2", "mistral"])
def test_these_architectures_keep_texts_apart(shape):
    assert packing.separates(causal_lm(shape), 64)


def test_a_model_that_looks_across_the_border_is_found_out(monkeypatch):
    model = causal_lm("llama")
    forward = model.base_model.forward

    def careless(*, position_ids=None, **inputs):
        """Takes the positions and sees the whole row: what a model does that builds no mask from them."""
        length = inputs["input_ids"].shape[1]
        mask = torch.ones(1, 1, length, length, dtype=torch.bool).tril()
        return forward(position_ids=position_ids, attention_mask=mask, **inputs)

    monkeypatch.setattr(model.base_model, "forward", careless)
    assert not packing.separates(model, 64)


def test_logits_that_are_more_than_the_output_layer_are_found_out(monkeypatch):
    model = causal_lm("llama")
    ids = torch.arange(3, 9)[None]
    assert packing.plain_output(model, ids)
    forward = model.forward

    def scaled(**inputs):
        result = forward(**inputs)
        result.logits = result.logits * 0.5
        return result

    monkeypatch.setattr(model, "forward", scaled)
    assert not packing.plain_output(model, ids)
