"""The baselines pages and the guide as the server writes them, REST, and the command: thin faces of the same verbs."""

import csv
import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from models_registry.hooks import needs
from people.models import Role
from tests import factories
from training import guide
from training.comparisons.models import Comparison
from training.engine import methods
from training.models import Run
from training.supervisor import supervising
from training.templatetags.comparisons import lasted

from . import make
from .test_actions import version
from .test_comparisons import comparison, complete, labelled, started, trial

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def admin(client):
    person = factories.admin()
    client.force_login(person)
    return person


def text(answer) -> str:
    return " ".join(answer.content.decode().split())


def test_the_empty_list_says_what_to_do(client, admin):
    page = text(client.get("/baselines/"))
    assert "Nothing has been compared yet" in page
    assert reverse("comparison-new") in page
    assert reverse("guide") in page
    assert reverse("comparisons") in text(client.get("/runs/"))


@pytest.mark.slow
def test_the_menu_follows_task_base_and_data(client, admin):
    base, data = version("stories"), labelled("Moods")
    page = text(client.get("/baselines/new/"))
    assert 'value="finetune-all" checked' in page
    assert "Moods" not in page  # is no data of this task
    page = text(client.get("/baselines/new/", {"task": "classification", "base": base.pk, "dataset": data.pk}))
    assert 'value="classify-head" checked' in page
    assert "Moods · labelled texts · 40 of 80 rows held out" in page
    kept = {"task": "classification", "menu_of": "classification", "methods": "classify-ia3"}
    page = text(client.get("/baselines/new/", kept))
    assert 'value="classify-ia3" checked' in page
    assert 'value="classify-head" checked' not in page
    assert "needs a reward model" in text(client.get("/baselines/new/", {"task": "preference"}))


def sent(base, data, **more: object) -> dict:
    return {
        "task": "classification",
        "base": base.pk,
        "dataset": data.pk,
        "methods": ["classify-head", "classify-all"],
        "epochs": "",
        "max_steps": "9",
        "batch_size": "4",
        "seeds": "0, 5",
        "name": "",
    } | more


@pytest.mark.slow
def test_all_are_started_from_the_form(client, admin):
    answer = client.post("/baselines/new/", sent(version("stories"), labelled(), start=""))
    made = Comparison.objects.get()
    assert answer["Location"] == made.get_absolute_url()
    assert (made.seeds, made.max_steps, Run.objects.count()) == ([0, 5], 9, 4)


@pytest.mark.slow
def test_settings_are_looked_at_before_the_start(client, admin):
    client.post("/baselines/new/", sent(version("stories"), labelled()))
    made = Comparison.objects.get()
    assert not Run.objects.exists()
    page = text(client.get(made.get_absolute_url()))
    assert "Nothing has started yet" in page
    form = text(client.get(f"/baselines/{made.pk}/2/"))
    assert 'name="config.lr"' in form
    assert 'name="config.max_steps"' not in form  # is the comparison's
    answer = client.post(
        f"/baselines/{made.pk}/2/", {"label": "Everything", "config.tune.kind": "all", "config.lr": "2"}
    )
    assert answer.status_code == 400
    client.post(f"/baselines/{made.pk}/2/", {"label": "Everything", "config.tune.kind": "all", "config.lr": "0.02"})
    client.post(f"/baselines/{made.pk}/add/", {"key": "classify-lora"})
    client.post(f"/baselines/{made.pk}/1/remove/")
    client.post(f"/baselines/{made.pk}/start/")
    assert list(map(str, made.entries.all())) == ["Everything", "LoRA adapter"]
    assert set(Run.objects.values_list("config__lr", flat=True)) == {0.02, 0.0003}


def test_what_is_wrong_stands_on_the_form_and_what_was_chosen_stays(client, admin):
    answer = client.post(
        "/baselines/new/", sent(version("stories"), labelled(), seeds="one", methods=["classify-ia3"])
    )
    assert answer.status_code == 400
    assert "Write whole numbers with commas between." in text(answer)
    assert 'value="classify-ia3" checked' in text(answer)


@pytest.mark.slow
def test_when_the_last_run_has_ended_what_can_be_done_with_all_of_them_is_brought_up_to_date(client, admin):
    made = started()
    fragment = text(client.get(made.get_absolute_url(), headers=HTMX))
    assert "comparison-actions" not in fragment  # a question that is being answered must not be swapped away
    assert "Stop all" in text(client.get(made.get_absolute_url()))
    complete(made, {1: {0}, 2: {1}})
    fragment = text(client.get(made.get_absolute_url(), headers=HTMX))
    assert 'id="comparison-actions" hx-swap-oob="true"' in fragment
    assert "Stop all" not in fragment
    page = text(client.get(made.get_absolute_url()))
    assert page.count('id="comparison-actions"') == 1
    assert "hx-swap-oob" not in page


@pytest.mark.slow
def test_the_page_asks_again_while_something_runs_and_shows_how_far_it_is(client, admin):
    made = started()
    Run.objects.filter(pk=trial(made).run.pk).update(state=Run.State.RUNNING, progress=0.4)
    page = text(client.get(made.get_absolute_url()))
    assert 'hx-trigger="every 3s"' in page
    assert "40 %" in page
    fragment = text(client.get(made.get_absolute_url(), headers=HTMX))
    assert "<html" not in fragment
    assert "Output layer" in fragment
    client.post(f"/baselines/{made.pk}/cancel/")
    assert trial(made, 2).run.state == Run.State.STOPPED
    client.post(f"/baselines/{made.pk}/2/0/retry/")
    assert trial(made, 2).run.state == Run.State.QUEUED


@pytest.fixture
def judged() -> Comparison:
    made = started(["classify-head", "classify-all"])
    complete(made, {1: {0, 1, 4, 5, 8, 9, 12, 13}, 2: {0}})
    return made


@pytest.mark.slow
def test_a_finished_table_keeps_its_order_in_the_address_and_can_be_taken_along(client, admin, judged):
    address = judged.get_absolute_url()
    page = text(client.get(address, {"sort": "-quality", "metric": "accuracy"}))
    assert "every 3s" not in page
    assert page.index("97.5 %") < page.index("80.0 %")
    assert page.index(">All weights</a>") < page.index(">Output layer</a>")
    assert "−17.5" in page
    assert "<svg" in page.split('class="chart scatter"')[1]
    assert "sort=quality" in page
    assert 'aria-sort="descending"' in page
    for form, part in (("csv", "label,method"), ("md", "| All weights |")):
        assert part in client.get(f"{address}table.{form}", {"sort": "-quality"}).content.decode()
    rows = list(csv.DictReader(StringIO(client.get(f"{address}predictions.csv").content.decode())))
    assert len(rows) == 40
    assert "All weights: prediction" in rows[0]
    mine = client.get(f"{address}1/0/predictions.jsonl").content.decode().splitlines()
    assert json.loads(mine[0])["prediction"] == "good"
    assert json.loads(mine[0])["text"]
    assert client.get(f"{address}chart.vl.json").json()["layer"]
    assert client.get(f"{address}table.exe").status_code == 404


@pytest.mark.slow
def test_who_may_only_look_sees_the_table_and_no_buttons(client, judged):
    client.force_login(factories.user(Role.RESEARCHER))
    page = text(client.get(judged.get_absolute_url()))
    assert "97.5 %" in page
    assert "One method more" not in page
    assert client.post(f"/baselines/{judged.pk}/delete/").status_code == 403


@pytest.mark.slow
def test_rest_makes_watches_and_deletes_a_comparison(client, admin):
    version("stories")
    labelled("Moods")
    wanted = {"task": "classification", "base": "stories:v1", "dataset": "Moods", "max_steps": 3}
    offered = client.get("/api/v1/comparisons/methods/", {"task": "classification", "base": "stories:v1"}).json()
    assert "classify-head" in [choice["key"] for choice in offered]
    answer = client.post(
        "/api/v1/comparisons/", wanted | {"methods": ["classify-head"]}, content_type="application/json"
    )
    assert answer.status_code == 201
    number = answer.json()["comparison"]
    assert answer.json()["methods"][0]["seeds"][0]["state"] == "training"
    entry = {"method": "classify", "config": {"tune": {"kind": "last_layers", "n": 1}}, "label": "One block"}
    answer = client.post(f"/api/v1/comparisons/{number}/methods/", entry, content_type="application/json")
    assert (answer.status_code, answer.json()["label"]) == (201, "One block")
    assert client.get("/api/v1/comparisons/").json()["results"][0]["active"] == 2
    answer = client.post(f"/api/v1/comparisons/{number}/cancel/")
    assert [method["seeds"][0]["state"] for method in answer.json()["methods"]] == ["stopped", "stopped"]
    wrong = client.post(
        "/api/v1/comparisons/", wanted | {"base": "no", "dataset": "none"}, content_type="application/json"
    )
    assert len(wrong.json()["problems"]) == 2
    assert client.delete(f"/api/v1/comparisons/{number}/").status_code == 204
    assert Run.objects.count() == 2


def test_the_pages_of_a_version_and_a_data_set_lead_to_comparisons(client, admin):
    base = version("stories", manifest={"files": []})
    made = comparison(base=base)
    page = text(client.get(base.get_absolute_url()))
    assert made.get_absolute_url() in page
    assert f"/baselines/new/?task=language&amp;base={made.base.pk}" in page
    page = text(client.get(f"/data/{made.dataset.pk}/"))
    assert f"/baselines/new/?task=classification&amp;dataset={made.dataset.pk}" in page
    assert needs(made.base) == [f"The comparison “{made}” is about it."]


def baselines(*arguments: str) -> str:
    out = StringIO()
    call_command("baselines", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


@pytest.mark.slow
def test_the_command_does_the_same():
    factories.admin()
    version("stories")
    labelled("Moods")
    what = ("--task", "classification", "--base", "stories", "--dataset", "Moods")
    assert "* classify-head " in baselines(*what, "--menu")
    out = baselines(
        *what,
        "--methods",
        "classify-head,classify-lora",
        "--max-steps",
        "5",
        "--set",
        "classify-lora.tune.rank=2",
        "--json",
    )
    found = json.loads(out)
    assert [method["config"]["tune"] for method in found["methods"]] == [{"kind": "head"}, {"kind": "lora", "rank": 2}]
    assert Run.objects.filter(config__max_steps=5).count() == 2
    assert json.loads(baselines("--show", str(found["comparison"]), "--json")) == found
    for wrong, said in (
        (("--methods", "nothing"), "not among the methods that fit"),
        (("--set", "lr=1"), "KEY.SETTING=VALUE"),
        (("--set", "classify-all.lr=9"), "Learning rate"),
    ):
        with pytest.raises(CommandError, match=said):
            baselines(*what, *wrong)


@pytest.mark.slow
def test_the_guide_leads_from_what_one_has_to_filled_forms_and_names_every_method(client, admin):
    page = text(client.get("/guide/"))
    for have in ("corpus", "examples", "labels", "rankings", "words"):
        assert f'href="#{have}"' in page
        assert f'id="{have}"' in page
    for name in methods.names():
        assert f"method={name}" in page
    assert all(each.changes for each in guide.methods_side_by_side() if each.facts.family == "train")
    linked = {part.split('"')[0] for part in page.split('href="/runs/new/?method=')[1:]}
    for address in linked:
        answer = client.get("/runs/new/?method=" + address.replace("&amp;", "&"))
        assert answer.status_code == 200
        assert "Start run" in text(answer)


def test_the_guide_chooses_the_newest_data_of_the_kind_beforehand(client, admin):
    make.dataset("labelled", [{"text": "a", "label": "b", "split": "train"}], "Older")
    newest = make.dataset("labelled", [{"text": "c", "label": "d", "split": "train"}], "Newer")
    page = client.get("/guide/").content.decode()
    assert f"?method=classify&amp;config.tune.kind=lora&amp;inputs.dataset={newest.pk}" in page
    assert '?method=reward"' in page  # there are no rankings


def test_the_guide_tells_who_may_not_start_runs_that_they_may_not(client):
    client.force_login(factories.user(Role.RESEARCHER))
    page = text(client.get("/guide/"))
    assert "Your role may look at runs and not start them" in page
    assert "the form of the run opens" not in page
    assert "?method=" not in page


def test_the_guides_worked_table_shows_what_was_measured(client, admin):
    found = json.loads(guide.MEASURED.read_text())
    page = text(client.get("/guide/"))
    assert [len(task["ways"]) for task in found["tasks"]] == [3, 3, 3]
    assert "three models loaded" in page
    assert "close 53.1 % to 84.3 % of the gap" in page
    table = page[page.index('id="worked"') :]
    for task in found["tasks"]:  # the untouched model was not trained
        for way in task["ways"][1:]:
            assert f">{way['seconds']:.1f} s</td>" in table
    for kind in (1, 2):  # of all three together
        assert lasted(sum(task["ways"][kind]["seconds"] for task in found["tasks"])) in table
    assert guide.COMMAND in page


def test_a_comparison_cannot_be_changed_by_a_researcher_through_rest(client):
    made = comparison()
    client.force_login(factories.user(Role.RESEARCHER))
    assert client.post(f"/api/v1/comparisons/{made.pk}/start/").status_code == 403
    assert client.get(f"/api/v1/comparisons/{made.pk}/").status_code == 200


@pytest.mark.slow
def test_methods_are_trained_judged_and_compared_on_a_real_model():
    """The engine itself: a tiny base, three ways to learn labels, one table."""
    admin = factories.admin()
    run = make.run(actor=admin, output_name="tiny")
    labelled("Moods")
    with supervising() as supervisor:
        while run.is_active or not run.produced:
            supervisor.step()
            run.refresh_from_db()
    out = baselines(
        "--task",
        "classification",
        "--base",
        "tiny",
        "--dataset",
        "Moods",
        "--methods",
        "prompting-few,classify-all",
        "--max-steps",
        "25",
        "--batch-size",
        "8",
        "--set",
        "prompting-few.shots=2",
        "--wait",
        "--json",
    )
    rows = {method["label"]: method for method in json.loads(out)["methods"]}
    prompting, full = rows["Prompting, 2 examples"], rows["All weights"]
    assert full["figures"]["accuracy"]["value"] > 0.9
    assert full["figures"]["accuracy"]["n"] == 40
    assert (prompting["trained_parameters"], prompting["kind"]) == (0, "hard_prompt")
    assert (full["serving"], prompting["serving"]) == ("own base", "shared base")
    assert full["trained_share"] == 1
    assert prompting["bytes"] < full["bytes"] / 10
    assert full["difference_to_best"] == {}
