"""Soft prompts and prefixes: where they start, what callers see of them, and different ones for the rows of one batch."""

import numpy as np
import pytest
import torch
from peft import PeftModel, PrefixTuningConfig, PromptEncoderConfig, get_peft_model
from transformers import AutoModelForCausalLM, MistralConfig

from models_registry.lm import leading
from models_registry.lm.chain import add_adapter, load, use, using
from models_registry.lm.generate import generate, generate_ids, stream
from models_registry.lm.heads import into_reward
from models_registry.lm.packed import Group, probe, scores
from models_registry.lm.score import completion_logprobs, padded
from models_registry.lm.soft_prompts import commonest, rows, start
from models_registry.lm.text import encode_pairs
from models_registry.lm.tuning.apply import apply, save, trained_parameters
from models_registry.lm.tuning.config import TuneLora, TunePrefix, TuneSoftPrompt
from tests.engine.tiny import causal_lm
from training.engine import packing

from . import tiny
from .test_tuning import shake

PROMPTS = ["The", "Where is the fox? It sleeps", "Kucing itu bertemu", "1 2", "The cat"]
LENGTHS = {"short": 2, "long": 7, "middle": 4}


@pytest.fixture(scope="module")
def prompts(folders, tmp_path_factory) -> dict:
    """Three soft prompts of different lengths for each architecture."""
    saved = {}
    for shape in tiny.SHAPES:
        for number, (name, length) in enumerate(LENGTHS.items()):
            loaded = load([folders[shape]], trainable=TuneSoftPrompt(length=length, init="random"))
            shake(loaded, seed=number, std=1.0)
            saved[shape, name] = tmp_path_factory.mktemp("prompts") / name
            save(loaded, saved[shape, name])
    return saved


@pytest.fixture(params=tiny.SHAPES)
def served(request, folders, prompts):
    """One model with three soft prompts over it, none of them on."""
    loaded = load([folders[request.param]])
    for name in LENGTHS:
        add_adapter(loaded, prompts[request.param, name], name)
    return loaded


def embeddings(loaded, ids) -> torch.Tensor:
    return loaded.model.get_input_embeddings()(torch.tensor(ids)).detach()


def test_a_start_at_a_text_is_that_text(folders):
    """Put in front of a text, its embeddings give what its tokens give."""
    loaded = load([folders["llama"]])
    first = loaded.tokenizer("Where is", add_special_tokens=False)["input_ids"]
    ids = loaded.tokenizer(" the fox?", add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        expected = loaded.model(input_ids=torch.tensor([first + ids])).logits[0, len(first) :]
    apply(loaded, TuneSoftPrompt(length=len(first), init="text", text="Where is"))
    with torch.no_grad():
        found = loaded.model(input_ids=torch.tensor([ids])).logits[0]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", tiny.SHAPES)
def test_a_prefix_starts_as_what_tokens_of_the_vocabulary_give(shape, folders):
    loaded = load([folders[shape]])
    ids = loaded.tokenizer(" the fox?", add_special_tokens=False)["input_ids"]
    common = [loaded.tokenizer(" cat", add_special_tokens=False)["input_ids"][-1]]
    with torch.no_grad():
        expected = loaded.model(input_ids=torch.tensor([common * 3 + ids])).logits[0, 3:]
    apply(loaded, TunePrefix(length=3), common=common)
    with torch.no_grad():
        found = loaded.model(input_ids=torch.tensor([ids])).logits[0]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_where_a_soft_prompt_starts(folders):
    loaded = load([folders["llama"]])
    tokens = loaded.tokenizer("zebra", add_special_tokens=False)["input_ids"]
    assert len(tokens) > 1
    random = start(loaded, TuneSoftPrompt(length=500, init="random"))
    assert random.abs().max() <= 0.5
    assert random.std() == pytest.approx(12**-0.5, rel=0.05)
    text = start(loaded, TuneSoftPrompt(length=2 * len(tokens) + 1, init="text", text="zebra"))
    torch.testing.assert_close(text, embeddings(loaded, tokens * 2 + tokens[:1]))
    common = [5, 9, 11]
    labels = start(loaded, TuneSoftPrompt(length=4, init="labels", labels=["zebra", "dog"]), common=common)
    torch.testing.assert_close(labels[0], embeddings(loaded, tokens).mean(0))
    assert all((embeddings(loaded, common) == row).all(1).any() for row in labels[2:])
    given = start(loaded, TuneSoftPrompt(length=1, init="labels"), labels=["zebra", "dog"])
    torch.testing.assert_close(given[0], labels[0])
    drawn = start(loaded, TuneSoftPrompt(length=3), common=common)
    assert sorted(map(tuple, drawn.tolist())) == sorted(map(tuple, embeddings(loaded, common).tolist()))
    with pytest.raises(ValueError, match="no tokens"):
        start(loaded, TuneSoftPrompt(length=3), common=[loaded.tokenizer.eos_token_id])
    with pytest.raises(ValueError, match="name them"):
        start(loaded, TuneSoftPrompt(init="labels"))


def test_the_commonest_tokens_come_first():
    assert commonest([[3, 1, 3], [2, 3, 1]]) == [3, 1, 2]
    assert commonest([[3, 1, 3], [2, 3, 1]], limit=1) == [3]


def test_a_start_at_a_text_without_one_is_refused():
    with pytest.raises(ValueError, match="needs the text"):
        TuneSoftPrompt(init="text", text=" ")


def test_rows_with_different_soft_prompts_score_as_each_alone(served):
    names = ["long", None, "short", "middle", "long"]
    encoded = encode_pairs(served, list(zip(PROMPTS, [" met the dog", " it", " anjing", " 3", " fox"], strict=True)))

    def scored(some: list[int]) -> torch.Tensor:
        batch = padded([encoded[i][0] for i in some], [encoded[i][1] for i in some], served.device)
        with torch.no_grad():
            return completion_logprobs(served.model, batch)

    with rows(served, names):
        together = scored(list(range(5)))
    for i, name in enumerate(names):
        with using(served, [name] if name else []):
            alone = scored([i])[0]
        torch.testing.assert_close(together[i, : len(alone)], alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("options", [{"temperature": 0}, {"temperature": 1.0, "seed": 3, "samples": 2}])
def test_rows_with_different_soft_prompts_are_written_as_each_alone(served, options):
    names = ["long", None, "short", "middle", "long"]
    samples = options.get("samples", 1)
    together = generate(served, PROMPTS, max_tokens=16, soft_prompts=names, **options)
    assert not served.leads
    for i, name in enumerate(names):
        use(served, [name] if name else [])
        alone = generate(served, [PROMPTS[i]], max_tokens=16, first_index=i, **options)
        for ours, one in zip(together[i * samples : (i + 1) * samples], alone, strict=True):
            assert ours.token_ids == one.token_ids
            assert ours.logprobs == pytest.approx(one.logprobs, abs=1e-5)
    use(served, [])
    different = {
        tuple(output.token_ids)
        for output in generate(served, ["The"] * 4, max_tokens=16, temperature=0, soft_prompts=[None, *LENGTHS])
    }
    assert len(different) == 4


def test_two_streams_with_different_soft_prompts_may_take_turns(served):
    expected = generate(served, ["The", "The"], max_tokens=8, temperature=0, soft_prompts=["long", "short"])
    pieces = ["", ""]
    going = {
        i: stream(served, "The", max_tokens=8, temperature=0, soft_prompt=name)
        for i, name in enumerate(["long", "short"])
    }
    while going:
        for i in list(going):
            try:
                pieces[i] += next(going[i])
            except StopIteration:
                del going[i]
    assert pieces == [output.text for output in expected]


def test_a_soft_prompt_that_is_not_there_is_told(served):
    with pytest.raises(ValueError, match="no such soft prompt: other"), rows(served, ["other"]):
        pass
    with pytest.raises(ValueError, match="for each prompt"):
        generate(served, PROMPTS, max_tokens=1, soft_prompts=["long"])
    with pytest.raises(ValueError, match="batch has 1"), rows(served, ["long", None]):
        tiny.logits(served)


@pytest.mark.parametrize(
    "tune", [TunePrefix(length=3), TuneSoftPrompt(length=5, init="random")], ids=lambda tune: tune.kind
)
@pytest.mark.parametrize("shape", tiny.SHAPES)
def test_callers_see_the_text_alone(shape, tune, folders):
    """Padding on either side, with or without mask and positions, with a cache in two steps: hidden states of the text, and the same."""
    loaded = load([folders[shape]], trainable=tune)
    shake(loaded)
    model = loaded.model
    ids = torch.tensor([loaded.tokenizer("Where is the fox?")["input_ids"]])
    count = ids.shape[1]
    with torch.no_grad():
        expected = model.base_model(input_ids=ids).last_hidden_state
        assert expected.shape[:2] == ids.shape
        everything = model(input_ids=ids, output_hidden_states=True)
        assert all(states.shape[1] == count for states in everything.hidden_states)
        pad = torch.full((1, 4), 7)
        mask = torch.cat([torch.zeros(1, 4), torch.ones(1, count)], 1).long()
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        left = model.base_model(input_ids=torch.cat([pad, ids], 1), attention_mask=mask, position_ids=positions)
        right = model.base_model(input_ids=torch.cat([ids, pad], 1), attention_mask=mask.flip(1))
        begun = model.base_model(input_ids=ids[:, :3], use_cache=True)
        rest = model.base_model(input_ids=ids[:, 3:], past_key_values=begun.past_key_values)
        as_tuple = model.base_model(ids, return_dict=False)[0]
    close = {"rtol": 0, "atol": 2e-5}
    torch.testing.assert_close(left.last_hidden_state[:, 4:], expected, **close)
    torch.testing.assert_close(right.last_hidden_state[:, :count], expected, **close)
    torch.testing.assert_close(rest.last_hidden_state, expected[:, 3:], **close)
    torch.testing.assert_close(as_tuple, expected, **close)
    [text] = generate(loaded, ["Where is the fox?"], max_tokens=10, temperature=0)
    by_transformers = model.generate(
        torch.cat([pad, ids], 1), attention_mask=mask, max_new_tokens=10, do_sample=False, eos_token_id=list(loaded.eos_ids),
        pad_token_id=0,
    )  # fmt: skip
    assert by_transformers[0, 4 + count :].tolist() == text.token_ids


def test_virtual_tokens_take_their_places_from_the_context(served):
    whole = served.context_length
    use(served, ["long"])
    assert (served.context_length, served.leads) == (whole - 7, True)
    ids = list(range(5, 5 + whole - 9))
    [output] = generate_ids(served, [ids], max_tokens=50, seed=4)
    assert len(output.token_ids) <= 2
    use(served, [])
    outputs = generate_ids(served, [ids, ids], max_tokens=50, seed=4, soft_prompts=["long", None])
    assert len(outputs[0].token_ids) <= 2
    assert (served.context_length, served.leads) == (whole, False)


@pytest.mark.parametrize("tune", [TunePrefix(length=3), TuneSoftPrompt(length=5)], ids=lambda tune: tune.kind)
def test_several_texts_in_one_row_are_refused_and_the_callers_go_the_other_way(tune, folders):
    loaded = load([folders["llama"]])
    assert packing.probe(loaded.model, 16).together
    into_reward(loaded, seed=0)
    groups = [Group([1, 5, 6], [[7, 8], [9]])]
    assert probe(loaded.model, groups).shares
    apply(loaded, tune)
    shake(loaded)
    found = probe(loaded.model, groups)
    assert not found.shares
    assert "virtual tokens" in found.reason
    with pytest.raises(NotImplementedError):
        scores(loaded.model, groups, "flat")
    each = [scores(loaded.model, [Group([1, 5, 6], [c])]) for c in ([7, 8], [9])]
    torch.testing.assert_close(scores(loaded.model, groups), torch.cat(each), rtol=0, atol=1e-5)
    language = load([folders["llama"]], trainable=tune)
    way = packing.probe(language.model, 16)
    assert not way.together
    assert way.short


def test_flat_batches_of_a_led_model_give_the_loss_of_each_text(folders, tmp_path):
    loaded = load([folders["gpt2"]], trainable=TuneSoftPrompt(length=4))
    texts = [loaded.tokenizer(text)["input_ids"] for text in [*tiny.SENTENCES, *PROMPTS]]
    corpus = packing.Corpus.build(tmp_path, "corpus", (packing.Text(ids) for ids in texts), 64)
    batch = packing.batch(corpus, np.arange(len(corpus.lengths)))
    with torch.no_grad():
        found = packing.summed_loss(loaded.model, batch, packing.probe(loaded.model, 16)).item()
        each = sum(
            torch.nn.functional.cross_entropy(
                loaded.model(torch.tensor([ids[:-1]])).logits[0], torch.tensor(ids[1:]), reduction="sum"
            ).item()
            for ids in texts
        )
    assert found == pytest.approx(each, rel=1e-5)


def test_soft_prompts_prefixes_and_adapters_stack(folders, tmp_path):
    """Each is trained on what lies below it; loaded again the whole chain gives the same, and every part of it can be switched off."""
    for shape in tiny.SHAPES:
        chain = [folders[shape]]
        tunes = [TuneSoftPrompt(length=2), TuneLora(rank=2), TunePrefix(length=3), TuneSoftPrompt(length=1)]
        lower = [tiny.logits(load(chain))]
        for number, tune in enumerate(tunes):
            loaded = load(chain, trainable=tune)
            shake(loaded, seed=number)
            lower.append(tiny.logits(loaded))
            chain.append(tmp_path / f"{shape}{number}")
            save(loaded, chain[-1])
        loaded = load(chain)
        assert leading.length(loaded.model) == 6
        for count, expected in enumerate(lower):
            with using(loaded, loaded.adapters[:count]):
                torch.testing.assert_close(tiny.logits(loaded), expected, rtol=0, atol=1e-5)


def test_p_tuning_of_peft_is_a_soft_prompt_like_any(folders, tmp_path):
    theirs = get_peft_model(
        AutoModelForCausalLM.from_pretrained(folders["llama"]),
        PromptEncoderConfig(task_type="CAUSAL_LM", num_virtual_tokens=3, encoder_hidden_size=8),
    ).eval()
    theirs.save_pretrained(tmp_path / "saved")
    loaded = load([folders["llama"], tmp_path / "saved"])
    ids = torch.tensor([loaded.tokenizer("The cat met the fox")["input_ids"]])
    with torch.no_grad():
        torch.testing.assert_close(tiny.logits(loaded), theirs(input_ids=ids).logits[0, 3:], rtol=1e-5, atol=1e-5)


def test_a_prefix_of_peft_with_its_own_mlp_is_one_that_works_here(folders, tmp_path):
    config = PrefixTuningConfig(
        task_type="CAUSAL_LM", num_virtual_tokens=3, prefix_projection=True, encoder_hidden_size=8
    )
    theirs = get_peft_model(AutoModelForCausalLM.from_pretrained(folders["gpt2"]), config).eval()
    theirs.save_pretrained(tmp_path / "saved")
    loaded = load([folders["gpt2"], tmp_path / "saved"])
    ids = torch.tensor([loaded.tokenizer("The cat met the fox")["input_ids"]])
    with torch.no_grad():
        torch.testing.assert_close(tiny.logits(loaded), theirs(input_ids=ids).logits[0], rtol=1e-5, atol=1e-5)


def test_prompts_for_another_model_are_refused(folders, prompts, tmp_path):
    wide = tiny.folder(tmp_path / "wide", "llama", hidden_size=48)
    with pytest.raises(ValueError, match="48 numbers"):
        load([wide, prompts["llama", "short"]])


def test_a_sliding_window_sees_its_prefix_as_it_sees_tokens(folders):
    """Mistral: what lies behind the window is out of sight, virtual or not."""
    model = causal_lm("mistral", sliding_window=4)
    assert isinstance(model.config, MistralConfig)
    loaded = load([folders["llama"]])
    loaded.model, loaded.head = model.requires_grad_(False), "lm"
    ids = torch.tensor([[5, 6, 7, 8, 9, 10, 11, 12]])
    with torch.no_grad():
        expected = model(input_ids=torch.tensor([[20, 20, 20, *ids[0].tolist()]])).logits[0, 3:]
    apply(loaded, TunePrefix(length=3), common=[20])
    with torch.no_grad():
        torch.testing.assert_close(model(input_ids=ids).logits[0], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_training_moves_the_virtual_tokens_and_lowers_the_loss(folders):
    for tune in (TunePrefix(length=4), TuneSoftPrompt(length=8)):
        loaded = load([folders["llama"]], trainable=tune)
        ids = torch.tensor([loaded.tokenizer("The cat met the dog.")["input_ids"]])
        optimizer = torch.optim.Adam(trained_parameters(loaded).values(), lr=0.1)
        losses = []
        for _ in range(30):
            loss = loaded.model(input_ids=ids, labels=ids).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
        assert losses[-1] < 0.8 * losses[0]


def test_peft_and_we_write_the_same_with_a_soft_prompt(folders, prompts):
    loaded = load([folders["gpt2"], prompts["gpt2", "middle"]])
    theirs = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(folders["gpt2"]), prompts["gpt2", "middle"]
    )
    ids = torch.tensor([loaded.tokenizer("The cat")["input_ids"]])
    written = theirs.eval().generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=8,
        do_sample=False,
        eos_token_id=list(loaded.eos_ids),
        pad_token_id=0,
    )
    [ours] = generate(loaded, ["The cat"], max_tokens=8, temperature=0)
    assert written[0, ids.shape[1] :].tolist() == ours.token_ids
