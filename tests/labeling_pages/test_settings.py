"""How a project is set up: its settings and their groups, the question editor, copies and settings files, in the browser and over REST."""

import json
import re

import pytest
from django.urls import reverse
from rest_framework.test import APIClient

from labeling import actions
from labeling.models import Project, Ranking, Task
from labeling.project_settings import SETTINGS
from labeling.questions import PRESETS
from people.errors import Refusal
from people.models import AuditEntry
from tests import factories
from tests.labeling_pages.conftest import a_file, signed_in
from tests.labeling_pages.test_projects import DEFAULTS

pytestmark = pytest.mark.django_db

QUALITY = PRESETS["quality"].definition()


@pytest.fixture
def rest(admin) -> APIClient:
    client = APIClient()
    client.force_authenticate(admin)
    return client


def rest_of(project: Project) -> str:
    return reverse("api-project", args=[project.slug])


def folded(response) -> dict[str, bool]:
    """The headings of the groups that fold, and whether each is folded now."""
    groups = re.findall(r'<details class="fold"( open)?>\s*<summary><h2>([^<]*)', response.content.decode())
    return {heading: not is_open for is_open, heading in groups}


# Settings


def test_every_setting_has_a_field_or_a_page_of_its_own(page):
    project = factories.project()
    body = page.get(reverse("project-settings", args=[project.slug])).content.decode()
    named = set(re.findall(r'name="([a-z_]+)"', body))
    in_other_units = {"lease_minutes": "lease_seconds", "gold_minimum_percent": "gold_minimum", "qualification_minimum_percent": "qualification_minimum"}  # fmt: skip
    shown = {in_other_units.get(name, name) for name in named}
    assert SETTINGS.keys() - shown == {"questions"}  # the question editor; state has its buttons


def test_a_newcomer_sees_few_settings_and_what_was_set_is_unfolded(page):
    fresh = folded(page.get("/projects/new/"))
    assert len(fresh) == 4
    assert all(fresh.values())
    project = factories.project(overlap=2, overlap_max=5, heldout_percent=20)
    groups = folded(page.get(reverse("project-settings", args=[project.slug])))
    assert [heading for heading, is_folded in groups.items() if not is_folded] == [
        "Ask more people where they disagree"
    ]


@pytest.mark.slow
def test_all_settings_are_saved_in_the_units_of_the_form(page, said):
    project = factories.project()
    address = reverse("project-settings", args=[project.slug])
    told = said(page.get(address))
    assert "A change holds for new tasks" in told
    assert "A change holds for new prompts" in told
    values = {
        **DEFAULTS, "name": "Tone", "overlap": 2, "overlap_max": 5, "contested_below": "0.25", "gold_percent": 20,
        "gold_minimum_percent": 65, "qualification_minimum_percent": 90, "repeat_percent": 5, "shows_agreement": "on",
        "daily_goal": 30, "content_warning": "Some texts are rude.", "random_percent": 35,
    }  # fmt: skip
    assert page.post(address, values).status_code == 302
    project.refresh_from_db()
    kept = {name: getattr(project, name) for name in ("overlap_max", "contested_below", "gold_minimum", "qualification_minimum", "daily_goal", "shows_agreement", "random_percent")}  # fmt: skip
    assert kept == {
        "overlap_max": 5, "contested_below": 0.25, "gold_minimum": 0.65, "qualification_minimum": 0.9, "daily_goal": 30,
        "shows_agreement": True, "random_percent": 35,
    }  # fmt: skip
    page.post(address, {**values, "overlap_max": "", "daily_goal": ""})
    project.refresh_from_db()
    assert (project.overlap_max, project.daily_goal) == (None, None)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"overlap": 3, "overlap_max": 2}, "People per task at most: it must be 3 or more"),
        ({"overlap": 1, "overlap_max": 4}, "with one person per task nobody can disagree"),
        ({"gold_percent": 50, "repeat_percent": 40}, "together are 90 percent"),
    ],
)
def test_settings_that_make_no_sense_together_are_refused(settings, problem):
    with pytest.raises(Refusal, match=problem):
        factories.project(**settings)


def test_rest_reads_settings_and_changes_them(rest):
    project = factories.project()
    given = rest.get(rest_of(project)).data
    assert set(given) == {"slug", *SETTINGS}
    answer = rest.patch(rest_of(project), {**given, "guidelines": "Be kind.", "daily_goal": 12}, format="json")
    assert answer.status_code == 200
    project.refresh_from_db()
    assert (project.guidelines, project.daily_goal) == ("Be kind.", 12)
    changed = AuditEntry.objects.filter(verb="project.change").latest("pk").data
    assert changed == {"guidelines": ["", "Be kind."], "daily_goal": [None, 12]}


def test_rest_says_all_that_is_wrong_at_once_and_changes_nothing(rest):
    project = factories.project()
    wrong = {"outputs_per_task": 12, "overlap": "many", "open_to_all": "perhaps", "questions": [{"kind": "scale"}]}
    answer = rest.patch(rest_of(project), {"name": "Other", **wrong}, format="json")
    assert answer.status_code == 400
    problems = " ".join(answer.data["problems"])
    for part in (
        "Outputs per task:",
        "People per task:",
        "Everyone who can sign in",
        "Question 1: the key",
        "it needs a title",
    ):
        assert part in problems
    before = project.name
    project.refresh_from_db()
    assert project.name == before


@pytest.mark.parametrize(
    ("name", "value"),
    [("contested_below", "nan"), ("contested_below", "1e400"), ("overlap_max", []), ("daily_goal", {}), ("gold_percent", "inf"),
     ("questions", [{"key": "k", "kind": ["scale"], "title": "T"}]), ("questions", [{"key": "k", "kind": "text", "title": "T", "options": 5}]),
     ("questions", {"kind": "text"}), ("open_to_all", "maybe"), ("name", ""), ("state", "gone")],
)  # fmt: skip
def test_what_no_form_would_send_is_refused_too(rest, name, value):
    project = factories.project()
    assert rest.patch(rest_of(project), {name: value}, format="json").status_code == 400


@pytest.mark.parametrize("name", ["overlap", "contested_below", "daily_goal"])
def test_a_number_that_json_makes_infinite_is_refused(rest, name):
    address = rest_of(factories.project())
    assert rest.patch(address, f'{{"{name}": 1e400}}', content_type="application/json").status_code == 400


@pytest.mark.parametrize("names", [{"actor": 1}, {"project": 2, "owner": "me"}, {"next_position": 1}])
def test_only_settings_are_settings(rest, names):
    project = factories.project()
    answer = rest.patch(rest_of(project), names, format="json")
    assert answer.status_code == 400
    assert len(answer.data["problems"]) == len(names)


def test_a_project_is_made_over_rest(rest):
    answer = rest.post(reverse("api-projects"), {"name": "Tone", "overlap": 3, "questions": QUALITY}, format="json")
    assert answer.status_code == 201
    assert Project.objects.get(slug=answer.data["slug"]).questions == QUALITY
    assert rest.post(reverse("api-projects"), {}, format="json").status_code == 400


# Questions


def posted(questions: list[dict], do: str = "save", **more) -> dict:
    """What the editor's form posts for these questions."""
    fields = {"count": len(questions), "do": do, **more}
    for number, question in enumerate(questions):
        for name, value in question.items():
            if name == "options":
                value = "\n".join(value)
            if name != "required" or value:
                fields[f"{number}-{name}"] = value
    return fields


def editor_of(project: Project) -> str:
    return reverse("project-questions", args=[project.slug])


def titles(response) -> list[str]:
    return re.findall(r'name="\d+-title" value="([^"]*)"', response.content.decode())


def test_questions_are_added_moved_removed_and_only_saving_changes_the_project(page, said):
    project = factories.project()
    address = editor_of(project)
    assert "Nothing is asked yet" in said(page.get(address))
    response = page.post(address, posted([], "preset", preset="quality"))
    assert titles(response) == ["Overall quality"]
    response = page.post(address, posted(QUALITY, "preset", preset="ideal"))
    assert titles(response) == ["Overall quality", "What would the ideal answer be?"]
    two = QUALITY + PRESETS["ideal"].definition()
    assert titles(page.post(address, posted(two, "down:0"))) == ["What would the ideal answer be?", "Overall quality"]
    assert titles(page.post(address, posted(two, "remove:0"))) == ["What would the ideal answer be?"]
    assert len(titles(page.post(address, posted(two, "add")))) == 3
    project.refresh_from_db()
    assert project.questions == []
    page.post(address, posted(two))
    project.refresh_from_db()
    assert [question["key"] for question in project.questions] == ["quality", "ideal"]


def test_a_new_question_gets_a_key_from_its_title(page):
    project = factories.project()
    new = {"key": "", "scope": "output", "kind": "text", "title": "What is missing?", "required": True}
    page.post(editor_of(project), posted([*QUALITY, new, new]))
    project.refresh_from_db()
    assert [question["key"] for question in project.questions] == ["quality", "what_is_missing", "what_is_missing_2"]
    assert project.questions[1]["required"] is True


def test_wrong_questions_are_all_named_and_nothing_is_lost(page, said):
    project = factories.project()
    wrong = [{"key": "", "kind": "scale", "title": "", "low": "7", "high": "x"}, {"key": "", "kind": "choice", "title": "Which?", "options": ["one"]}]  # fmt: skip
    response = page.post(editor_of(project), posted(wrong))
    text = said(response)
    assert response.status_code == 400
    for problem in ("Question 1: it needs a title", "Question 1: the ends of a scale", "Question 2: it needs 2 to"):
        assert problem in text
    assert 'value="Which?"' in response.content.decode()
    project.refresh_from_db()
    assert project.questions == []


def test_the_board_s_way_of_asking_is_shown_while_one_edits(page):
    project = factories.project()
    draft = [{"key": "", "kind": "choice", "scope": "task", "title": "Which tone?", "options": ["warm", "cold"]}]
    preview = page.post(editor_of(project), posted(draft, "look")).content.decode().partition('id="preview"')[2]
    assert re.search(r'type="radio" name="answer\.task\.[a-z0-9]+" value="warm"', preview)


def test_json_is_taken_or_refused_with_its_text_kept(page, said):
    project = factories.project()
    response = page.post(editor_of(project), posted([], "json", json=json.dumps(QUALITY)))
    assert titles(response) == ["Overall quality"]
    response = page.post(editor_of(project), posted([], "json", json="[{"))
    assert response.status_code == 400
    assert "This is no JSON" in said(response)
    assert "[{</textarea>" in response.content.decode()


@pytest.fixture
def answered(admin) -> Project:
    project, annotator = factories.project(actor=admin, tasks=2, questions=QUALITY), factories.user()
    answers = {"outputs": {letter: {"quality": 5} for letter in "ABCD"}}
    actions.submit_ranking(actor=annotator, assignment=factories.claim(annotator, project), notation="A > B > C > D", client_key="k", answers=answers)  # fmt: skip
    return project


def test_answers_stay_when_their_question_is_removed_or_asks_in_another_way(page, said, answered):
    before = Ranking.objects.get().answers
    assert "1 ranking answers it" in said(page.get(editor_of(answered)))
    other = [{**QUALITY[0], "high": 5}]
    page.post(editor_of(answered), posted(other))
    answered.refresh_from_db()
    assert answered.questions[0]["key"] == "quality_2"  # answers of 1–7 and of 1–5 do not mix
    page.post(editor_of(answered), posted([]))
    answered.refresh_from_db()
    assert answered.questions == []
    assert Ranking.objects.get().answers == before


def test_programs_must_give_a_changed_question_another_key_once_it_was_answered(rest, answered):
    changed = [{**QUALITY[0], "kind": "text"}]
    changed = [
        {name: value for name, value in changed[0].items() if name not in ("low", "high", "low_label", "high_label")}
    ]
    answer = rest.patch(rest_of(answered), {"questions": changed}, format="json")
    assert answer.status_code == 400
    assert "give the changed question another key than “quality”" in answer.data["problems"][0]
    titled = [{**QUALITY[0], "title": "How good is it?"}]
    assert rest.patch(rest_of(answered), {"questions": titled}, format="json").status_code == 200


# Copies


@pytest.fixture
def full(admin) -> Project:
    project = factories.project(
        actor=admin,
        tasks=3,
        overlap=2,
        overlap_max=4,
        guidelines="Be kind.",
        questions=QUALITY,
        content_warning="Rude.",
    )
    task = project.tasks.first()
    actions.set_gold(actor=admin, task=task, kind="practice", constraints="A > D, B = C", explanation="A is right.")
    return project


def same_settings(one: Project, other: Project) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in SETTINGS.keys() - {"name", "state"})


def test_a_copy_has_settings_questions_and_known_answers_and_nothing_else(page, full):
    page.post(reverse("project-copy", args=[full.slug]), {"do": "copy", "name": "Round 4", "known_answers": "on"})
    made = Project.objects.get(name="Round 4")
    assert same_settings(made, full)
    task = made.tasks.get()
    assert (task.kind, task.gold_answer.constraints, task.gold_answer.explanation) == ("practice", "A > D, B = C", "A is right.")  # fmt: skip
    assert [item.completion.text for item in task.items.all()] == [item.completion.text for item in full.tasks.first().items.all()]  # fmt: skip
    assert not made.memberships.exists()
    page.post(reverse("project-copy", args=[full.slug]), {"do": "copy", "name": "Bare"})
    assert not Project.objects.get(name="Bare").tasks.exists()


def test_a_settings_file_makes_the_same_project_again(page, full):
    download = page.get(reverse("project-settings-file", args=[full.slug]), {"known": "1"})
    assert f"{full.slug}.json" in download["Content-Disposition"]
    file = a_file("settings.json", download.content.decode())
    page.post(reverse("project-new-from-file"), {"file": file, "name": "From a file"})
    made = Project.objects.get(name="From a file")
    assert same_settings(made, full)
    assert made.tasks.get().kind == Task.Kind.PRACTICE


def test_a_settings_file_is_taken_by_a_project_that_keeps_its_name(page, full):
    other = factories.project()
    name = other.name
    content = json.dumps(rest_file(full))
    page.post(reverse("project-copy", args=[other.slug]), {"do": "take", "file": a_file("s.json", content)})
    other.refresh_from_db()
    assert same_settings(other, full)
    assert other.name == name
    assert other.tasks.count() == 1


def rest_file(project: Project) -> dict:
    client = APIClient()
    client.force_authenticate(factories.admin())
    return json.loads(client.get(reverse("api-settings-file", args=[project.slug])).content)


@pytest.mark.parametrize(
    ("change", "problems"),
    [
        ({"peringkat": "run"}, ["This is no settings file"]),
        ({"version": 9, "settings": {"colour": "red"}}, ["version 9", "no setting “colour”"]),
        ({"settings": {"overlap": 0}}, ["People per task:"]),
        ({"known_answers": [{"prompt": "x"}, 3, {"prompt": "y", "completions": ["a", "b"], "kind": "gold", "answer": "A > Q"}]},
         ["Line 1: there is no “answer”", "Line 2: expected a JSON object", "Line 3: answer “A > Q”"]),
    ],
)  # fmt: skip
def test_a_wrong_settings_file_changes_nothing(page, said, full, change, problems):
    before = {name: getattr(full, name) for name in SETTINGS}
    file = a_file("s.json", json.dumps({**rest_file(full), **change}))
    response = page.post(reverse("project-copy", args=[full.slug]), {"do": "take", "file": file})
    assert response.status_code == 400
    assert all(problem in said(response) for problem in problems)
    full.refresh_from_db()
    assert {name: getattr(full, name) for name in SETTINGS} == before
    assert full.tasks.count() == 3


def test_rest_copies_and_takes_a_settings_file(rest, full):
    made = rest.post(reverse("api-project-copy", args=[full.slug]), {"name": "By a program"}, format="json")
    assert made.status_code == 201
    assert Project.objects.get(slug=made.data["slug"]).tasks.get().kind == "practice"
    file = rest_file(full)
    assert rest.post(reverse("api-projects"), file, format="json").status_code == 201
    other = factories.project()
    assert rest.patch(rest_of(other), file, format="json").data["guidelines"] == "Be kind."


def test_researchers_see_no_page_of_settings(researcher, full):
    client = signed_in(researcher)
    for name in ("project-settings", "project-questions", "project-copy", "project-settings-file"):
        assert client.get(reverse(name, args=[full.slug])).status_code == 403
