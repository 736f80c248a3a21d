"""Writing text: deterministic, the same alone and in company, honest about where a text ends."""

import numpy as np
import pytest
import torch

from models_registry.lm.chain import load
from models_registry.lm.generate import choose, generate, generate_ids, stream
from models_registry.lm.score import completion_logprobs, padded
from models_registry.lm.text import encode_prompt

from . import tiny

PROMPTS = ["The", "Where is the fox? It sleeps", "Kucing itu bertemu", "1 2"]


@pytest.fixture(params=tiny.SHAPES)
def loaded(request, folders):
    return load([folders[request.param]])


def slow_greedy(loaded, ids: list[int], count: int) -> list[int]:
    """One whole forward for every token: no cache, no padding, no batch."""
    written: list[int] = []
    for _ in range(count):
        with torch.no_grad():
            token = int(loaded.model(input_ids=torch.tensor([ids + written])).logits[0, -1].argmax())
        written.append(token)
        if token in loaded.eos_ids:
            break
    return written


def test_greedy_in_a_batch_is_greedy_alone_without_a_cache(loaded):
    outputs = generate(loaded, PROMPTS, max_tokens=24, temperature=0)
    for prompt, output in zip(PROMPTS, outputs, strict=True):
        assert output.token_ids == slow_greedy(loaded, encode_prompt(loaded, prompt), 24)


@pytest.mark.slow
def test_sampling_does_not_depend_on_the_company(loaded):
    together = generate(loaded, PROMPTS, max_tokens=20, seed=7, samples=3, top_p=0.95)
    apart = [
        output
        for index, prompt in enumerate(PROMPTS)
        for output in generate(loaded, [prompt], max_tokens=20, seed=7, samples=3, top_p=0.95, first_index=index)
    ]
    small = generate(loaded, PROMPTS, max_tokens=20, seed=7, samples=3, top_p=0.95, batch_size=3)
    assert [o.token_ids for o in together] == [o.token_ids for o in apart] == [o.token_ids for o in small]
    assert [(o.prompt_index, o.sample_index) for o in together] == [(i, j) for i in range(4) for j in range(3)]


def test_an_end_that_the_model_has_no_embedding_of_is_none(tmp_path):
    """GPT-2's config says 50256 where nobody names another, also of a small vocabulary."""
    loaded = load([tiny.folder(tmp_path / "gpt2", "gpt2", bos_token_id=50256, eos_token_id=50256)])
    assert loaded.eos_ids == tuple(sorted({loaded.tokenizer.bos_token_id, loaded.tokenizer.eos_token_id}))
    loaded.tokenizer.bos_token = loaded.tokenizer.eos_token = None
    del loaded.eos_ids  # as found before
    assert loaded.eos_ids == ()
    outputs = generate(loaded, PROMPTS, max_tokens=3)  # prompts of unequal length are padded
    assert [len(output.token_ids) for output in outputs] == [3] * 4


def test_another_seed_another_sample_another_text(loaded):
    texts = [
        tuple(output.token_ids)
        for seed in (1, 2)
        for output in generate(loaded, ["The", "The"], max_tokens=16, seed=seed, samples=2)
    ]
    assert len(set(texts)) == 8


def test_logprobs_are_those_of_a_separate_forward(loaded):
    outputs = generate(loaded, PROMPTS, max_tokens=16, temperature=0.7, seed=3)
    prompts = [encode_prompt(loaded, prompt) for prompt in PROMPTS]
    batch = padded(prompts, [output.token_ids for output in outputs], loaded.device)
    with torch.no_grad():
        expected = completion_logprobs(loaded.model, batch, temperature=0.7)
    for row, output in zip(expected, outputs, strict=True):
        torch.testing.assert_close(torch.tensor(output.logprobs), row[: len(output.token_ids)], rtol=1e-4, atol=1e-4)


def test_a_text_ends_at_eos_also_when_eos_is_the_pad_token(folders):
    loaded = load([folders["gpt2"]])
    loaded.tokenizer.pad_token = loaded.tokenizer.eos_token
    outputs = generate(loaded, PROMPTS * 8, max_tokens=60, seed=1, temperature=2.0)
    ended = [output for output in outputs if output.finish_reason == "eos"]
    assert ended, "with a temperature of 2 some of 32 texts of 300 tokens end"
    for output in outputs:
        assert (output.token_ids[-1] in loaded.eos_ids) == (output.finish_reason == "eos")
        assert not set(output.token_ids[:-1]) & set(loaded.eos_ids)
        assert loaded.tokenizer.eos_token not in output.text


def test_a_model_may_end_at_once(folders):
    loaded = load([folders["llama"]])
    with torch.no_grad():  # EOS wins whatever was before
        loaded.model.lm_head.weight.zero_()
        loaded.model.lm_head.bias = torch.nn.Parameter(torch.zeros(loaded.model.config.vocab_size))
        loaded.model.lm_head.bias[loaded.tokenizer.eos_token_id] = 50.0
    [output] = generate(loaded, ["The"], max_tokens=10, seed=1)
    assert (output.token_ids, output.text, output.finish_reason) == ([loaded.tokenizer.eos_token_id], "", "eos")


def test_stop_texts_end_a_text_before_them(loaded):
    [whole] = generate(loaded, ["The"], max_tokens=30, seed=5)
    stop = whole.text[10:13]
    [cut] = generate(loaded, ["The"], max_tokens=30, seed=5, stop=[stop])
    assert cut.text == whole.text[: whole.text.index(stop)]
    assert cut.finish_reason == "stop"
    assert "".join(stream(loaded, "The", max_tokens=30, seed=5, stop=[stop])) == cut.text


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_a_stream_is_the_same_text_in_pieces(loaded, seed):
    [whole] = generate(loaded, ["Kucing itu"], max_tokens=40, seed=seed, temperature=1.5)
    pieces = list(stream(loaded, "Kucing itu", max_tokens=40, seed=seed, temperature=1.5))
    assert "".join(pieces) == whole.text
    assert len(pieces) > len(whole.token_ids) / 4


def test_a_full_context_ends_a_text_and_a_longer_prompt_is_refused(loaded):
    ids = list(range(5, 125))
    [output] = generate_ids(loaded, [ids], max_tokens=50, seed=1, temperature=0.3)
    assert len(output.token_ids) <= 8
    with pytest.raises(ValueError, match="fills the model's context of 128"):
        generate_ids(loaded, [[5] * 128], max_tokens=1)


@pytest.mark.parametrize(
    "wrong", [{"temperature": -1}, {"top_p": 0}, {"top_p": 1.1}, {"samples": 0}, {"max_tokens": 0}]
)
def test_arguments_out_of_range_are_refused(folders, wrong):
    with pytest.raises(ValueError, match="must"):
        generate(load([folders["llama"]]), ["The"], **{"max_tokens": 2, **wrong})


def test_draws_follow_the_probabilities():
    probabilities = torch.tensor([0.5, 0.0, 0.3, 0.2])
    noise = (torch.arange(1000) + 0.5) / 1000
    tokens, logprobs = choose(probabilities.log().expand(1000, 4), 1.0, 1.0, noise)
    assert torch.bincount(tokens, minlength=4).tolist() == [500, 0, 300, 200]
    torch.testing.assert_close(logprobs, probabilities.log()[tokens])
    tokens, _ = choose(probabilities.log().expand(1000, 4), 1.0, 0.75, noise)
    assert torch.bincount(tokens, minlength=4).tolist() == [625, 0, 375, 0]
    tokens, _ = choose(probabilities.log().expand(1000, 4), 0.0, 1.0, noise)
    assert set(tokens.tolist()) == {0}


def test_the_last_draw_never_falls_off_the_end():
    logits = torch.cat([torch.randn(4, 50_000), torch.full((4, 10), -torch.inf)], 1)
    tokens, logprobs = choose(logits, 1.0, 1.0, torch.full((4,), np.nextafter(1, 0, dtype=np.float32)))
    assert (tokens < 50_000).all()
    assert logprobs.isfinite().all()


@pytest.mark.slow
def test_the_real_model_ends_a_story_where_it_would_begin_another(real_data):
    loaded = load([real_data / "models" / "stories260K"])
    outputs = generate(loaded, ["Once upon a time"] * 4, max_tokens=400, seed=1)
    ended = [output for output in outputs if output.finish_reason == "eos"]
    assert ended
    for output in ended:
        assert output.token_ids[-1] == loaded.tokenizer.bos_token_id
        assert output.text.rstrip()[-1] in '.!"'


def test_greedy_text_of_the_real_model(real_data):
    loaded = load([real_data / "models" / "stories260K"])
    [output] = generate(loaded, [""], max_tokens=60, temperature=0)
    assert output.text.startswith(
        "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red "
    )
