"""How much memory a run of PPO takes: said in the form before it is started, and on its page beside what was measured."""

import json

import pytest
from django.urls import reverse

from models_registry.models import Kind
from tests import factories
from tests.engine.tiny import causal_lm
from training import memory
from training.engine.methods.ppo.config import Config
from training.page import gibibytes

from . import make
from .test_actions import version

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

LORA = {"tune": {"kind": "lora", "rank": 4}}
ALL = {"tune": {"kind": "all"}}


@pytest.fixture(autouse=True)
def store_of_its_own(settings, tmp_path):
    settings.ARTIFACTS = tmp_path


@pytest.fixture
def models():
    """A base, a reward model that is an adapter over it, and one with weights of its own."""
    made = causal_lm("llama")
    parameters = sum(p.numel() for p in made.parameters())
    base = version("base", parameters=parameters)
    made.save_pretrained(base.folder)
    over = version("over", kind=Kind.ADAPTER, parent=base, head="reward", parameters=parameters + 500)
    apart = version("apart", head="reward", parameters=parameters)
    return base, over, apart


def needed(config: dict, base, judge, dataset) -> int:
    inputs = {"base": base, "reward_model": judge, "dataset": dataset}
    return memory.needed("ppo", Config(**config), inputs)


def test_it_grows_with_what_moves_with_answers_at_once_and_with_copies(models):
    base, over, apart = models
    prompts = make.dataset("prompts", [{"prompt": "Say something", "split": "train"}])
    least = needed(LORA, base, over, prompts)
    assert (
        needed(ALL, base, over, prompts) - least >= 4 * 4 * 0.9 * base.parameters
    )  # reference, gradients, two moments
    assert needed(LORA, base, apart, prompts) - least == 4 * (base.parameters - 500)
    assert (
        needed(LORA | {"micro_batch": 1}, base, over, prompts)
        < least
        < needed(LORA | {"max_tokens": 128}, base, over, prompts)
    )
    assert memory.needed("ppo", Config(**LORA), {}) == 0


def test_the_form_says_it_and_the_page_puts_it_beside_what_was_measured(models, client):
    client.force_login(factories.admin())
    base, over, _apart = models
    prompts = make.dataset("prompts", [{"prompt": "Say something", "split": "train"}])
    chosen = {"method": "ppo", "inputs.base": base.pk, "inputs.reward_model": over.pk, "inputs.dataset": prompts.pk}
    assert "of memory." in client.get(reverse("run-new"), chosen).content.decode()
    assert "of memory." not in client.get(reverse("run-new"), {"method": "pretrain"}).content.decode()

    run = make.run(actor=factories.admin())
    status = {"memory_estimate": 3 * 2**30, "memory_of_run": 2**31, "state": "complete"}
    run.folder.mkdir(parents=True, exist_ok=True)
    (run.folder / "status.json").write_text(json.dumps(status))
    assert (
        f"{gibibytes(2**31)}, estimated {gibibytes(3 * 2**30)}" in client.get(run.get_absolute_url()).content.decode()
    )
