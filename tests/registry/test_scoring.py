"""A reward model in use: its page, a file of rows, REST, the command; and scores of the tasks that wait in a project."""

import csv
import io
import json
import math
import shutil
import statistics
from pathlib import Path

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.urls import reverse
from playwright.sync_api import expect
from rest_framework.test import APIClient

from jobs.models import Job
from jobs.worker import run_all_waiting
from labeling import actions, sampling, scoring, uploads
from labeling.actions.tasks import NewTask, add_tasks
from labeling.models import Completion, Prompt
from labeling.sampling import Plan
from labeling.scoring import disagreement, uncertainty
from labeling.writers import Written
from models_registry import serving_client
from models_registry.scoring import parts
from models_registry.templatetags.registry import score as figure
from people.errors import Refusal
from people.models import AuditEntry
from tests import factories
from tests.processes import LONGEST
from tests.registry.test_export import made, registered  # noqa: F401  (a fixture)

ROWS = [
    {"id": 7, "prompt": "Say", "completions": ["one", "two", "x" * 600]},
    {"prompt": [{"role": "user", "content": "Hi"}], "completions": ["Hello."]},
]


def scores_of(version, prompt, texts) -> list[float]:
    from models_registry.lm.chain import load
    from models_registry.lm.score import rewards

    return rewards(load([version.folder]), [(prompt, text) for text in texts])


@pytest.fixture
def page(client, admin):
    client.force_login(admin)
    return client


@pytest.fixture
def api(admin) -> APIClient:
    client = APIClient()
    client.force_authenticate(admin)
    return client


def address(name: str, version, *more: object) -> str:
    return reverse(name, args=[version.model.name, version.number, *more])


def a_file(name: str, content: str) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content.encode())


# Its page


@pytest.mark.parametrize(
    ("text", "outputs"),
    [
        ("one", ["one"]),
        ("one\r\nand\r\n---\r\ntwo\r\n", ["one\nand", "two"]),
        ("one\n---\n---\ntwo", ["one", "", "two"]),  # of three the second says nothing
        ("---\none\n---", ["", "one", ""]),
        ("a --- b\n----\nc", ["a --- b\n----\nc"]),
    ],
)
def test_outputs_are_parted_by_lines_of_three_dashes(text, outputs):
    assert parts(text) == outputs


@pytest.mark.slow
def test_the_page_shows_the_best_output_first(page, server, reward):
    where = address("version-score", reward)
    answer = page.post(where, {"prompt": "Say", "completions": "one\r\n---\r\ntwo\r\n---\r\n" + "x" * 600})
    scored = answer.context["scored"]
    expected = dict(zip(("one", "two", "x" * 600), scores_of(reward, "Say", ["one", "two", "x" * 600]), strict=True))
    assert {one.text: one.judged.score for one in scored} == pytest.approx(expected, abs=1e-4)
    assert [one.text for one in scored] == sorted(expected, key=expected.get, reverse=True)
    assert b"1 output did not fit into the model" in answer.content
    fragment = page.post(where, {"prompt": "Say", "completions": "one"}, headers={"HX-Request": "true"})
    assert b"<html" not in fragment.content
    assert b'id="scores-h"' in fragment.content


@pytest.mark.slow
def test_the_trace_stands_there_as_colours_and_as_values(page, server, reward):
    asked = {"prompt": "Say", "completions": "so 🦊", "trace": "on"}
    answer = page.post(address("version-score", reward), asked)
    [one] = answer.context["scored"]
    assert "".join(step.point.text for step in one.steps) == "so 🦊"
    full = max(2.0, *(abs(step.point.score) for step in one.steps))
    for step in one.steps:
        assert step.heat == round(4 * step.point.score / full)
    assert sum(step.change for step in one.steps[1:]) == pytest.approx(one.judged.score - one.steps[0].point.score)
    assert answer.content.count(b"<tr><th") == 1 + len(one.steps)


def test_what_cannot_be_scored_is_said_beside_its_field(page, reward, tiny):
    where = address("version-score", reward)
    assert page.get(where).status_code == 200
    empty = page.post(where, {"prompt": "Say"})
    assert empty.status_code == 400
    assert b"Write the output to score first." in empty.content
    many = page.post(where, {"completions": "\n---\n".join("x" * 101)})
    assert b"Here 100 outputs can be scored at once" in many.content
    assert b"up to 20000 characters" in page.post(where, {"completions": "x" * 20_001, "trace": "on"}).content
    assert page.get(address("version-score", tiny)).status_code == 400
    assert page.get(address("version-try", reward))["Location"] == where
    assert page.post(address("version-answer", reward), {}).status_code == 400
    assert where in page.get(reward.get_absolute_url()).content.decode()


# Files


@pytest.mark.slow
def test_a_file_is_scored_by_a_job_and_comes_back_with_its_scores(page, server, reward):
    file = a_file("mine.jsonl", "\n".join(map(json.dumps, ROWS)))
    answer = page.post(address("version-score-file", reward), {"file": file})
    job = Job.objects.get()
    assert answer["Location"] == reverse("job", args=[job.pk])
    run_all_waiting()
    job.refresh_from_db()
    assert (job.state, job.done, job.total) == ("done", 2, 2)
    assert job.result["notes"][0] == "4 outputs were scored."
    assert job.result["notes"][1].startswith("1 output was longer than the model's context")
    assert "Say" in page.get(job.result["url"]).content.decode()
    lines = b"".join(page.get(job.result["url"], {"as": "json"}).streaming_content).decode().splitlines()
    first, second = map(json.loads, lines)
    assert {key: first[key] for key in ROWS[0]} == ROWS[0]
    assert first["scores"] == pytest.approx(scores_of(reward, "Say", ROWS[0]["completions"]), abs=1e-4)
    assert first["cut"] == [False, False, True]
    assert second["scores"] == pytest.approx(scores_of(reward, ROWS[1]["prompt"], ["Hello."]), abs=1e-4)
    table = b"".join(page.get(job.result["url"], {"as": "csv"}).streaming_content).decode()
    assert [json.loads(row["scores"]) for row in csv.DictReader(io.StringIO(table))] == [
        first["scores"], second["scores"],
    ]  # fmt: skip
    assert job.result["url"] in page.get(address("version-score", reward)).content.decode()
    other = factories.user("researcher")
    page.force_login(other)
    assert page.get(job.result["url"]).status_code == 404


@pytest.mark.slow
def test_columns_of_scores_stand_beside_those_of_outputs(server, reward, tmp_path):
    (tmp_path / "one.csv").write_text("prompt,completion\nSay,one\n,two\n")
    (tmp_path / "flat.csv").write_text("prompt,completion_1,completion_2\nSay,one,two\n")
    one = scoring.score_file(reward, tmp_path / "one.csv", None, lambda *_at: None)
    assert [row["score"] for row in one.rows] == pytest.approx(
        [*scores_of(reward, "Say", ["one"]), *scores_of(reward, "", ["two"])], abs=1e-4
    )
    [flat] = scoring.score_file(reward, tmp_path / "flat.csv", None, lambda *_at: None).rows
    assert [flat["score_1"], flat["score_2"]] == pytest.approx(scores_of(reward, "Say", ["one", "two"]), abs=1e-4)
    out = tmp_path / "scored.jsonl"
    call_command("score", "scorer:v1", str(tmp_path / "one.csv"), out=out, stderr=io.StringIO())
    assert [json.loads(line) for line in out.read_text().splitlines()] == one.rows
    with pytest.raises(CommandError, match="there already"):
        call_command("score", "scorer:v1", str(tmp_path / "one.csv"), out=out)


def test_all_rows_that_make_no_sense_are_named_and_nothing_is_scored(page, api, reward, tiny):
    def kept() -> set[Path]:
        return set(Path(settings.UPLOADS).glob("files/*/*"))

    before = kept()
    wrong = '{"prompt": "a"}\n{"prompt": 1, "completion": "b"}\n[]\n{"prompt": "a", "completions": []}'
    for client, name, sent in (
        (page, "version-score-file", {"text": wrong}),
        (api, "api-version-score-file", {"file": a_file("rows.jsonl", wrong)}),
    ):
        answer = client.post(address(name, reward), sent, headers={"Accept": "application/json"})
        assert answer.status_code == 400
        told = answer.json()["problems"]
        assert [line.partition(":")[0] for line in told] == ["Line 1", "Line 2", "Line 3", "Line 4"]
    assert page.post(address("version-score-file", reward), {}).status_code == 400
    assert page.post(address("version-score-file", tiny), {"text": json.dumps(ROWS[0])}).status_code == 400
    assert not Job.objects.exists()
    assert kept() == before


def test_a_file_that_holds_no_scores_is_shown_to_nobody_as_if_it_did(page, api, admin):
    brought = uploads.keep(admin, "mine.jsonl", [json.dumps(ROWS[1]).encode()])
    for client, name in ((page, "scored"), (api, "api-scored")):
        assert client.get(reverse(name, args=[brought.id])).status_code == 404


@pytest.mark.django_db(transaction=True)
def test_while_a_file_is_read_people_can_submit(admin, reward, monkeypatch):
    """Reading takes seconds; on SQLite a transaction would hold up everybody for so long."""
    read, within = scoring.read, []

    def look(*given):
        within.append(connection.in_atomic_block)
        return read(*given)

    monkeypatch.setattr(scoring, "read", look)
    upload = uploads.keep(admin, "rows.jsonl", [json.dumps(ROWS[0]).encode()])
    actions.start_scoring_file(actor=admin, version=reward, upload=upload)
    assert within == [False]


def test_a_reward_models_page_leads_to_what_learns_from_its_scores(page, reward, tiny):
    told = page.get(reward.get_absolute_url()).content.decode()
    assert "Train a model by its scores" in told
    for method in ("ppo", "rloo", "grpo"):
        assert f"?method={method}&amp;inputs.reward_model={reward.pk}" in told
    assert "Train a model by its scores" not in page.get(tiny.get_absolute_url()).content.decode()


def test_a_reward_models_page_tells_the_scale_that_its_scores_are_counted_on(page, reward, tiny):
    scale = json.loads((reward.folder / "reward.json").read_text())
    told = page.get(reward.get_absolute_url()).content.decode()
    assert f"(raw − {figure(scale['mean'])}) ÷ {figure(scale['std'])}" in told
    assert "Scale of the scores" not in page.get(tiny.get_absolute_url()).content.decode()


def test_what_is_wrong_with_rows_is_said_over_the_form_and_leaves_what_was_pasted(page, reward):
    answer = page.post(
        address("version-score-file", reward), {"text": '{"prompt": "a"}'}, headers={"HX-Request": "true"}
    )
    assert (answer.status_code, answer["HX-Retarget"]) == (400, "#problems")
    assert "Line 1: it needs" in answer.content.decode()
    begun = page.post(
        address("version-score-file", reward), {"text": json.dumps(ROWS[0])}, headers={"HX-Request": "true"}
    )
    assert begun["HX-Redirect"] == reverse("job", args=[Job.objects.get().pk])


def test_without_script_the_refusal_leads_back_to_the_form(page, reward):
    where = f"http://testserver{address('version-score', reward)}"
    refused = page.post(address("version-score-file", reward), {}, headers={"Referer": where})
    assert f'href="{where}">Back</a>' in refused.content.decode()
    for elsewhere in ("http://elsewhere.example/form", ""):
        refused = page.post(address("version-score-file", reward), {}, headers={"Referer": elsewhere})
        assert ">Back</a>" not in refused.content.decode()


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "p", "completions": ["a", "b"], "scores": [1.0, -2.0], "std_between": [0.5, 0.25], "cut": [False, True]},
        {"prompt": "p", "completion_1": "a", "completion_2": "b", "score_1": 1.0, "score_2": -2.0, "std_between_1": 0.5, "std_between_2": 0.25, "cut": True},
    ],
)  # fmt: skip
def test_every_output_of_a_row_stands_beside_what_was_said_of_it(row):
    prompt, outputs = scoring.told(row)
    assert prompt == "p"
    assert [(one.text, one.score, one.spread) for one in outputs] == [("a", 1.0, 0.5), ("b", -2.0, 0.25)]
    assert outputs[1].cut


def test_a_single_output_needs_no_number():
    _prompt, [one] = scoring.told({"prompt": "", "completion": "a", "score": 1.0, "cut": False})
    assert (one.text, one.score, one.spread, one.cut) == ("a", 1.0, None, False)


def test_a_file_waits_and_can_be_cancelled(page, reward):
    page.post(address("version-score-file", reward), {"text": json.dumps(ROWS[0])})
    page.post(reverse("job-cancel", args=[Job.objects.get().pk]))
    run_all_waiting()
    assert Job.objects.get().state == "cancelled"


# REST


@pytest.mark.slow
def test_rest_scores_rows_and_files(api, server, reward):
    told = api.post(address("api-version-score", reward), {"rows": ROWS[:1] and [
        {"prompt": row["prompt"], "completions": row["completions"]} for row in ROWS
    ]}, format="json").json()  # fmt: skip
    expected = [scores_of(reward, row["prompt"], row["completions"]) for row in ROWS]
    assert [[one["score"] for one in row] for row in told["rows"]] == [
        pytest.approx(row, abs=1e-4) for row in expected
    ]
    assert (told["cut"], told["std"], told["rows"][0][0]["trace"]) == (1, 2.0, None)
    asked = {"rows": [{"prompt": "Say", "completions": [" so"]}], "trace": True}
    [[one]] = api.post(address("api-version-score", reward), asked, format="json").json()["rows"]
    assert [point["text"] for point in one["trace"]] == [" ", "s", "o", ""]
    assert one["trace"][-1]["score"] == one["score"]

    before = ROWS[0] | {"std_between": [9.0] * 3}  # an ensemble has scored it before
    file = a_file("mine.jsonl", "\n".join(map(json.dumps, [before, ROWS[1]])))
    begun = api.post(address("api-version-score-file", reward), {"file": file})
    assert begun.status_code == 202
    run_all_waiting()
    result = Job.objects.get().result["url"].strip("/").rpartition("/")[2]
    lines = b"".join(api.get(reverse("api-scored", args=[result])).streaming_content).decode().splitlines()
    assert [len(json.loads(line)["scores"]) for line in lines] == [3, 1]
    assert not any("std_between" in json.loads(line) for line in lines)
    assert api.get(reverse("api-scored", args=[result]), {"as": "xml"}).status_code == 400


def test_rest_says_what_is_wrong_with_rows(api, reward, tiny):
    def status(version, **asked) -> int:
        return api.post(address("api-version-score", version), asked, format="json").status_code

    row = {"prompt": "x", "completions": ["y"]}
    assert status(reward, rows=[]) == 400
    assert status(reward, rows=[row | {"completions": []}]) == 400
    assert status(reward, rows=[row | {"prompt": [{"role": "user"}]}]) == 400
    assert status(reward, rows=[row] * 257) == 400
    assert status(tiny, rows=[row]) == 400


@pytest.mark.slow
def test_reward_models_over_one_base_stand_beside_each_other(page, server, tiny, reward, made, tmp_path):  # noqa: F811
    """Each in a pass of its own over the one loaded base; a model over another base is not offered."""
    from safetensors.torch import load_file, save_file

    from models_registry.lm.chain import load
    from models_registry.lm.score import rewards

    first = registered(tiny, made("reward"))
    folder = shutil.copytree(first.folder, tmp_path / "second")
    tensors = load_file(folder / "adapter_model.safetensors")
    turned = {name: -tensor if "score" in name else tensor for name, tensor in tensors.items()}
    save_file(turned, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    second = registered(tiny, folder)
    where = address("version-score", first)
    content = page.get(where).content.decode()
    assert "Beside it" in content
    assert str(second) in content
    assert str(reward) not in content
    assert "Beside it" not in page.get(address("version-score", reward)).content.decode()

    answer = page.post(where, {"prompt": "Say", "completions": "one\r\n---\r\ntwo", "others": [second.pk]})
    for one in answer.context["scored"]:
        [(version, judged)] = one.others
        assert version == second
        expected = [rewards(load([tiny.folder, each.folder]), [("Say", one.text)])[0] for each in (first, second)]
        assert [one.judged.score, judged.score] == pytest.approx(expected, abs=1e-3)
        assert one.mean == pytest.approx(statistics.fmean(expected), abs=1e-3)
        assert one.std_between == pytest.approx(statistics.stdev(expected), abs=1e-3)
        assert one.std_between > 0.01
    assert "all together" in answer.content.decode()
    assert page.post(where, {"completions": "one", "others": [reward.pk]}).status_code == 400


@pytest.mark.slow
def test_how_unsure_an_ensemble_is_stands_beside_its_scores(page, api, server, ensemble, tmp_path):
    """On its page, in files of each shape, over REST and from the command."""
    [[one, two]] = serving_client.judge(ensemble, [("Say", ["one", "two"])]).rows
    apart = [one.std_between, two.std_between]
    answer = page.post(address("version-score", ensemble), {"prompt": "Say", "completions": "one\r\n---\r\ntwo"})
    assert f"± {figure(one.std_between)}" in answer.content.decode()
    assert "4 heads" in answer.content.decode()
    assert ensemble.facts["members"] == 4
    assert "Heads" in page.get(ensemble.get_absolute_url()).content.decode()
    (tmp_path / "one.csv").write_text("prompt,completion\nSay,one\n")
    (tmp_path / "flat.csv").write_text("prompt,completion_1,completion_2\nSay,one,two\n")
    (tmp_path / "list.jsonl").write_text('{"prompt": "Say", "completions": ["one", "two"]}\n')
    scored = {}
    for path in [path for path in tmp_path.iterdir() if path.is_file()]:
        out = tmp_path.parent / f"{path.stem}-scored.jsonl"
        call_command("score", "ensemble:v1", str(path), out=out, stderr=io.StringIO())
        scored[path.stem] = json.loads(out.read_text())
    assert scored["one"]["std_between"] == pytest.approx(apart[0], abs=1e-4)
    assert [scored["flat"]["std_between_1"], scored["flat"]["std_between_2"]] == pytest.approx(apart, abs=1e-4)
    assert scored["list"]["std_between"] == pytest.approx(apart, abs=1e-4)
    rows = {"rows": [{"prompt": "Say", "completions": ["one", "two"]}]}
    told = api.post(address("api-version-score", ensemble), rows, format="json").json()["rows"][0]
    assert [each["std_between"] for each in told] == pytest.approx(apart, abs=1e-4)
    assert told[0]["by_head"] == pytest.approx(one.by_head, abs=1e-4)


# Tasks


def test_of_an_ensemble_it_is_what_a_comparison_would_tell_about_which_head_is_right():
    agree, torn = [(2.0, 2.0), (0.0, 0.0)], [(30.0, -30.0), (0.0, 0.0)]
    assert disagreement(agree, 1.0) == 0
    assert disagreement([(1.0, 1.0), (1.0, 1.0)], 1.0) == 0  # known to be alike: nothing to learn
    assert disagreement(torn, 1.0) == pytest.approx(1)
    assert disagreement([*torn, (0.0, 0.0)], 1.0) == pytest.approx(2 / 3)  # of three pairs one is known
    assert 0 < disagreement([(1.0, 0.5), (0.0, 0.0)], 1.0) < disagreement([(1.0, -0.5), (0.0, 0.0)], 1.0)
    assert disagreement([(900.0, -900.0), (-900.0, 900.0)], 9.0) == pytest.approx(1)


@pytest.mark.slow
def test_an_ensemble_puts_the_tasks_first_about_which_its_heads_disagree(page, server, ensemble):
    project = factories.project(tasks=6, outputs=3, random_percent=0)
    page.post(reverse("project-order", args=[project.slug]), {"do": "model", "version": ensemble.pk})
    run_all_waiting()
    tasks = list(project.tasks.order_by("position"))
    assert [task.score for task in tasks] == sorted((task.score for task in tasks), reverse=True)
    for task in tasks:
        texts = [item.completion.text for item in task.items.all()]
        judgement = serving_client.judge(ensemble, [(task.prompt.content, texts)])
        found = disagreement([each.by_head for each in judgement.rows[0]], judgement.std)
        assert task.score == pytest.approx(found, abs=1e-3)


def test_uncertainty_is_that_about_the_best_two():
    assert uncertainty([0.3, -4.0, 0.3], 1.0) == 1
    assert uncertainty([1.0, 2.0, -3.0], 0.5) == pytest.approx(2 / (1 + math.exp(0.5)))
    assert uncertainty([900.0, -900.0], 9.0) == 0
    assert uncertainty([1.0, 1.1], 1) > uncertainty([1.0, 1.2], 1)


@pytest.mark.slow
def test_a_model_puts_the_tasks_first_about_which_it_is_least_certain(page, api, admin, server, reward):
    project = factories.project(tasks=40, outputs=3, random_percent=0)
    where = reverse("project-order", args=[project.slug])
    assert "scorer:v1" in page.get(where).content.decode()
    page.post(where, {"do": "model", "version": reward.pk})
    job = Job.objects.get()
    run_all_waiting()
    job.refresh_from_db()
    assert job.state == "done", job.error
    project.refresh_from_db()
    assert project.active_order
    tasks = list(project.tasks.order_by("position"))
    assert [task.score for task in tasks] == sorted((task.score for task in tasks), reverse=True)
    for task in tasks[:3]:
        scores = scores_of(reward, task.prompt.content, [item.completion.text for item in task.items.all()])
        assert task.score == pytest.approx(uncertainty(scores, 2.0), abs=1e-3)
    event = AuditEntry.objects.get(verb="tasks.score_by_model")
    assert (event.data["model"], event.data["waiting"]) == ("scorer:v1", 40)
    assert "let scorer:v1 score the waiting tasks of" in page.get(reverse("audit")).content.decode()

    order = [task.pk for task in tasks]
    begun = api.post(
        reverse("api-scores-by-model", args=[project.slug]), {"model": "scorer", "seed": 1}, format="json"
    )
    assert begun.status_code == 202
    run_all_waiting()
    assert list(project.tasks.order_by("position").values_list("pk", flat=True)) == order


def test_only_who_may_ask_models_has_them_score_tasks(admin, reward, tiny):
    project = factories.project(tasks=1)
    manager = factories.user()
    actions.add_members(actor=admin, project=project, users=[manager], role="admin")
    with pytest.raises(Refusal) as refused:
        actions.start_scoring_tasks(actor=manager, project=project, version=reward)
    assert refused.value.status == 403
    with pytest.raises(Refusal, match="no reward model"):
        actions.start_scoring_tasks(actor=admin, project=project, version=tiny)
    with pytest.raises(Refusal, match="nothing to score"):
        actions.start_scoring_tasks(actor=admin, project=factories.project(), version=reward)
    assert not Job.objects.exists()


def test_a_job_says_when_no_model_server_runs(admin, reward, settings):
    settings.MODELS_PORT = 9  # nothing answers there
    project = factories.project(tasks=1)
    actions.start_scoring_tasks(actor=admin, project=project, version=reward)
    run_all_waiting()
    assert "The model server is not running" in Job.objects.get().error
    assert project.tasks.get().score is None


# The best of several outputs


@pytest.mark.slow
def test_of_so_many_outputs_the_one_with_the_highest_score_is_kept(server, reward):
    texts = ["one", "two", "three", "four", "five", "six"]
    scores = scores_of(reward, "Say", texts)
    written = {5: [Written(text, "eos") for text in texts]}
    kept = sampling.best_of(reward, {5: Prompt(content="Say")}, written, 3)[5]
    best = [max(range(begin, begin + 3), key=scores.__getitem__) for begin in (0, 3)]
    assert [one.text for one in kept] == [texts[place] for place in best]
    assert [one.score for one in kept] == pytest.approx([scores[place] for place in best], abs=1e-4)


@pytest.mark.slow
def test_a_sampling_keeps_the_best_and_says_so(page, admin, server, reward, tiny):
    project = factories.project(actor=admin)
    add_tasks(project, [NewTask(f"Once there was a {animal}") for animal in ("cat", "dog", "cow")])
    settings = {
        "versions": [tiny.pk], "outputs": 2, "temperature": 1, "top_p": 1, "max_tokens": 8, "seed": 1,
        "best_of": 4, "judge": reward.pk,
    }  # fmt: skip
    where = reverse("project-sample", args=[project.slug])
    assert b"choose both" in page.post(where, settings | {"best_of": 1}).content
    assert b"choose both" in page.post(where, settings | {"judge": ""}).content
    page.post(where, settings)
    run_all_waiting()
    assert Job.objects.get().state == "done", Job.objects.get().error
    best = list(Completion.objects.select_related("prompt"))
    assert len(best) == 6
    for one in best:
        assert (one.sampling["best_of"], one.sampling["judge"]) == (4, "scorer:v1")
        assert [one.sampling["score"]] == pytest.approx(scores_of(reward, one.prompt.content, [one.text]), abs=1e-3)
    task = project.tasks.first()
    assert "best of 4 by scorer:v1" in page.get(reverse("project-task", args=[project.slug, task.pk])).content.decode()

    sampling.sample(project, Plan((tiny.pk,), outputs=2, max_tokens=8, seed=1), lambda *_at: None)
    usual = Completion.objects.exclude(pk__in=[one.pk for one in best])
    scores = [scores_of(reward, one.prompt.content, [one.text])[0] for one in usual]
    assert len(scores) == 6
    assert sum(one.sampling["score"] for one in best) > sum(scores)


# In a browser


@pytest.mark.browser
@pytest.mark.slow
def test_scores_come_without_a_new_page_and_their_values_unfold(open_page, admin, server, reward):
    page = open_page(reward.get_absolute_url(), admin)
    page.set_default_timeout(LONGEST * 1000)
    page.get_by_role("link", name="Score", exact=True).click()
    page.get_by_label("Prompt").fill("Say")
    page.get_by_label("Outputs").fill("one\n---\ntwo")
    page.get_by_label("Show how the score comes about").check()
    page.get_by_role("button", name="Score", exact=True).click()
    outputs = page.locator(".scored > li")
    expect(outputs).to_have_count(2, timeout=LONGEST * 1000)
    [[*judged]] = serving_client.judge(reward, [("Say", ["one", "two"])]).rows
    best = max(judged, key=lambda one: one.score)
    expect(outputs.first.locator(".score")).to_have_text(f"{best.score:.3f}".replace("-", "−"))
    expect(page.get_by_label("Outputs")).to_have_value("one\n---\ntwo")
    outputs.first.get_by_text("Show the values").click()
    expect(outputs.first.get_by_role("row")).to_have_count(1 + 4)
    page.get_by_label("Outputs").fill("x\n---\n" * 100)
    page.get_by_role("button", name="Score", exact=True).click()
    expect(page.locator("#problems")).to_contain_text("Here 100 outputs can be scored at once")
    expect(outputs).to_have_count(2)
    page.get_by_label("Or paste rows").fill('{"prompt": "a"}')
    page.get_by_role("button", name="Score the file").click()
    expect(page.locator("#problems")).to_contain_text("Line 1: it needs")
    expect(page.get_by_label("Or paste rows")).to_have_value('{"prompt": "a"}')
