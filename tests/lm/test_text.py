"""Text to tokens and back: nothing is added, lost or merged across the border between prompt and completion."""

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, trainers
from transformers import PreTrainedTokenizerFast

from models_registry.lm.chain import load
from models_registry.lm.text import (
    decode_completion,
    encode_completions,
    encode_documents,
    encode_pairs,
    encode_prompt,
    plain_chat,
    without_prefix,
)

from . import tiny

TEXTS = [" met the dog.", "met", "  two spaces", "\n\nline\n", "naïve — ünï", "日本語", " ", "e\u0301", "a <|end|> b"]
TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}</{{ m.role }}>\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def sentencepiece_like(vocabulary: int = 200) -> PreTrainedTokenizerFast:
    """As Llama 2 has it: "▁" before every text, taken away again when decoding."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False)
    tokenizer.train_from_iterator(tiny.SENTENCES, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


@pytest.fixture
def loaded(folders):
    return load([folders["llama"]])


@pytest.mark.parametrize("text", [text for text in TEXTS if "<|end|>" not in text])
def test_completions_come_back_as_they_were(loaded, text):
    [ids] = encode_completions(loaded, [text], end=False)
    assert decode_completion(loaded, ids) == text


@pytest.mark.parametrize("text", [" cat met", "cat", "  fox", "The cat met the dog."])
def test_a_continuation_has_no_space_put_in_front_or_taken_away(text):
    tokenizer = sentencepiece_like()
    continuation = without_prefix(tokenizer)
    [ids] = continuation.encode([text])
    assert continuation.decode(ids) == text
    assert tokenizer(text)["input_ids"] != ids  # the tokenizer itself puts "▁" in front
    prompt = tokenizer("The dog")["input_ids"]
    assert tokenizer.decode(prompt + ids) == "The dog" + text


def test_a_prompt_starts_with_bos_exactly_once(loaded):
    bos = loaded.tokenizer.bos_token_id
    assert encode_prompt(loaded, "The cat").count(bos) == 1  # the tokenizer puts it there
    assert encode_prompt(loaded, "") == [bos]


def test_bos_is_added_where_tokenizer_and_model_name_it_and_the_tokenizer_adds_none(loaded):
    loaded.tokenizer = sentencepiece_like()
    loaded.model.config.bos_token_id = loaded.tokenizer.bos_token_id
    plain = loaded.tokenizer("The cat")["input_ids"]
    assert encode_prompt(loaded, "The cat") == [loaded.tokenizer.bos_token_id, *plain]
    loaded.tokenizer.init_kwargs["add_bos_token"] = False
    assert encode_prompt(loaded, "The cat") == plain
    del loaded.tokenizer.init_kwargs["add_bos_token"]
    loaded.model.config.bos_token_id = None
    assert encode_prompt(loaded, "The cat") == plain


def test_bos_that_is_also_eos_is_not_added(loaded):
    """GPT-2 names <|endoftext|> as both, and was trained without it in front."""
    loaded.tokenizer = sentencepiece_like()
    loaded.tokenizer.eos_token = "<s>"
    loaded.model.config.bos_token_id = loaded.tokenizer.bos_token_id
    assert encode_prompt(loaded, "The cat") == loaded.tokenizer("The cat")["input_ids"]
    assert encode_prompt(loaded, "") == [loaded.tokenizer.bos_token_id]


def test_documents_begin_with_bos_and_end_with_eos(loaded):
    bos, eos = loaded.tokenizer.bos_token_id, loaded.tokenizer.eos_token_id
    for ids in encode_documents(loaded, TEXTS[:4]):
        assert (ids[0], ids[-1]) == (bos, eos)
        assert not {bos, eos} & set(ids[1:-1])


def test_messages_go_through_the_chat_template(loaded):
    loaded.tokenizer.chat_template = TEMPLATE
    messages = [{"role": "user", "content": "Hi"}]
    assert loaded.tokenizer.decode(encode_prompt(loaded, messages)) == "<user>Hi</user>\n<assistant>"
    [(prompt, answer)] = encode_pairs(loaded, [(messages, "Yes")])
    assert loaded.tokenizer.decode(prompt + answer) == "<user>Hi</user>\n<assistant>Yes</assistant>\n"
    [(same, also)] = encode_pairs(loaded, [(messages, [{"role": "assistant", "content": "Yes"}])])
    assert (prompt, answer) == (same, also)


def test_messages_without_a_template_become_plain_lines(loaded):
    messages = [{"role": "user", "content": "Hi"}]
    assert plain_chat(messages) == "User: Hi\nAssistant:"
    assert encode_prompt(loaded, messages) == encode_prompt(loaded, "User: Hi\nAssistant:")
    [(_prompt, answer)] = encode_pairs(loaded, [(messages, " Yes")])
    assert answer == encode_completions(loaded, [" Yes"])[0]
    assert answer[-1] == loaded.tokenizer.eos_token_id


def test_the_real_model_starts_with_bos(real_data):
    loaded = load([real_data / "models" / "stories260K"])
    assert encode_prompt(loaded, "Once upon a time")[0] == 1
    [ids] = encode_completions(loaded, [" there was"], end=False)
    assert decode_completion(loaded, ids) == " there was"
