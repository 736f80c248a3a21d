"""The form of a new run: what it offers, what it chooses beforehand, how it leads to what is wrong."""

import json
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.http import QueryDict

from models_registry.models import Head, Kind, Model, Stage, Version
from tests import factories
from training import actions, machine
from training.engine import methods
from training.engine.methods import config_of
from training.engine.tunes import LAWS
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


@pytest.fixture
def one_gpu():
    file = Path(settings.RUNS) / "devices.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps([{"name": "cpu"}, {"name": "cuda:0", "title": "NVIDIA H200", "memory": 139 * 2**30}]))
    yield
    file.unlink()


def version(name: str, **fields: object) -> Version:
    model, _new = Model.objects.get_or_create(name=name)
    fields = {"kind": Kind.FULL, "head": Head.LM, "digest": f"{Version.objects.count():064x}", **fields}
    return Version.objects.create(model=model, number=model.versions.count() + 1, **fields)


def bound(form: RunForm, path: str):
    fields = [each for section in form.sections for each in [*section.basic, *section.advanced]]
    return next(each for each in fields if each.field.path == path)


def test_only_devices_that_the_machine_has_are_offered(one_gpu):
    assert [value for value, _words in bound(RunForm("pretrain"), "device").options] == ["auto", "cpu", "cuda:0"]
    titles = dict(bound(RunForm("pretrain"), "device").options)
    assert (titles["auto"], titles["cuda:0"]) == ("automatic", "cuda:0 · NVIDIA H200 · 139 GiB")


def test_a_device_of_another_machine_stays_what_was_asked_for_and_says_so(admin, client):
    """A run is begun again here that had a GPU where it was made."""
    page = client.get("/runs/new/", {"method": "pretrain", "config.device": "cuda:3"}).content.decode()
    assert '<option value="cuda:3" selected>cuda:3 (not on this machine)</option>' in page
    assert 'value="cuda:0"' not in page


@pytest.mark.slow
def test_the_supervisor_asks_torch_which_devices_there_are():
    file = Path(settings.RUNS) / "devices.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    machine.look().join()
    assert json.loads(file.read_text())[0] == {"name": "cpu"}
    file.unlink()


def test_choices_are_read_as_names():
    options = dict(bound(RunForm("reward"), "loss").options)
    assert options["rao_kupper"] == "Rao–Kupper"
    assert options["bradley_terry"] == "Bradley–Terry"


def test_settings_of_a_run_are_read_as_names_too(admin):
    run = make.run(actor=admin, config=make.NANO | {"tune": {"kind": "all"}})
    shown = {title: value for title, value, _changed in Page(run).settings}
    assert shown["What moves"] == "All weights"
    assert shown["Delete checkpoints at the end"] == "yes"
    assert shown["Device"] == "automatic"


def test_the_newest_full_model_is_chosen_beforehand_or_the_one_in_production():
    form = RunForm("finetune")
    assert form.inputs[0].chosen == ""
    older, newer = version("one"), version("two")
    version("three", kind=Kind.ADAPTER, parent=newer)
    assert RunForm("finetune").inputs[0].chosen == str(newer.pk)
    Version.objects.filter(pk=older.pk).update(stage=Stage.PRODUCTION)
    assert RunForm("finetune").inputs[0].chosen == str(older.pk)
    asked = QueryDict(f"inputs.base={newer.pk}")
    assert RunForm("finetune", asked).inputs[0].chosen == str(newer.pk)


def test_a_model_of_the_kind_that_the_method_names_first_is_chosen_beforehand():
    language_model = version("writer")
    version("judge", head=Head.REWARD, stage=Stage.PRODUCTION)
    base = next(each for each in RunForm("reward").inputs if each.role == "base")
    assert base.chosen == str(language_model.pk)
    language_model.delete()
    version("judge", head=Head.REWARD)
    base = next(each for each in RunForm("reward").inputs if each.role == "base")
    assert base.chosen == str(Version.objects.get(stage=Stage.PRODUCTION).pk)


def test_what_is_optional_is_not_chosen_for_anyone():
    version("one")
    continued = next(each for each in RunForm("pretrain").inputs if each.role == "base")
    assert continued.chosen == ""


def test_the_top_of_a_refused_form_leads_to_each_bad_field(admin, client):
    sent = {"method": "finetune", "config.lr": "7", "config.tune.kind": "lora", "config.tune.rank": "0", "seed": "x"}
    page = client.post("/runs/new/", sent).content.decode()
    for anchor, title in {
        "id_inputs_base": "Model",
        "id_inputs_dataset": "Examples",
        "id_config_lr": "Learning rate",
        "id_config_tune_rank": "Rank r",
        "id_seed": "Seed",
    }.items():
        assert f'<a href="#{anchor}">{title}</a>' in page
        assert f'id="{anchor}"' in page


def test_a_run_begun_again_is_given_all_that_the_first_one_was(admin, client):
    base, data = version("stories"), make.dataset("sft", [{"prompt": "a", "completion": "b"}], name="Examples")
    config = {"tune": {"kind": "serial", "reduction": 4.0, "places": "mlp"}, "max_steps": 7, "learn_prompts": True}
    run = actions.create_run(
        actor=admin, method="finetune", config=config, inputs={"base": base, "dataset": data},
        name="A name & another", seed=11, output_name="told",
    )  # fmt: skip
    address, _, query = Page(run).again.partition("?")
    assert address == "/runs/new/"
    page = client.get(Page(run).again).content.decode()
    assert 'value="A name &amp; another"' in page
    form = RunForm("finetune", QueryDict(query))
    assert form.chosen_inputs() == {"base": base, "dataset": data}
    sent = {name: values[-1] for name, values in QueryDict(query).lists()}
    client.post("/runs/new/", sent | {"config.max_steps": "8"})
    second = Run.objects.exclude(pk=run.pk).get()
    assert second.config == run.config | {"max_steps": 8}
    assert (second.name, second.seed, second.output_name) == (run.name, 11, "told")


def test_a_form_says_which_run_filled_it_in_and_what_is_another_value_now(admin, client):
    base, data = version("stories"), make.dataset("sft", [{"prompt": "a", "completion": "b"}])
    run = actions.create_run(
        actor=admin, method="finetune", config={"lr": 2e-3, "warmup": 0.5}, inputs={"base": base, "dataset": data},
        name="Too fast",
    )  # fmt: skip
    page = client.get(Page(run).again).content.decode()
    assert f'Filled in as in <a href="{run.get_absolute_url()}">Too fast</a>.</p>' in page
    query = QueryDict(Page(run).again.partition("?")[2], mutable=True)
    query["config.lr"] = "5e-4"
    assert RunForm("finetune", query).changes == [("Learning rate", "0.002", "5e-4")]
    assert "<strong>Learning rate</strong> 0.002 → 5e-4." in client.get("/runs/new/", query).content.decode()
    query["from"] = "no run"
    assert RunForm("finetune", query).begun_from is None


def test_a_method_that_only_judges_asks_for_no_name_of_a_model(admin, client):
    assert 'name="output_name"' not in client.get("/runs/new/?method=evaluate").content.decode()
    assert 'name="output_name"' in client.get("/runs/new/?method=finetune").content.decode()
    page = client.get("/runs/new/").content.decode()
    assert page.index("Make a model") < page.index("method=finetune") < page.index("Judge a model")
    assert page.index("Judge a model") < page.index("method=evaluate")


def test_what_leaves_no_choice_is_not_asked(admin, client):
    page = client.get("/runs/new/", {"method": "prompt_tuning"}).content.decode()
    assert '<input type="hidden" name="config.tune.kind" value="soft_prompt">' in page
    assert 'id="id_config_tune_kind"' not in page


def test_what_was_just_made_is_what_one_wants_to_judge_and_the_full_model_what_one_trains(admin):
    full = version("base")
    adapter = version("tuned", kind=Kind.ADAPTER, parent=full)
    chosen = {method: RunForm(method).inputs[0].chosen for method in ("evaluate", "finetune")}
    assert chosen == {"evaluate": str(adapter.pk), "finetune": str(full.pk)}


def test_a_remark_is_neither_good_news_nor_a_warning(admin, client):
    run = make.run(actor=admin)
    for level in ("good", "info", "warning"):
        note = {"kind": "note", "level": level, "message": {"id": level, "text": f"Said as {level}", "params": {}}}
        make.write_events(run.folder, note)
    page = client.get(run.get_absolute_url()).content.decode()
    for level, spoken in {"good": "Good:", "info": "", "warning": "Warning:"}.items():
        assert f'<li data-level="{level}"><span class="visually-hidden">{spoken}</span>Said as {level}</li>' in page


def test_rows_are_offered_as_a_table_and_what_depends_on_a_choice_names_it(admin, client):
    by_path = {field.path: field for field in RunForm("prompting").fields}
    assert by_path["examples"].columns == [("input", "Input"), ("output", "Output")]
    assert by_path["labels"].columns == [("", "Label"), ("", "Its words")]
    page = client.get("/runs/new/", {"method": "prompt_tuning"}).content.decode()
    assert 'data-when="{&quot;config.tune.init&quot;: [&quot;text&quot;]}"' in page


@pytest.mark.parametrize(
    "written", ["NaN", "-Infinity", '"\\ud83d"', '"\\u0000"', "[" * 5000 + "]" * 5000, "[" * 5000], ids=range(6)
)
def test_what_python_reads_as_json_and_no_database_holds_is_refused(admin, client, written):
    config = f'{{"model_type": "llama", "hidden_size": {written}}}'
    sent = {"method": "pretrain", "inputs.dataset": str(make.dataset().pk), "config.full_config": config}
    answer = client.post("/runs/new/", sent)
    assert answer.status_code == 400
    assert list(answer.context["form"].by_field) == ["config.full_config"]
    assert not Run.objects.exists()


def test_the_learning_rate_is_filled_in_for_what_moves_and_the_size_until_somebody_writes_another(client, admin):
    base = version("stories")
    Version.objects.filter(pk=base.pk).update(parameters=260_000)

    def rate(**sent: str) -> str:
        answer = client.get("/runs/new/", {"method": "reward", "inputs.base": base.pk} | sent)
        return re.search(r'name="config.lr" value="([^"]*)"', answer.content.decode())[1]

    assert rate() == "0.003"
    Version.objects.filter(pk=base.pk).update(parameters=2_000_000_000)
    assert rate() == "1e-05"
    assert rate(**{"config.tune.kind": "lora", "config.lr": "1e-05", "suited.lr": "1e-05"}) == "0.0001"
    assert rate(**{"config.tune.kind": "lora", "config.lr": "0.5", "suited.lr": "1e-05"}) == "0.5"
    assert rate(**{"config.lr": "1e-05"}) == "1e-05"  # of a link, or of a run that is begun again
    assert config_of("reward")().lr == 1e-4  # the default is one
    assert "suited.lr" not in client.get("/runs/new/", {"method": "prompt_tuning"}).content.decode()  # the paper's


def test_every_law_of_a_learning_rate_is_some_methods():
    hints = {
        config_of(name).model_fields["lr"].description
        for name in methods.names()
        if "lr" in config_of(name).model_fields
    }
    assert LAWS.keys() <= hints
