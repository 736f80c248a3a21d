"""One Config, many faces: what is declared there appears in form, schema, command-line help and messages by itself."""

import json
from typing import Literal

import pytest
from django.http import QueryDict
from pydantic import Field as Declared

from models_registry.lm.tuning.config import Tune, TuneLora
from training.engine import __main__ as engine
from training.engine import methods
from training.engine.config import Settings, setting
from training.fields import config_of_texts, default_values, fields_of
from training.forms import RunForm
from training.management.commands.train import Command


class Inner(Settings):
    width: int = setting(3, "Width", "Of the inside.", group="model", ge=1, le=9)


class Everything(Settings):
    """One field of each kind."""

    rate: float = setting(0.5, "Rate", "How fast.", group="optimizer", unit="share", gt=0, le=1, source="A paper")
    count: int | None = setting(None, "Count", "How many.", group="goal", ge=1)
    loss: Literal["one", "two"] = setting("two", "Loss", "Which.", group="goal")
    steady: bool = setting(True, "Steady", "Whether.", group="goal", advanced=True)
    stop: list[str] = setting([], "Stop at", "Texts.", group="goal")
    word: str = setting("", "Word", "Any.", group="goal")
    inner: Inner = setting(Inner(), "Inside", "A group.", group="model")
    table: dict[str, float] = setting({}, "Table", "Anything.", group="goal")
    tune: Tune = setting(TuneLora(rank=16), "What moves", "Weights.", group="model")


FIELDS = fields_of(Everything)


def by_path() -> dict:
    return {each.path: each for each in FIELDS}


def test_every_kind_of_field_is_understood():
    kinds = {path: each.kind for path, each in by_path().items()}
    assert kinds == {
        "rate": "number", "count": "integer", "loss": "choice", "steady": "boolean", "stop": "list", "word": "text",
        "inner": "group", "table": "json", "tune": "union",
    }  # fmt: skip
    assert by_path()["count"].nullable
    assert by_path()["rate"].range == "greater than 0, at most 1"
    assert by_path()["rate"].unit == "share"
    assert [child.path for child in by_path()["inner"].children] == ["inner.width"]
    assert {variant.default for variant in by_path()["tune"].variants} >= {"all", "lora"}
    assert default_values(FIELDS)["tune.rank"] == 16


def test_texts_become_the_values_that_the_config_wants():
    texts = {
        "rate": "3e-1", "count": "", "loss": "one", "steady": "false", "stop": "a b\r\n\r\nc", "word": " x ",
        "inner.width": "4", "table": '{"a": 1.5}', "tune.kind": "lora", "tune.rank": "2", "tune.alpha": "4",
    }  # fmt: skip
    config = config_of_texts(FIELDS, texts)
    assert config == {
        "rate": 0.3, "count": None, "loss": "one", "steady": False, "stop": ["a b", "c"], "word": " x ",
        "inner": {"width": 4}, "table": {"a": 1.5},
        "tune": {**TuneLora().model_dump(), "rank": 2, "alpha": 4.0},
    }  # fmt: skip
    assert Everything.model_validate_json(json.dumps(config), strict=True).tune.rank == 2


def test_fields_of_the_kind_that_was_not_chosen_are_left_out():
    assert config_of_texts(FIELDS, {"tune.kind": "all", "tune.rank": "2"}) == {"tune": {"kind": "all"}}


def test_a_part_of_a_union_keeps_the_rest_of_its_default():
    assert config_of_texts(FIELDS, {"tune.alpha": "8"})["tune"] == TuneLora(rank=16, alpha=8.0).model_dump()


def test_what_is_no_number_and_what_is_not_known_is_passed_on_to_be_refused():
    assert config_of_texts(FIELDS, {"rate": "fast", "nonsense": "1", "count": "1.5"}) == {
        "rate": "fast",
        "nonsense": "1",
        "count": "1.5",
    }


@pytest.fixture
def grown(monkeypatch):
    """`pretrain` with a setting that nobody has heard of."""

    class Grown(methods.config_of("pretrain")):
        sparkle: float = Declared(
            0.25, title="Sparkle", description="How much it glitters.", ge=0, le=1, json_schema_extra={"group": "goal"}
        )

    monkeypatch.setattr(methods, "config_of", lambda name: Grown)


@pytest.mark.django_db
def test_a_new_field_appears_in_the_form_with_no_other_edit(grown, client, django_user_model):
    client.force_login(django_user_model.objects.create(username="a", role="admin"))
    page = client.get("/runs/new/", {"method": "pretrain"}).content.decode()
    assert "Sparkle" in page
    assert "How much it glitters." in page
    assert 'name="config.sparkle" value="0.25"' in page
    refused = client.post("/runs/new/", {"method": "pretrain", "config.sparkle": "2"})
    assert "“Sparkle” must be at most 1" in refused.content.decode()


def test_a_new_field_appears_in_schema_and_command_line_help(grown, capsys):
    engine.main(["--schema", "pretrain"])
    assert json.loads(capsys.readouterr().out)["properties"]["sparkle"]["default"] == 0.25
    with pytest.raises(SystemExit):
        Command().run_from_argv(["manage.py", "train", "pretrain", "--help"])
    help_text = " ".join(capsys.readouterr().out.split())
    assert "sparkle Sparkle. How much it glitters. [0 to 1; default 0.25]" in help_text


@pytest.mark.slow
@pytest.mark.django_db
@pytest.mark.parametrize("method", methods.names())
def test_the_untouched_form_of_every_method_is_its_default_config(method):
    form = RunForm(method)
    data = QueryDict(mutable=True)

    def fill(bound) -> None:
        if bound.field.kind == "union":
            data[f"{bound.name}.{bound.field.tag}"] = bound.value
        elif bound.field.kind != "group":
            data[bound.name] = str(bound.value).lower() if bound.field.kind == "boolean" else bound.value
        for child in bound.children:
            fill(child)

    for section in form.sections:
        for bound in [*section.basic, *section.advanced]:
            fill(bound)
            assert bound.field.title
            assert bound.field.hint
    sent = RunForm(method, data).config()
    config = methods.config_of(method)
    assert config.model_validate_json(json.dumps(sent), strict=True) == config()
