"""A run of PPO with several reward models, pretraining texts or a Python function: in the form, REST, on the command line, and traced back."""

import json

import numpy as np
import pytest
from django.core.management import call_command
from django.http import QueryDict
from rest_framework.test import APIClient
from safetensors.numpy import save_file

from labeling.models import Dataset
from models_registry import queries as registry
from models_registry import words
from models_registry.lm.inspect import MEMBERS_FILE
from models_registry.models import Head, Kind, Model, Version
from people.errors import Refusal
from tests import factories
from training import actions, queries, reproduce
from training.forms import RunForm
from training.models import Run
from training.page import Page

from . import make

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(client):
    person = factories.admin()
    client.force_login(person)
    return person


def version(name: str, **fields: object) -> Version:
    model, _new = Model.objects.get_or_create(name=name)
    fields = {"kind": Kind.FULL, "head": Head.LM, "digest": f"{Version.objects.count() + 1:064x}", **fields}
    return Version.objects.create(model=model, number=model.versions.count() + 1, **fields)


@pytest.fixture
def inputs() -> dict[str, Version | Dataset]:
    return {
        "base": version("stories"),
        "reward_model": version("likes-foxes", head=Head.REWARD),
        "dataset": make.dataset("prompts", [{"prompt": "The fox"}], name="Openings"),
        "reward_model_2": version("likes-owls", head=Head.REWARD),
        "pretraining": make.dataset(name="Tales"),
    }


MIXED = {"reward_weights": [2.0, 1.0], "reward_caution": 0.5, "ptx_coef": 1.5}
SENT = {"method": "ppo", "config.reward_weights": "2\n1", "config.reward_caution": "0.5", "config.ptx_coef": "1.5"}


def as_sent(inputs: dict[str, Version | Dataset]) -> dict[str, str]:
    return {f"inputs.{role}": str(one.pk) for role, one in inputs.items()}


def given(run: Run) -> dict[str, Version | Dataset]:
    return {each.role: each.version or each.dataset for each in run.inputs.all()}


def test_the_form_folds_them_away_and_takes_them(admin, client, inputs):
    page = client.get("/runs/new/?method=ppo").content.decode()
    assert '<details class="more">\n      <summary>5 more inputs</summary>' in page
    answer = client.post("/runs/new/", SENT | as_sent(inputs))
    assert answer.status_code == 302
    run = Run.objects.get()
    assert given(run) == inputs
    assert {name: run.config[name] for name in MIXED} == MIXED
    again = RunForm("ppo", QueryDict(Page(run).again.partition("?")[2]))
    assert again.chosen_inputs() == inputs
    assert again.config()["reward_weights"] == [2.0, 1.0]
    assert again.extra_is_open
    told = client.get(run.get_absolute_url()).content.decode()
    for title in ("Second reward model", "Pretraining texts", "likes-owls:v1"):
        assert title in told


def test_rest_and_command_line_take_them_by_name(admin, inputs):
    names = {role: one.name if isinstance(one, Dataset) else str(one) for role, one in inputs.items()}
    api = APIClient()
    api.force_authenticate(admin)
    answer = api.post("/api/v1/runs/", {"method": "ppo", "inputs": names, "config": MIXED}, format="json")
    assert answer.status_code == 201, answer.content
    assert answer.json()["inputs"]["reward_model_2"] == "likes-owls:v1"
    options = [word for role, name in names.items() for word in (f"--{role.replace('_', '-')}", name)]
    sets = ["reward_weights=2\n1", "reward_caution=0.5", "ptx_coef=1.5"]
    call_command("train", "ppo", *options, *(word for each in sets for word in ("--set", each)))
    first, second = Run.objects.order_by("created_at")
    assert given(first) == given(second) == inputs
    assert first.config == second.config


def test_all_of_them_are_traced_back(admin, inputs):
    run = actions.create_run(actor=admin, method="ppo", config=MIXED, inputs=inputs)
    written = queries.run_file(run)
    assert written["inputs"].keys() == inputs.keys() == queries.hashes(run).keys()
    origin = queries.origin(run)
    assert origin["inputs"]["reward_model_2"] == [inputs["reward_model_2"].digest]
    assert origin["datasets"]["pretraining"]["digest"] == inputs["pretraining"].digest
    described = reproduce.bundle(run)["inputs"]
    assert described["reward_model_2"]["chain"] == origin["inputs"]["reward_model_2"]
    assert described["pretraining"]["digest"] == inputs["pretraining"].digest
    policy = version("policy", origin=origin)
    for role, one in inputs.items():
        if isinstance(one, Version):
            policy.sources.create(role=role, source=one)
    assert policy in queries.models_from(inputs["pretraining"])
    parts = {words.role(role): source for _made, role, source in registry.sources(policy)}
    assert parts["second reward model"] == inputs["reward_model_2"]


def test_what_does_not_go_together_is_said_beside_its_field(admin, inputs):
    for config, left_out, place in (
        ({"ptx_coef": 1.0}, {"pretraining"}, "config.ptx_coef"),
        ({}, set(), "config.ptx_coef"),
        (MIXED | {"reward_weights": [1.0]}, set(), "config.reward_weights"),
        ({}, {"reward_model", "pretraining"}, "inputs.reward_model"),
    ):
        chosen = {role: one for role, one in inputs.items() if role not in left_out}
        with pytest.raises(actions.RunRefusal) as refused:
            actions.create_run(actor=admin, method="ppo", config=config, inputs=chosen)
        assert list(refused.value.by_field) == [place]
    wrong = inputs | {"reward_model_2": inputs["base"]}
    with pytest.raises(Refusal, match="scores text"):
        actions.create_run(actor=admin, method="ppo", config=MIXED, inputs=wrong)
    assert not Run.objects.exists()


def test_caution_about_one_reward_model_is_for_one_of_several_heads(admin, client, inputs, settings, tmp_path):
    settings.ARTIFACTS = tmp_path  # what a version's folder holds is looked at here
    folder = inputs["reward_model"].folder
    folder.mkdir(parents=True)
    chosen = as_sent({role: inputs[role] for role in ("base", "reward_model", "dataset")})
    sent = {"method": "ppo", "config.reward_caution": "0.5"} | chosen
    answer = client.post("/runs/new/", sent)
    assert answer.status_code == 400
    assert "Caution λ needs several rewards, or a reward model of several heads" in answer.content.decode()
    assert not Run.objects.exists()
    second = {"inputs.reward_model_2": str(inputs["reward_model_2"].pk)}
    assert client.post("/runs/new/", sent | second).status_code == 302
    save_file({"weight": np.eye(3, 4, dtype=np.float32)}, folder / MEMBERS_FILE)
    assert client.post("/runs/new/", sent).status_code == 302


def test_nobody_can_name_a_function_from_the_browser_unless_the_environment_does(admin, client, inputs, monkeypatch):
    chosen = as_sent({role: inputs[role] for role in ("base", "dataset")})
    sent = {"method": "ppo", "config.reward_function": "subprocess.call"} | chosen
    for allowed in ("", "rewards.polite"):
        monkeypatch.setenv("PERINGKAT_REWARD_FUNCTIONS", allowed)
        answer = client.post("/runs/new/", sent)
        assert answer.status_code == 400
        said = " ".join(answer.content.decode().split())
        assert (
            "Python functions are switched off here" in said if not allowed else "subprocess.call may not be" in said
        )
    assert not Run.objects.exists()


def test_a_function_that_the_environment_names_is_offered_and_takes_the_reward_models_place(
    admin, client, inputs, monkeypatch
):
    page = client.get("/runs/new/?method=ppo").content.decode()
    none = '<input type="radio" name="inputs.reward_model" value=""'
    assert none not in page
    monkeypatch.setenv("PERINGKAT_REWARD_FUNCTIONS", "rewards.polite")
    page = client.get("/runs/new/?method=ppo").content.decode()
    assert none in page
    assert '<option value="rewards.polite">rewards.polite</option>' in page
    chosen = as_sent({role: inputs[role] for role in ("base", "dataset")})
    sent = {"method": "ppo", "config.reward_function": "rewards.polite", "inputs.reward_model": ""} | chosen
    assert client.post("/runs/new/", sent).status_code == 302
    run = Run.objects.get()
    assert run.config["reward_function"] == "rewards.polite"
    assert "reward_model" not in given(run)
    again = RunForm("ppo", QueryDict(Page(run).again.partition("?")[2]))
    assert "reward_model" not in again.chosen_inputs()
    assert not next(each for each in again.inputs if each.role == "reward_model").chosen


def test_texts_are_no_reason_to_offer_ppo(admin, client, inputs):
    page = client.get(inputs["pretraining"].get_absolute_url()).content.decode()
    assert "method=pretrain&" in page or "method=pretrain&amp;" in page
    assert "method=ppo" not in page


def test_the_curve_of_each_reward_bears_the_name_of_who_gave_it(admin, inputs):
    run = actions.create_run(actor=admin, method="ppo", config=MIXED, inputs=inputs)
    run.folder.mkdir(parents=True, exist_ok=True)
    events = [{"step": step, "reward": 1.0, "reward_1": 0.5, "reward_2": 0.1 * step} for step in (1, 2)]
    (run.folder / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    titles = {curve.name: curve.title for curve in Page(run).curves}
    assert titles["reward_1"] == "Reward by likes-foxes:v1"
    assert titles["reward_2"] == "Reward by likes-owls:v1"
    assert titles["reward"] == "Reward"
