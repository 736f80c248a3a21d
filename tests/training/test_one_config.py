"""A field that is added to a Config is in the form, the API's schemas, the command lines' help and the docs with no other edit; and so is
one that is added to a kind of what moves."""

import json
from typing import Annotated, Literal

import pytest
from pydantic import Field

from models_registry.lm.tuning.config import TuneAll, TuneLora
from tests import factories
from training.engine import __main__ as engine
from training.engine import methods, reference
from training.engine.config import setting
from training.engine.methods.finetune import config as finetune
from training.management.commands.train import Command

pytestmark = pytest.mark.django_db
MEANING = "How far the owl looks ahead."


class TuneWithOwl(TuneLora):
    feathers: int = Field(5, title="Feathers", description="How many the owl has.", ge=1)


class WithOwl(finetune.Config):
    owl: Literal["near", "far_away"] = setting(
        "near", "Owl", MEANING, group="goal", unit="metres", labels={"far_away": "very far"}
    )
    tune: Annotated[TuneAll | TuneWithOwl, Field(discriminator="kind")] = setting(
        TuneWithOwl(), "What moves", "Weights.", group="model"
    )


@pytest.fixture(autouse=True)
def added(monkeypatch):
    # Some methods extend finetune's Config: they must have met the true one before it is replaced.
    for name in methods.names():
        methods.config_of(name)
    monkeypatch.setattr(finetune, "Config", WithOwl)
    assert methods.config_of("finetune") is WithOwl


@pytest.fixture
def signed_in(client):
    client.force_login(factories.admin())
    return client


def test_the_form(signed_in):
    page = " ".join(signed_in.get("/runs/new/?method=finetune").content.decode().split())
    assert 'name="config.owl"' in page
    assert '<option value="far_away">very far</option>' in page
    assert MEANING in page
    assert 'name="config.tune.feathers" value="5"' in page


@pytest.mark.slow
def test_the_schema_of_the_method_and_that_of_the_whole_api(signed_in):
    schema = signed_in.get("/api/v1/methods/finetune/").json()["schema"]
    assert schema["properties"]["owl"]["description"] == MEANING
    assert schema["$defs"]["TuneWithOwl"]["properties"]["feathers"]["default"] == 5
    components = json.loads(signed_in.get("/api/v1/schema/?format=json").content)["components"]["schemas"]
    assert components["FinetuneSettings"]["properties"]["owl"]["enum"] == ["near", "far_away"]
    assert components["TuneWithOwl"]["properties"]["feathers"]["minimum"] == 1
    named = components["NewRun"]["properties"]["config"]["anyOf"]
    assert {"$ref": "#/components/schemas/FinetuneSettings"} in named


def test_the_command_lines(capsys):
    command = Command()
    command.method = "finetune"
    settings = command.create_parser("manage.py", "train").format_help()
    assert engine.main(["--explain", "finetune"]) == 0
    explained = capsys.readouterr().out
    for text in (settings, explained):
        assert MEANING in text
        assert "far_away" in text
        assert "tune.feathers" in text
    assert engine.main(["--schema", "finetune"]) == 0
    assert json.loads(capsys.readouterr().out)["properties"]["owl"]["unit"] == "metres"


def test_the_docs(monkeypatch):
    assert f"| `owl` | `near` | {MEANING} *metres; `near`, `far_away`* |" in reference.table("finetune")
    monkeypatch.setattr(methods, "names", lambda: ["finetune"])  # the others have the kind as it was
    assert "| `tune.feathers` | `5` | How many the owl has. *at least 1* |" in reference.kinds_table("tune")


def test_a_run_takes_it_and_what_is_wrong_with_it_is_said(signed_in):
    sent = {"method": "finetune", "inputs": {}, "config": {"owl": "beyond", "tune": {"kind": "lora", "feathers": 0}}}
    problems = signed_in.post("/api/v1/runs/", json.dumps(sent), content_type="application/json").json()["problems"]
    assert any("“Owl” must be one of" in problem for problem in problems)
    assert any("“Feathers” must be at least 1" in problem for problem in problems)


def test_no_two_methods_mean_different_things_by_one_name():
    """The API's schema has one component of a name."""
    found: dict[str, dict] = {}
    for method in methods.names():
        for name, schema in methods.config_of(method).model_json_schema().get("$defs", {}).items():
            assert found.setdefault(name, schema) == schema, name
