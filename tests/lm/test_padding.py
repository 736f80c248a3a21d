"""What the files say of a tokenizer's special tokens is what transformers makes of them."""

import json
import shutil

import pytest

from models_registry.lm.chain import load
from models_registry.lm.heads import into_reward
from models_registry.lm.padding import NAMES, filler, special_tokens
from tests.registry.conftest import tiny_model  # noqa: F401

pytestmark = pytest.mark.slow  # loads transformers' tokenizers of several classes


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"pad_token": "<unk>"},
        {
            "bos_token": {"__type": "AddedToken", "content": "<s>", "special": True},
            "unk_token": None,
            "eos_token": None,
        },
        {"bos_token": None, "unk_token": None},
        {"bos_token": "<unheard of>", "unk_token": None},
        {"tokenizer_class": "GPT2Tokenizer", "bos_token": None, "unk_token": None, "eos_token": None},
        {"tokenizer_class": "GPT2TokenizerFast"},
        {
            "tokenizer_class": "LlamaTokenizerFast",
            "pad_token": None,
            "bos_token": "<s>",
            "unk_token": "<unk>",
            "eos_token": "</s>",
        },
    ],
)
@pytest.mark.parametrize("named", [True, False])
def test_the_files_say_what_transformers_finds(tiny_model, tmp_path, settings, named):  # noqa: F811
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    file = folder / "tokenizer_config.json"
    before = json.loads(file.read_text())
    if not named:  # the files name nothing but what is written here
        before = {name: value for name, value in before.items() if name not in NAMES}
    file.write_text(json.dumps(before | settings))
    loaded = load([folder])
    found = {name: getattr(loaded.tokenizer, name) for name in NAMES}
    told = special_tokens(folder)
    assert told == {name: token for name, token in found.items() if token is not None}
    if not told or "pad_token" in told:
        return
    into_reward(loaded, seed=1)
    assert loaded.tokenizer.pad_token == filler(told)


def test_of_a_class_that_is_not_known_the_files_say_nothing(tiny_model, tmp_path):  # noqa: F811
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps({"tokenizer_class": "T5Tokenizer", "eos_token": "</s>"}))
    assert special_tokens(folder) is None
    (folder / "tokenizer.json").unlink()
    assert special_tokens(folder) is None
