"""Scores against slow twins: one text at a time, no padding."""

import math

import pytest
import torch

from models_registry.lm.chain import load
from models_registry.lm.score import documents_loss, logprobs
from models_registry.lm.text import encode_documents, encode_pairs

from . import tiny

PAIRS = [
    ("The", " cat met the dog."),
    ("Where is the fox? It", " sleeps"),
    ("", "1 2 3"),
    ("Kucing itu", " bertemu anjing."),
]


@pytest.fixture(params=tiny.SHAPES)
def loaded(request, folders):
    return load([folders[request.param]])


def slow_logprobs(loaded, prompt: list[int], completion: list[int]) -> list[float]:
    with torch.no_grad():
        found = loaded.model(input_ids=torch.tensor([prompt + completion])).logits[0].log_softmax(-1)
    return [found[len(prompt) + i - 1, token].item() for i, token in enumerate(completion)]


def test_logprobs_of_completions_are_those_of_each_alone(loaded):
    for row, (prompt, completion) in zip(logprobs(loaded, PAIRS), encode_pairs(loaded, PAIRS), strict=True):
        assert row == pytest.approx(slow_logprobs(loaded, prompt, completion), abs=1e-4)


def test_the_loss_of_documents_counts_every_token_but_the_first(loaded):
    texts = tiny.SENTENCES
    documents = encode_documents(loaded, texts)
    nats = -sum(sum(slow_logprobs(loaded, ids[:1], ids[1:])) for ids in documents)
    found = documents_loss(loaded, texts, batch_size=3)
    assert found.tokens == sum(len(ids) - 1 for ids in documents)
    assert found.loss == pytest.approx(nats / found.tokens, abs=1e-4)
    assert found.perplexity == pytest.approx(math.exp(nats / found.tokens), rel=1e-3)
    assert found.bits_per_byte == pytest.approx(nats / math.log(2) / len("".join(texts).encode()), abs=1e-4)


def test_a_document_longer_than_the_context_is_scored_whole(loaded):
    found = documents_loss(loaded, ["The cat met the dog. " * 60])
    [ids] = encode_documents(loaded, ["The cat met the dog. " * 60])
    assert len(ids) > loaded.context_length
    pieces = -(-len(ids) // loaded.context_length)
    assert found.tokens == len(ids) - pieces


@pytest.mark.slow
def test_the_published_loss_of_the_real_model_is_near(real_data):
    """1.2968 nats a token on TinyStories' own validation split. This is another sample, and its stories end with an EOS that the model was
    never shown (about 0.1 nats a token); an error in tokens or positions would cost nats, not tenths."""
    loaded = load([real_data / "models" / "stories260K"])
    text = (real_data / "data" / "tinystories" / "tinystories_sample.txt").read_text()
    stories = [story.strip() for story in text.split("<|endoftext|>")[:50]]
    assert documents_loss(loaded, stories).loss == pytest.approx(1.2968, abs=0.3)
