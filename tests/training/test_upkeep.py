"""The queue's order, limits of all runs, room on the disk, and what ended runs leave behind."""

import json
import time

import pytest
from django.core.management import CommandError, call_command
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from playwright.sync_api import expect

from people.errors import Refusal
from people.models import AuditEntry, Role
from tests import factories
from training import actions, disk, queries, room
from training.models import Limits, Run
from training.supervisor import Supervisor, supervising

from . import make

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def measured_anew(monkeypatch, settings, tmp_path):
    settings.RUNS = tmp_path / "runs"
    settings.RUNS.mkdir()
    (settings.RUNS / "supervisor.lock").touch()
    monkeypatch.setattr(disk, "MEASURE_EVERY", 0.0)


@pytest.fixture
def admin(client):
    person = factories.admin()
    client.force_login(person)
    return person


def names() -> list[str]:
    return [run.name for run in queries.queue()]


def with_leftovers(run: Run, state: str) -> Run:
    for name in ("checkpoints/step-5", "cache", "output"):
        (run.folder / name).mkdir(parents=True)
        (run.folder / name / "weights.safetensors").write_bytes(b"0" * 100_000)
    Run.objects.filter(pk=run.pk).update(state=state)
    run.refresh_from_db()
    return run


# The queue --------------------------------------------------------------------------------------------------------------


def test_people_change_the_order_and_the_supervisor_keeps_to_it(admin, client, monkeypatch):
    runs = {name: make.run(actor=admin, name=name) for name in "abcd"}
    actions.move_in_queue(actor=admin, run=runs["d"], where="first")
    assert names() == ["d", "a", "b", "c"]
    actions.move_in_queue(actor=admin, run=runs["a"], where="down")
    assert names() == ["d", "b", "a", "c"]
    client.post(reverse("run-move", args=[runs["c"].pk]), {"where": "up"})
    assert names() == ["d", "b", "c", "a"]
    actions.move_in_queue(actor=admin, run=runs["d"], where="last")
    assert names() == ["b", "c", "a", "d"]
    actions.move_in_queue(actor=admin, run=runs["b"], where="up")  # it is the first already
    assert names() == ["b", "c", "a", "d"]
    make.run(actor=admin, name="e")
    assert names() == ["b", "c", "a", "d", "e"]

    begun = []
    monkeypatch.setattr(Supervisor, "_start", lambda self, run: begun.append(run.name))
    Supervisor(at_a_time=2).step()
    assert begun == ["b", "c"]
    assert AuditEntry.objects.filter(verb="run.move").count() == 5


def test_only_what_waits_moves_and_only_by_who_may(admin):
    run, other = make.run(actor=admin), factories.user(Role.RESEARCHER)
    with pytest.raises(Refusal, match="Your role does not allow"):
        actions.move_in_queue(actor=other, run=run, where="first")
    with pytest.raises(Refusal, match="first, up, down or last"):
        actions.move_in_queue(actor=admin, run=run, where="sideways")
    actions.stop_run(actor=admin, run=run)
    with pytest.raises(Refusal, match="waits in the queue"):
        actions.move_in_queue(actor=admin, run=run, where="first")


# Limits -----------------------------------------------------------------------------------------------------------------


def test_the_number_of_runs_at_a_time_is_set_in_the_browser_and_heeded_at_once(admin, client, monkeypatch):
    supervisor = Supervisor()
    assert supervisor.at_a_time == 1
    assert client.post(reverse("run-limits"), {"at_a_time": "3", "disk_gb": "1,5"}).status_code == 302
    limits = Limits.objects.get()
    assert (limits.at_a_time, limits.disk_gb) == (3, 1.5)
    assert supervisor.at_a_time == 3
    assert Supervisor(at_a_time=2).at_a_time == 2  # whoever starts it may say otherwise
    client.post(reverse("run-limits"), {"at_a_time": "", "disk_gb": ""})
    assert (supervisor.at_a_time, disk.limit()) == (1, None)
    assert Limits.objects.count() == 1
    assert AuditEntry.objects.filter(verb="runs.limits").count() == 2


@pytest.mark.parametrize("sent", [{"at_a_time": "0"}, {"at_a_time": "many"}, {"disk_gb": "-1"}, {"disk_gb": "nan"}])
def test_a_limit_that_is_none_is_refused_and_what_was_typed_is_kept(admin, client, sent):
    answer = client.post(reverse("run-limits"), sent)
    assert answer.status_code == 400
    assert f'value="{next(iter(sent.values()))}"' in answer.content.decode()
    assert not Limits.objects.exists()


@pytest.mark.slow
def test_where_the_room_is_used_up_nothing_is_started_and_the_pages_say_so(admin, client, monkeypatch):
    with_leftovers(make.run(actor=admin, name="Old"), Run.State.COMPLETE)
    waiting = make.run(actor=admin)
    dataset = waiting.inputs.get().dataset
    actions.change_limits(actor=admin, at_a_time=None, disk_gb=0.0002)
    begun = []
    monkeypatch.setattr(Supervisor, "_start", lambda self, run: begun.append(run))
    supervisor = Supervisor()
    supervisor.step()
    assert begun == []
    assert supervisor.is_idle()  # --until-idle ends rather than wait for ever
    for address in ("/runs/", "/runs/upkeep/"):
        assert "used up their room" in client.get(address).content.decode(), address
    assert "not enough room for its checkpoints" in client.get(waiting.get_absolute_url()).content.decode()
    with pytest.raises(CommandError, match=r"may need .* of room"):
        call_command("train", "pretrain", "--dataset", dataset.name, "--wait")

    actions.change_limits(actor=admin, at_a_time=None, disk_gb=0.1)
    supervisor.step()
    assert begun == [waiting]


def small(keep: int = 2) -> dict:
    return make.NANO | {"keep_checkpoints": keep}


def test_a_run_that_would_not_fit_is_refused_and_the_form_says_what_it_needs(admin, client):
    need = room.of_run(make.run(actor=admin, config=small(2)))
    actions.change_limits(actor=admin, at_a_time=None, disk_gb=need / 10**9)
    data = make.dataset()
    sent = {
        "method": "pretrain",
        "inputs.dataset": str(data.pk),
        "config.size": "nano",
        "config.keep_checkpoints": "3",
    }
    page = client.get("/runs/new/", sent).content.decode()
    assert f"may need about {filesizeformat(need * 13 / 10)} on the disk" in page
    refused = client.post("/runs/new/", sent)
    assert refused.status_code == 400
    assert "Keep fewer checkpoints" in refused.content.decode()
    assert Run.objects.count() == 1
    make.run(actor=admin, config=small(1), inputs={"dataset": data})


@pytest.mark.parametrize(
    "slip", ["wide", None, [64], True, -1, 10**400], ids=["text", "none", "list", "truth", "negative", "huge"]
)
def test_sizes_that_are_none_do_not_break_the_form_that_tells_the_room(admin, client, slip):
    told = {"model_type": "llama", "hidden_size": slip, "num_hidden_layers": slip, "intermediate_size": slip}
    sent = {"method": "pretrain", "inputs.dataset": str(make.dataset().pk)}
    page = client.get("/runs/new/", sent | {"config.full_config": json.dumps(told | {"vocab_size": slip})})
    assert page.status_code == 200
    assert "may need about" in page.content.decode()


def test_what_waits_begins_when_it_fits_beside_what_is_at_work(admin, client, monkeypatch):
    first, second = make.run(actor=admin, name="first"), make.run(actor=admin, name="second")
    begun = []
    monkeypatch.setattr(Supervisor, "_start", lambda self, run: begun.append(run))
    need = room.of_run(first)
    actions.change_limits(actor=admin, at_a_time=2, disk_gb=1.5 * need / 10**9)
    supervisor = Supervisor()
    supervisor.step()
    assert begun == [first]
    assert "not enough room for its checkpoints" in client.get(second.get_absolute_url()).content.decode()
    Run.objects.filter(pk=first.pk).update(state=Run.State.COMPLETE)
    supervisor.step()
    assert begun == [first, second]


def test_who_waits_for_a_run_waits_for_room_while_something_is_at_work(admin, monkeypatch, tmp_path):
    config = tmp_path / "config.json"
    config.write_text(json.dumps(small()))
    first, dataset = make.run(actor=admin, config=small()), make.dataset()
    Run.objects.filter(pk=first.pk).update(state=Run.State.RUNNING)
    actions.change_limits(actor=admin, at_a_time=2, disk_gb=1.5 * room.of_run(first) / 10**9)
    steps = []

    def step(_self) -> None:
        """In the second one the first run ends, in the third one nothing fits any more."""
        steps.append(Run.objects.filter(state=Run.State.QUEUED).count())
        if len(steps) == 2:
            actions.change_limits(actor=admin, at_a_time=2, disk_gb=0.00001)
            Run.objects.filter(pk=first.pk).update(state=Run.State.COMPLETE)

    monkeypatch.setattr(Supervisor, "step", step)
    monkeypatch.setattr(Supervisor, "take_up", lambda self: None)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    with pytest.raises(CommandError, match="not enough room for this run; it waits"):
        call_command("train", "pretrain", "--dataset", dataset.name, "--config", str(config), "--wait")
    assert steps == [1, 1]
    assert not room.has_room_for(Run.objects.get(state=Run.State.QUEUED))


@pytest.mark.slow
@pytest.mark.parametrize("keep", [1, 3])
def test_what_a_run_takes_is_what_was_told(admin, keep):
    """The engine itself: all checkpoints of its end, and its result."""
    settings = small(keep) | {"checkpoint_every": 1, "delete_checkpoints": False}
    run = make.run(actor=admin, config=settings)
    with supervising() as supervisor:
        while run.is_active:
            supervisor.step()
            time.sleep(0.05)
            run.refresh_from_db()
    assert run.state == Run.State.COMPLETE
    one_more = max(disk.size_of(each) for each in (run.folder / "checkpoints").iterdir())
    taken = disk.size_of(run.folder / "checkpoints") + one_more + disk.size_of(run.folder / "output")
    assert room.of_run(run) == pytest.approx(taken, rel=0.15)


# What is left behind ----------------------------------------------------------------------------------------------------


def test_leftovers_are_deleted_and_results_stay(admin, client):
    done = with_leftovers(make.run(actor=admin, name="Done"), Run.State.COMPLETE)
    stopped = with_leftovers(make.run(actor=admin, name="Stopped"), Run.State.STOPPED)
    page = client.get("/runs/upkeep/").content.decode()
    assert f'value="{done.pk}" aria-label="Choose Done" checked' in page
    assert (
        f'value="{stopped.pk}" aria-label="Choose Stopped">' in page
    )  # it would lose its place: not chosen by itself
    assert "would begin anew" in page
    client.post(reverse("run-leftovers"), {"run": [str(done.pk)]})
    assert sorted(path.name for path in done.folder.iterdir()) == ["output"]
    assert (done.folder / "output" / "weights.safetensors").exists()
    assert (stopped.folder / "checkpoints").exists()
    entry = AuditEntry.objects.get(verb="run.delete_leftovers")
    assert entry.object_id == str(done.pk)
    assert set(entry.data["bytes"]) == {"checkpoints", "cache"}


def test_what_goes_on_keeps_its_checkpoints(admin):
    done = with_leftovers(make.run(actor=admin), Run.State.COMPLETE)
    running = with_leftovers(make.run(actor=admin, name="Busy"), Run.State.RUNNING)
    with pytest.raises(Refusal, match="These have not ended: Busy"):
        actions.delete_leftovers(actor=admin, runs=[done, running])
    assert (done.folder / "checkpoints").exists()
    with pytest.raises(Refusal, match="Your role"):
        actions.delete_leftovers(actor=factories.user(Role.RESEARCHER), runs=[done])


def test_rest(admin, client):
    client.defaults["CONTENT_TYPE"] = "application/json"
    first, second = make.run(actor=admin, name="a"), make.run(actor=admin, name="b")
    assert client.post(f"/api/v1/runs/{second.pk}/move/", '{"where": "first"}', "application/json").status_code == 200
    assert names() == ["b", "a"]
    with_leftovers(first, Run.State.COMPLETE)
    told = client.put("/api/v1/runs/upkeep/", '{"at_a_time": 2, "disk_gb": 5}', "application/json").json()
    assert (told["at_a_time"], told["disk_limit"]) == (2, 5 * 10**9)
    told = client.put("/api/v1/runs/upkeep/", '{"disk_gb": 7}', "application/json").json()
    assert (told["at_a_time"], told["disk_limit"]) == (2, 7 * 10**9)
    assert told["runs"][0]["leftovers"] >= 200_000
    assert told["disk_used"] > told["runs"][0]["leftovers"]


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_with_the_keyboard_alone_a_run_moves_to_the_front_and_the_focus_stays(open_page):
    admin = factories.admin()
    for name in ("one", "two", "three"):
        make.run(actor=admin, name=name)
    page = open_page("/runs/", admin)
    page.get_by_label("Choose two").check()
    earlier = page.get_by_label("three: earlier")
    earlier.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".queue a")).to_have_text(["one", "three", "two"])
    expect(earlier).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".queue a")).to_have_text(["three", "one", "two"])
    assert names() == ["three", "one", "two"]
    expect(page.get_by_label("Choose two")).to_be_checked()  # what was ticked stays ticked


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_the_form_says_anew_what_a_run_needs_when_its_settings_change(open_page):
    page = open_page("/runs/new/?method=pretrain&config.size=nano", factories.admin())
    told = page.locator("#room")
    expect(told).to_contain_text("may need about")
    before = told.inner_text()
    page.locator('[name="config.size"]').first.select_option("mini")
    expect(told).not_to_have_text(before)
    expect(told).to_contain_text("may need about")
