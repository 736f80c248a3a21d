"""What the registry's tests share: small real models as folders, a model server as a process of its own, a browser."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from django.conf import settings as django_settings
from django.db import connection

from models_registry import actions
from models_registry.models import Version
from tests import factories
from tests.processes import LONGEST, free_port, until

BASE = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """A Llama of a few thousand random parameters with a byte-level tokenizer, as transformers saves it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    from tests.engine.tiny import causal_lm

    folder = tmp_path_factory.mktemp("models") / "tiny-llama"
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {"<unk>": 0, "<s>": 1, "</s>": 2} | {letter: place for place, letter in enumerate(alphabet, 3)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>")
    causal_lm("llama", vocab_size=len(vocabulary)).save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_adapter(tiny_model, tmp_path_factory) -> Path:
    """A LoRA over it whose effect is not zero, as peft saves it."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("models") / "tiny-lora"
    config = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    torch.manual_seed(7)
    get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_model), config).save_pretrained(folder)
    return folder


@pytest.fixture
def copy_of(tmp_path):
    """A copy of a folder that a test may spoil."""

    def copy(folder: Path, name: str = "copy") -> Path:
        return Path(shutil.copytree(folder, tmp_path / name))

    return copy


@pytest.fixture
def admin(db):
    return factories.admin()


@pytest.fixture
def tiny(db, tiny_model) -> Version:
    return actions.import_folder(actor=None, name="tiny", path=tiny_model).version


@pytest.fixture
def tiny_tuned(tiny, tiny_adapter) -> Version:
    return actions.import_folder(actor=None, name="tiny-tuned", path=tiny_adapter, parent=tiny).version


@pytest.fixture
def scorer(tiny_model, tmp_path):
    """A reward model of the same shape, with a random head and the scale of its scores."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from models_registry.lm.heads import Scale, write_scale

    torch.manual_seed(3)
    model = AutoModelForSequenceClassification.from_pretrained(tiny_model, num_labels=1)
    torch.nn.init.normal_(model.score.weight)
    model.save_pretrained(tmp_path / "scorer")
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(tmp_path / "scorer")
    write_scale(tmp_path / "scorer", Scale(0.5, 2.0))
    return tmp_path / "scorer"


@pytest.fixture
def reward(scorer) -> Version:
    return actions.import_folder(actor=None, name="scorer", path=scorer).version


@pytest.fixture
def ensemble(scorer, copy_of) -> Version:
    """The same model with four heads, whose mean is its own."""
    import torch

    from models_registry.lm.chain import load
    from models_registry.lm.members import Members

    folder = copy_of(scorer, "ensemble")
    members = Members.around(load([folder]).model.score, 4, seed=1)
    torch.nn.init.normal_(members.weight, std=2.0, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        members.weight += load([folder]).model.score.weight - members.weight.mean(0)
    members.save(folder)
    return actions.import_folder(actor=None, name="ensemble", path=folder).version


@pytest.fixture
def endless(db, tiny_model, copy_of) -> Version:
    """A model that knows no end and has room for a million tokens: it keeps the one thread busy for minutes."""
    folder = copy_of(tiny_model, "endless")
    for file, changes in {
        "config.json": {"max_position_embeddings": 2**20, "eos_token_id": None},
        "generation_config.json": {"eos_token_id": None},
        "tokenizer_config.json": {"eos_token": None, "bos_token": None},  # BOS ends a text too: Loaded.eos_ids
    }.items():
        content = json.loads((folder / file).read_text()) | changes
        (folder / file).write_text(json.dumps(content))
    return actions.import_folder(actor=None, name="endless", path=folder).version


def answers(process: subprocess.Popen, address: str) -> bool:
    """Whether a model server that was started answers by now."""
    assert process.poll() is None, "the model server ended"
    try:
        return httpx.get(f"{address}/health", timeout=5).is_success
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="session")
def _served(django_db_setup, django_db_blocker):
    """One model server for all tests, on the test database; what it serves, it looks up at every request."""
    with django_db_blocker.unblock():
        database = str(connection.settings_dict["NAME"])
    port = free_port()
    program = (
        f"import django; from tests import settings as s; s.DATABASES['default']['NAME'] = {database!r}; django.setup();"
        f"from django.core.management import call_command; call_command('serve_models', port={port}, device='cpu')"
    )
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "PERINGKAT_TEST_DATA": str(django_settings.DATA),
    }
    process = subprocess.Popen([sys.executable, "-c", program], cwd=BASE, env=environment)
    try:
        until(lambda: answers(process, f"http://127.0.0.1:{port}"))
        yield port
    finally:
        process.terminate()
        assert process.wait(timeout=LONGEST) in (0, -15)


@pytest.fixture
def server(_served, transactional_db, settings) -> str:
    """The address of the model server; the site under test asks it too."""
    settings.MODELS_PORT = _served
    return f"http://127.0.0.1:{_served}"
