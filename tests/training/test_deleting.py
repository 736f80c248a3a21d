"""Deleting runs and the versions that they made: what goes, what stays and remembers, what forbids it."""

import pytest
from django.urls import reverse
from rest_framework.test import APIClient

from jobs.actions import enqueue
from labeling.queries import labels_behind
from models_registry import actions as registry
from models_registry.models import Head, Version
from people.errors import Refusal
from people.models import AuditEntry, Notice, Role
from tests import factories
from tests.registry.conftest import tiny_model  # noqa: F401  (a fixture)
from training import actions, disk, queries
from training.comparisons import actions as comparisons
from training.engine import contract
from training.models import Run
from training.supervisor import Supervisor

from . import make
from .test_actions import version
from .test_comparisons import complete, labelled, started, trial

pytestmark = pytest.mark.django_db
State = Run.State


@pytest.fixture(autouse=True)
def own_runs(monkeypatch, settings, tmp_path):
    settings.RUNS = tmp_path / "runs"
    settings.RUNS.mkdir()
    monkeypatch.setattr(disk, "MEASURE_EVERY", 0.0)


@pytest.fixture
def admin(client):
    person = factories.admin()
    client.force_login(person)
    return person


def ended(actor, state: str = State.STOPPED, **fields: object) -> Run:
    run = make.run(actor=actor, **fields)
    run.folder.mkdir()
    (run.folder / "log.txt").write_bytes(b"0" * 100_000)
    Run.objects.filter(pk=run.pk).update(state=state)
    run.refresh_from_db()
    return run


@pytest.fixture
def complete_run(admin, tiny_model) -> Run:  # noqa: F811
    """One whose result is there and not registered yet."""
    run = ended(admin, State.COMPLETE, name="Nursery rhymes", output_name="rhymes", seed=9)
    (run.folder / "output").symlink_to(tiny_model)
    return run


@pytest.fixture
def made(admin, complete_run) -> Version:
    return actions.register_result(actor=admin, run=complete_run)


def text(answer) -> str:
    return " ".join(answer.content.decode().split())


# ---- Runs --------------------------------------------------------------------------------------------------------------


def test_a_run_goes_with_its_folder_and_its_version_keeps_where_it_came_from(client, admin, complete_run, made):
    folder, key, data = complete_run.folder, str(complete_run.pk), complete_run.inputs.get().dataset
    assert actions.delete_run(actor=admin, run=complete_run) >= 100_000
    assert not Run.objects.exists()
    assert list(folder.parent.iterdir()) == []
    entry = AuditEntry.objects.get(verb="run.delete", object_id=key)
    assert (entry.actor, entry.data["name"], entry.data["version"]) == (admin, "Nursery rhymes", "rhymes:v1")

    made.refresh_from_db()
    assert made.folder.is_dir()
    assert (made.origin["run"], made.origin["seed"], made.origin["config"]["max_steps"]) == (key, 9, 6)
    page = text(client.get(made.get_absolute_url()))
    assert f"{admin} deleted the run “Nursery rhymes”." in page
    assert data.get_absolute_url() in page
    assert "Largest number of updates" in page
    assert reverse("run", args=[key]) not in page
    assert list(queries.models_from(data)) == [made]
    assert made.get_absolute_url() in text(client.get(data.get_absolute_url()))


def test_labels_behind_a_model_are_known_without_the_run(admin):
    rankings, base, judge = make.dataset("rankings", []), version("base"), version("judge", head=Head.REWARD)
    run = ended(admin, State.COMPLETE)
    run.inputs.update(dataset=rankings)
    Version.objects.filter(pk=judge.pk).update(origin=queries.origin(run))
    judge.refresh_from_db()
    actions.delete_run(actor=admin, run=run)
    assert list(labels_behind(judge)) == [rankings]
    assert list(labels_behind(base)) == []


def test_links_to_a_deleted_run_say_so(client, admin, complete_run, made):
    actions.end(run=complete_run, state=State.COMPLETE)
    address = complete_run.get_absolute_url()
    actions.delete_run(actor=admin, run=complete_run)
    answer = client.post(reverse("notice", args=[Notice.objects.get().pk]), follow=True)
    assert answer.redirect_chain[-1][0] == address
    assert answer.status_code == 410
    assert "This run was deleted" in text(answer)
    assert made.get_absolute_url() in text(answer)
    assert client.get(reverse("run", args=["00000000-0000-4000-8000-000000000000"])).status_code == 404


def test_what_has_not_ended_stays_and_so_does_everything_chosen_with_it(admin):
    over, waiting = ended(admin, name="over"), make.run(actor=admin, name="waiting")
    with pytest.raises(Refusal) as refused:
        actions.delete_runs(actor=admin, runs=[over, waiting])
    assert refused.value.problems == ["waiting: It has not ended. Stop it first."]
    process = contract.Lock(over.folder)  # one that still works on it
    assert process.acquire()
    with pytest.raises(Refusal, match="over: It has not ended"):
        actions.delete_run(actor=admin, run=over)
    assert Run.objects.count() == 2
    assert over.folder.is_dir()
    assert not AuditEntry.objects.filter(verb="run.delete").exists()


def test_a_run_of_which_a_version_is_just_being_made_waits(admin, complete_run, settings):
    queries.supervisor_lock().touch()  # a supervisor is at work, so it registers the result in a moment
    with pytest.raises(Refusal, match="just being made"):
        actions.delete_run(actor=admin, run=complete_run)
    Run.objects.update(errors=[{"id": "run.not_registered", "text": "It could not be registered.", "params": {}}])
    stopped = ended(admin)
    enqueue(
        actor=admin, what="register-checkpoint", subject=f"training.run:{stopped.pk}", arguments={"run": "", "step": 1}
    )
    with pytest.raises(Refusal, match="at work on it: Register a checkpoint"):
        actions.delete_run(actor=admin, run=stopped)
    actions.delete_run(actor=admin, run=complete_run)
    assert list(Run.objects.all()) == [stopped]


@pytest.mark.slow
def test_what_a_comparison_names_stays_until_it_is_taken_out(admin):
    comparison = started(["classify-head", "classify-lora"], name="Soups", dataset=labelled())
    complete(comparison, {1: set(), 2: {0}})
    one, other = trial(comparison, 1), trial(comparison, 2)
    with pytest.raises(Refusal) as refused:
        actions.delete_runs(actor=admin, runs=[one.run, one.evaluation, other.run])
    assert len(refused.value.problems) == 3
    assert all("The comparison “Soups” names it" in problem for problem in refused.value.problems)
    comparisons.remove_entry(actor=admin, entry=one.entry)
    assert actions.delete_runs(actor=admin, runs=[one.run, one.evaluation]) > 0
    comparisons.delete_comparison(actor=admin, comparison=comparison)
    actions.delete_run(actor=admin, run=other.run)


def test_only_those_who_may_launch_runs_delete_them(client, admin):
    run, other = ended(admin), factories.user(Role.RESEARCHER)
    with pytest.raises(Refusal, match="Your role does not allow"):
        actions.delete_run(actor=other, run=run)
    client.force_login(other)
    assert client.get(reverse("run-delete"), {"run": run.pk}).status_code == 403
    assert reverse("run-delete") not in text(client.get(run.get_absolute_url()))
    assert reverse("run-delete") not in text(client.get(reverse("runs")))
    assert Run.objects.exists()


@pytest.mark.slow
def test_the_page_counts_what_goes_and_deletes_just_that(client, admin):
    runs = [ended(admin, name=name) for name in ("one", "two")]
    active = make.run(actor=admin, name="three")
    assert reverse("run-delete") in text(client.get(reverse("runs")))
    assert f"{reverse('run-delete')}?run={runs[0].pk}" in text(client.get(runs[0].get_absolute_url()))
    assert reverse("run-delete") not in text(client.get(active.get_absolute_url()))

    chosen = [str(run.pk) for run in (*runs, active)]
    page = text(client.get(reverse("run-delete"), {"run": chosen}))
    assert "Delete 2 runs (200" in page
    assert "It has not ended. Stop it first." in page
    assert f'value="{active.pk}"' not in page
    answer = client.post(reverse("run-delete"), {"run": chosen[:2]}, follow=True)
    assert "2 runs are deleted; 200" in text(answer)
    assert list(Run.objects.all()) == [active]
    assert "No run is chosen" in text(client.get(reverse("run-delete"), {"run": chosen[:2]}))
    assert client.post(reverse("run-delete"), {"run": chosen[:2]}).status_code == 409


def test_what_a_crash_left_of_a_deleted_run_goes_with_the_next(admin, settings):
    left = settings.RUNS / f"some-run{actions.DELETED}"
    left.mkdir()
    actions.delete_run(actor=admin, run=ended(admin))
    assert not left.exists()


# ---- Versions that a run made ------------------------------------------------------------------------------------------


def test_a_version_that_a_run_made_is_deleted_and_the_run_remembers(client, admin, complete_run, made):
    registry.delete_version(actor=admin, version=made, confirm="rhymes:v1")
    complete_run.refresh_from_db()
    assert (complete_run.produced, complete_run.deleted_version) == (None, "rhymes:v1")
    page = text(client.get(complete_run.get_absolute_url()))
    assert "rhymes:v1, which was deleted" in page
    assert "Register again" in page
    assert "Register result" not in page
    assert "/models/rhymes/1/" not in page
    assert "rhymes:v1, deleted" in text(client.get(reverse("runs")))


def test_a_deleted_version_is_registered_again_only_when_somebody_says_so(client, admin, complete_run, made):
    registry.delete_version(actor=admin, version=made, confirm="rhymes:v1")
    Supervisor().take_up()
    with pytest.raises(Refusal, match="rhymes:v1, which was deleted"):
        actions.register_result(actor=admin, run=complete_run)
    assert not Version.objects.exists()
    client.post(reverse("run-register", args=[complete_run.pk]), {"again": "1"})
    complete_run.refresh_from_db()
    assert (str(complete_run.produced), complete_run.deleted_version) == ("rhymes:v2", "")


def test_a_version_that_runs_used_stays_until_they_are_deleted(admin):
    base = version("base")
    run = ended(admin, name="further", inputs={"dataset": make.dataset(), "base": base}, config={"max_steps": 2})
    with pytest.raises(Refusal, match="The run “further” used it"):
        registry.delete_version(actor=admin, version=base, confirm="base:v1")
    actions.delete_run(actor=admin, run=run)
    registry.delete_version(actor=admin, version=base, confirm="base:v1")
    assert not Version.objects.exists()


def test_runs_of_one_name_that_used_a_version_are_counted_in_one_sentence(admin):
    base = version("base")
    inputs = {"dataset": make.dataset(), "base": base}
    for name in ("further", "further", "once"):
        ended(admin, name=name, inputs=inputs, config={"max_steps": 2})
    with pytest.raises(Refusal) as refused:
        registry.delete_version(actor=admin, version=base, confirm="base:v1")
    assert sorted(refused.value.problems[1:]) == ["2 runs called “further” used it.", "The run “once” used it."]


def test_a_version_that_a_comparison_has_judged_names_the_comparison(admin):
    comparison = started(["classify-head"], name="Soups")
    complete(comparison, {1: set()})
    one = trial(comparison)
    one.run.refresh_from_db()
    judged = one.run.produced
    with pytest.raises(Refusal) as refused:
        registry.delete_version(actor=admin, version=judged, confirm=str(judged))
    said = " ".join(refused.value.problems)
    assert "The comparison “Soups” is about it." in said
    assert f"The run “{one.evaluation}” of the comparison “Soups” used it." in said
    comparisons.delete_comparison(actor=admin, comparison=comparison)
    actions.delete_run(actor=admin, run=one.evaluation)
    registry.delete_version(actor=admin, version=judged, confirm=str(judged))


# ---- REST --------------------------------------------------------------------------------------------------------------


def test_rest_deletes_a_run_and_registers_again(admin, complete_run, made):
    api = APIClient()
    api.force_authenticate(admin)
    address = reverse("api-run", args=[complete_run.pk])
    registry.delete_version(actor=admin, version=made, confirm="rhymes:v1")
    assert api.get(address).json()["deleted_version"] == "rhymes:v1"
    register = reverse("api-run-register", args=[complete_run.pk])
    assert api.post(register).status_code == 409
    assert api.post(register, {"again": True}, format="json").json()["produced"] == "rhymes:v2"

    waiting = make.run(actor=admin)
    assert api.delete(reverse("api-run", args=[waiting.pk])).status_code == 409
    assert api.delete(address).status_code == 204
    assert api.get(address).status_code == 404
    api.force_authenticate(factories.user(Role.RESEARCHER))
    assert api.delete(reverse("api-run", args=[waiting.pk])).status_code == 403
