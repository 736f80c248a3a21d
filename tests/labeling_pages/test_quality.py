"""The quality page tells what the statistics say of the rankings that count; what it keeps is never older than the newest ranking."""

import csv
import io
import json
import os
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from labeling import actions, quality
from labeling.actions.tasks import add_tasks
from labeling.importing.load import import_prompts
from labeling.models import Assignment, Task
from labeling.quality import Quality
from labeling.statistics import agreement
from people.models import Role
from tests import factories
from tests.cost import core_seconds
from tests.labeling_pages.conftest import signed_in
from tests.labeling_pages.judging import as_shown, say

pytestmark = pytest.mark.django_db


@pytest.fixture
def project(admin):
    """Six tasks of three outputs, in two languages, each ranked by two people who agree on four of them."""
    made = factories.project(actor=admin, overlap=2)
    rows = [factories.task(number, 3, meta={"language": "en" if number < 3 else "id"}) for number in range(6)]
    add_tasks(made, rows)
    made.refresh_from_db()
    one, other = factories.user(first_name="Ayu"), factories.user(first_name="Budi")
    say(one, made, *["A > B > C"] * 6, seconds=20.0)
    say(other, made, *["A > B > C"] * 4, "C > B > A", "B = A > C", seconds=40.0)
    return made


def page_of(client, project, **query):
    return client.get(reverse("project-quality", args=[project.slug]), query)


def part_of(client, project, part, **query):
    return client.get(reverse("project-quality-part", args=[project.slug, part]), query)


def test_a_project_without_tasks_says_what_to_do(page, admin, said):
    text = said(page_of(page, factories.project(actor=admin)))
    assert "nothing to judge yet" in text
    assert "Import" in text


@pytest.mark.slow
def test_one_person_alone_agrees_with_nobody_and_the_page_says_so(page, admin, said):
    project = factories.project(actor=admin, tasks=3, outputs=3)
    say(factories.user(), project, "A > B > C", "A > B > C")
    text = said(page_of(page, project, all=1))
    assert "No task has been ranked by two people" in text
    assert Quality(project)["agreement"]["three_way"]["raw"]["value"] is None


@pytest.mark.slow
def test_the_figures_are_those_of_the_statistics(page, project, said):
    three_way = agreement.three_way(Quality(project).read.judgements)
    # 18 pairs: 3 turned round, 1 tied by one of the two
    assert (three_way.raw.n, three_way.raw.value) == (18, pytest.approx(14 / 18))
    text = said(page_of(page, project, all=1))
    assert f"78 % {three_way.raw.low:.0%}".rstrip("%") in text  # and its interval
    assert "Two people say the same about 78 of 100 pairs" in text
    assert "12 rankings of 6 tasks by 2 people. 6 tasks were ranked by several." in text


@pytest.mark.slow
def test_what_is_not_worked_out_yet_comes_part_by_part(page, project):
    first = page_of(page, project).content.decode()
    assert reverse("project-quality-part", args=[project.slug, "agreement"]) in first
    assert 'id="agreement"' not in first
    for part, following in [
        ("agreement", "annotators"), ("annotators", "slices"), ("slices", "bias"), ("bias", "models"), ("models", None),
    ]:  # fmt: skip
        body = part_of(page, project, part).content.decode()
        assert f'id="{part}"' in body
        waiting = reverse("project-quality-part", args=[project.slug, following]) if following else 'hx-trigger="load"'
        assert (waiting in body) == (following is not None)
    whole = page_of(page, project).content.decode()
    assert all(f'id="{part}"' in whole for part in ("agreement", "annotators", "slices", "bias", "models"))
    assert 'hx-trigger="load"' not in whole
    assert part_of(page, project, "nonsense").status_code == 404


def test_each_ranking_changes_the_figures_at_once(project):
    before = Quality(project)["agreement"]
    assignment = project.assignments.filter(annotator__first_name="Budi").order_by("finished_at").last()
    actions.revise_ranking(
        actor=assignment.annotator,
        assignment=assignment,
        notation=as_shown(assignment, "A > B > C"),
        client_key="another mind",
    )
    after = Quality(project)["agreement"]
    assert after["three_way"]["raw"]["value"] == pytest.approx(15 / 18)
    assert before["three_way"]["raw"]["value"] == pytest.approx(14 / 18)


def test_other_rankings_with_the_same_sums_have_other_figures(project, admin):
    """Closing the second and third task leaves out rankings whose numbers add up to those of the first and fourth."""
    first, second, third, fourth, *_rest = project.tasks.order_by("pk")
    keys = []
    for closed in ([first, fourth], [second, third]):
        for task in closed:
            actions.close_task(actor=admin, task=task)
        keys.append(Quality(project).key)
        for task in closed:
            actions.reopen_task(actor=admin, task=task)
    assert keys[0] != keys[1]


def test_how_tasks_were_chosen_and_rankings_of_closed_tasks_are_never_stale(project, admin):
    keys = [Quality(project).key]
    task = project.tasks.filter(submitted__gt=1).first()
    project.tasks.filter(pk=task.pk).update(chosen="random")
    keys.append(Quality(project).key)
    actions.close_task(actor=admin, task=task)
    keys.append(Quality(project).key)
    turn = task.assignments.select_related("annotator").first()
    said = as_shown(turn, "C > A = B")
    actions.revise_ranking(actor=turn.annotator, assignment=turn, notation=said, client_key="of a closed task")
    keys.append(Quality(project).key)
    assert len(set(keys)) == 4


def test_what_was_worked_out_is_read_by_other_processes_and_the_old_goes(project, monkeypatch):
    found = Quality(project)["agreement"]
    quality._tables.clear()
    monkeypatch.setitem(quality.PARTS, "agreement", lambda found: pytest.fail("worked out again"))
    assert Quality(project)["agreement"] == found
    monkeypatch.undo()
    folder = Quality(project)._folder
    actions.close_task(actor=factories.admin(), task=project.tasks.first())
    Quality(project)["agreement"]
    assert len(list(folder.glob("agreement-*.json"))) == 1


def test_other_code_works_its_figures_out_anew(project, monkeypatch):
    before = Quality(project).key
    monkeypatch.setattr(quality, "_code", lambda: "newer")
    assert Quality(project).key != before


def test_tasks_closed_for_review_turns_at_gold_tasks_and_spare_rankings_do_not_count(project, admin):
    closed = project.tasks.first()
    actions.close_task(actor=admin, task=closed)
    assert Quality(project)["agreement"]["rankings"] == 10
    gold = project.tasks.last()
    Task.objects.filter(pk=gold.pk).update(kind=Task.Kind.GOLD)
    assert Quality(project)["agreement"]["rankings"] == 10  # said before the answer was known to anybody
    Assignment.objects.filter(task=gold).update(aside=True, slot=None)
    assert Quality(project)["agreement"]["rankings"] == 8
    spare = project.assignments.filter(task=project.tasks.all()[2]).first()
    Assignment.objects.filter(pk=spare.pk).update(state=Assignment.State.SPARE, slot=None)
    assert Quality(project)["agreement"]["rankings"] == 7


def test_an_offered_repeat_counts_for_agreement_with_oneself_alone(project):
    person = project.assignments.filter(annotator__first_name="Ayu").first().annotator
    first = project.assignments.filter(annotator=person).order_by("finished_at").first()
    again = Assignment.objects.create(
        project=project,
        task=first.task,
        annotator=person,
        repeat=1,
        aside=True,
        display=first.display,
        claimed_at=first.claimed_at,
    )
    before = Quality(project)["agreement"]
    actions.submit_ranking(
        actor=person, assignment=again, notation=as_shown(again, "A > C > B"), client_key="once more"
    )
    data = Quality(project)["agreement"]
    assert (data["rankings"], data["repeats"]) == (12, 1)
    assert data["three_way"] == before["three_way"]
    assert data["themselves"]["three_way"]["raw"]["value"] == pytest.approx(2 / 3)


def test_the_order_in_which_an_import_showed_outputs_is_not_known(project):
    Assignment.objects.update(imported=True)
    assert {each.display for each in Quality(project).read.judgements} == {()}
    assert Quality(project)["bias"]["position"]["earlier_wins"]["value"] is None


@pytest.mark.slow
def test_people_are_sorted_by_what_is_asked_for(page, project, said):
    text = said(part_of(page, project, "annotators", sort="seconds"))
    assert text.index("Ayu") < text.index("Budi")
    text = said(part_of(page, project, "annotators", sort="-seconds"))
    assert text.index("Budi") < text.index("Ayu")
    assert 'aria-sort="descending"' in part_of(page, project, "annotators", sort="-seconds").content.decode()


@pytest.mark.slow
def test_parts_of_the_project_are_what_the_import_said_and_rounds(page, project, said, admin):
    found = Quality(project)["slices"]
    assert {name: sorted(values) for name, values in found.items()} == {"language": ["en", "id"]}
    assert found["language"]["en"]["three_way"]["raw"]["value"] == 1.0
    assert "Language" in said(part_of(page, project, "slices"))
    for number, task in enumerate(project.tasks.all()):
        batch, _new = project.batches.get_or_create(name=f"Round {number % 2}")
        Task.objects.filter(pk=task.pk).update(batch=batch)
    assert sorted(Quality(project)["slices"]["round"]) == ["Round 0", "Round 1"]


def test_models_are_compared_by_the_pairs_that_people_ranked(page, project, said):
    strengths = Quality(project)["models"]["comparison"]["strengths"]
    assert [each["source"] for each in strengths] == ["system A", "system B", "system C"]
    # Of its 24 pairs, A lost two to the one who turned a task round, and tied one.
    assert (strengths[0]["wins"], strengths[0]["ties"], strengths[0]["losses"]) == (21, 1, 2)
    assert "system A" in said(part_of(page, project, "models"))


def test_reliability_weighs_rankings_and_the_mean_is_one(project):
    weights = quality.weights(project)
    counts = dict.fromkeys(weights, 6)
    assert sum(weights[pk] * counts[pk] for pk in weights) / sum(counts.values()) == pytest.approx(1, abs=1e-4)


def test_who_shares_no_task_weighs_as_a_typical_person(admin):
    project = factories.project(actor=admin, tasks=3, outputs=3)
    alone = factories.user()
    say(alone, project, "A > B > C", "B > A > C")
    assert quality.weights(project) == {alone.pk: 1.0}


# Files, REST, the command


def test_the_files_hold_the_figures(page, project):
    def table(name):
        response = page.get(reverse("project-quality-file", args=[project.slug, name]))
        return list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))

    people = {row["annotator"]: row for row in table("annotators.csv")}
    assert people["Ayu"]["rankings"] == "6"
    assert float(people["Ayu"]["same_answers"]) == pytest.approx(14 / 18)
    assert {row["value"] for row in table("slices.csv")} == {"en", "id"}
    assert table("models.csv")[0]["model"] == "system A"
    worst = min(table("tasks.csv"), key=lambda row: float(row["tau_x"]))
    assert float(worst["tau_x"]) == -1
    assert page.get(reverse("project-quality-file", args=[project.slug, "secrets.csv"])).status_code == 404


@pytest.mark.slow
def test_pictures_are_there_for_other_programs(page, project):
    body = page_of(page, project, all=1).content.decode()
    address = reverse("project-quality-file", args=[project.slug, "models-0.vl.json"])
    assert address in body
    spec = page.get(address).json()
    assert [row["label"] for row in spec["data"]["values"]] == ["system A", "system B", "system C"]
    for name in ("models-7.vl.json", "moods-0.vl.json"):
        assert page.get(reverse("project-quality-file", args=[project.slug, name])).status_code == 404


def test_a_name_that_looks_like_a_formula_stays_a_text(page, project):
    person = project.assignments.filter(annotator__first_name="Ayu").first().annotator
    person.first_name = "=1+1"
    person.save()
    response = page.get(reverse("project-quality-file", args=[project.slug, "annotators.csv"]))
    assert "'=1+1" in b"".join(response.streaming_content).decode()


def test_rest_and_the_command_give_the_same_report(page, project, capsys):
    over_rest = page.get(reverse("api-quality", args=[project.slug])).json()
    call_command("quality", project.slug, "--json")
    assert json.loads(capsys.readouterr().out) == over_rest
    assert over_rest["agreement"]["three_way"]["raw"]["n"] == 18
    assert {person["name"] for person in over_rest["annotators"]["people"].values()} == {"Ayu", "Budi"}
    part = page.get(reverse("api-quality", args=[project.slug]), {"part": "bias"}).json()
    assert part == over_rest["bias"]
    assert page.get(reverse("api-quality", args=[project.slug]), {"part": "mood"}).status_code == 400
    call_command("quality", project.slug)
    assert "same answers" in capsys.readouterr().out
    with pytest.raises(CommandError, match=project.slug):
        call_command("quality", "nowhere")


def test_who_ranks_does_not_see_it_unless_the_project_gives_them_a_role(project):
    annotator = factories.user()
    assert page_of(signed_in(annotator), project).status_code == 403
    project.memberships.create(user=annotator, role=Role.RESEARCHER)
    assert page_of(signed_in(annotator), project).status_code == 200
    other = factories.project(tasks=1)
    assert page_of(signed_in(annotator), other).status_code == 403


# Real rankings


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("PERINGKAT_REAL_DATA"), reason="needs PERINGKAT_REAL_DATA")
def test_the_page_of_the_wmt_rankings_is_quick(page, admin):
    """3,963 rows by 102 people."""
    path = Path(os.environ["PERINGKAT_REAL_DATA"]) / "data/wmt12-rankings/rankings.jsonl"
    if not path.exists():
        pytest.skip("no WMT rankings there")
    project = factories.project(actor=admin)
    import_prompts(actor=admin, project=project, path=path)
    shown = []
    assert core_seconds(lambda: shown.append(page_of(page, project, all=1))) < 2
    assert shown[0].status_code == 200
    data = Quality(project)["agreement"]
    assert (data["rankings"], data["repeats"], data["annotators"]) == (3911, 42, 102)
    assert data["three_way"]["raw"]["value"] == pytest.approx(0.576, abs=0.01)
    assert data["alpha"]["value"] == pytest.approx(0.42, abs=0.02)
    assert Quality(project)["slices"]["pair"].keys() == {"de-en", "es-en", "fr-en"}
