"""The policies of a PPO run: kept, registered, shown to people beside the start, judged by another reward model, and back on the run's page."""

import json
import re
import shutil
from collections import Counter

import pytest
from django.urls import reverse

from jobs.models import Job
from jobs.worker import run_all_waiting
from labeling.actions import claim_task, submit_ranking
from labeling.models import Assignment, Completion
from labeling.queries import board_state
from models_registry import actions as registry
from models_registry.models import Version
from people.errors import Refusal
from people.models import AuditEntry, Role
from tests import factories
from tests.board.test_axe import look_at
from tests.engine import runs
from tests.registry.conftest import reward, scorer, tiny, tiny_model  # noqa: F401
from training import disk, room
from training.engine import contract
from training.engine.intervals import wilson
from training.models import Run
from training.policies import actions
from training.policies.models import Verdict
from training.policies.queries import Policies, judges
from training.queries import run_file

from . import make

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

CONFIG = {"updates": 4, "episodes": 8, "max_tokens": 6, "minibatches": 2, "epochs": 2, "lr": 3e-2, "kl_coef": 0.0}
HELDOUT = [f"Once there was a {animal}" for animal in runs.ANIMALS]


@pytest.fixture
def admin(db):
    return factories.admin()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Where the run is put once it was made: each test has a copy."""
    return tmp_path_factory.mktemp("trained") / "run"


@pytest.fixture
def done(admin, tiny, reward, settings, tmp_path, trained):  # noqa: F811
    """A run that came to its end, as the supervisor leaves it."""
    settings.RUNS = tmp_path / "runs"
    rows = [{"prompt": f"There was {n}", "split": "train"} for n in range(8)]
    rows += [{"prompt": prompt, "split": "heldout"} for prompt in HELDOUT]
    inputs = {"base": tiny, "reward_model": reward, "dataset": make.dataset("prompts", rows)}
    run = make.run(actor=admin, config=CONFIG, inputs=inputs, method="ppo", name="Far", output_name="policy")
    if not trained.exists():
        run.folder.mkdir(parents=True)
        contract.write_json(run.folder / "run.json", run_file(run))
        assert runs.go(run.folder) == 0
        shutil.copytree(run.folder, trained)
    shutil.copytree(trained, run.folder, dirs_exist_ok=True)
    Run.objects.update(state=Run.State.COMPLETE)
    run.refresh_from_db()
    return run


@pytest.fixture
def second(scorer, tmp_path) -> Version:  # noqa: F811
    """Another reward model: the same with its scale turned round."""
    from models_registry.lm.heads import Scale, write_scale

    folder = shutil.copytree(scorer, tmp_path / "second")
    write_scale(folder, Scale(0.5, 7.0))
    return registry.import_folder(actor=None, name="second", path=folder).version


def all_done() -> Job:
    run_all_waiting()
    job = Job.objects.exclude(what="register-checkpoint").first()
    assert job.state == Job.State.DONE, job.error
    return job


def test_a_kept_policy_becomes_a_version_whose_origin_names_its_update(done, admin, client):
    client.force_login(admin)
    policy = Policies(done).all[0]
    assert policy.step < CONFIG["updates"]
    address = reverse("run-policy-register", args=[done.pk, policy.step])
    assert address in client.get(done.get_absolute_url()).content.decode()
    answer = client.post(address)
    version = Version.objects.get(model__name="policy")
    assert answer["Location"] == version.get_absolute_url()
    assert (version.origin["run"], version.origin["checkpoint"]) == (str(done.pk), policy.step)
    assert version.metrics == {"kl": policy.kl, "reward": policy.reward}
    assert version.parent.model.name == "tiny"
    assert AuditEntry.objects.get(verb="run.register_checkpoint").data["step"] == policy.step
    # It is registered once, its folder stays, and the page leads to it.
    assert actions.register_policy(actor=admin, run=done, step=policy.step) == version
    assert Policies(done).folder(policy).is_dir()
    page = client.get(done.get_absolute_url()).content.decode()
    assert address not in page
    assert str(version) in page
    assert f"after update {policy.step}" in client.get(version.get_absolute_url()).content.decode()
    with pytest.raises(Refusal, match="no such policy"):
        actions.register_policy(actor=admin, run=done, step=999)


def test_pairs_go_to_people_blind_and_what_they_say_comes_back(done, admin, client):
    client.force_login(admin)
    project, ana = factories.project(actor=admin), factories.user()
    sent = {"project": project.slug, "step": CONFIG["updates"], "number": 8, "batch": " Round 7 "}
    assert client.post(reverse("run-pairs", args=[done.pk]), sent)["Location"].endswith("#policies")
    assert client.get(done.get_absolute_url()).content.decode().count("the pairs are being written") == 1
    assert all_done().result["notes"][:2] == ["16 outputs were sampled.", "8 tasks are new."]
    done.refresh_from_db()
    batch = project.batches.get()
    assert (batch.name, batch.tasks.count(), str(done.produced)) == ("Round 7", 8, "policy:v1")
    assert set(project.prompts.values_list("content", "split")) == {(prompt, "heldout") for prompt in HELDOUT}
    # Eight pairs of six prompts: none a third time before every other has come twice.
    assert sorted(Counter(batch.tasks.values_list("prompt", flat=True)).values()) == [1, 1, 1, 1, 2, 2]
    wrote = Completion.objects.filter(prompt__project=project)
    assert Counter(map(str, (each.version for each in wrote))) == {"tiny:v1": 8, "policy:v1": 8}
    assert {(each.sampling["temperature"], each.sampling["max_tokens"], each.sampling["top_p"]) for each in wrote} == {
        (1.0, 6, 1.0)
    }
    firsts = [task.items.get(position=0).completion.version_id for task in batch.tasks.all()]
    assert len(set(firsts)) == 2

    page = client.get(done.get_absolute_url()).content.decode()
    assert "0 of 8 pairs ranked" in page
    seen = page.split("?seen=")[1].split('"')[0]
    look = reverse("run-policies", args=[done.pk])
    assert client.get(f"{look}?seen={seen}").status_code == 204
    turn = claim_task(actor=ana, project=project)
    board = json.dumps(board_state(turn))
    assert "policy" not in board
    assert "tiny" not in board
    turn = say(ana, turn, best=done.produced)
    fragment = client.get(f"{look}?seen={seen}").content.decode()
    assert "1 of 8 pairs ranked" in fragment
    assert "100 %" in fragment

    turn = say(ana, turn, best=None)
    say(ana, turn, best=done.inputs.get(role="base").version)
    [last] = [each for each in Policies(done).standings if each.is_result]
    assert (last.people.wins, last.people.ties, last.people.losses) == (1, 1, 1)
    assert last.people.value == 0.5
    assert (last.people.low, last.people.high) == wilson(1.5, len(last.asked.prompts))


def say(person, turn: Assignment, best: Version | None) -> Assignment | None:
    """Rank what `best` wrote first, or tie; the next turn."""
    wrote = list(turn.task.items.order_by("position").values_list("completion__version", flat=True))
    first = wrote[turn.display[0]]
    notation = "A = B" if best is None else "A > B" if first == best.pk else "B > A"
    key = f"{turn.pk}"
    return submit_ranking(actor=person, assignment=turn, notation=notation, client_key=key).next


def test_another_reward_model_judges_each_policy_once_and_never_the_one_that_was_learned_from(
    done, admin, client, second
):
    client.force_login(admin)
    learned = done.inputs.get(role="reward_model").version
    assert list(judges(done)) == [second]
    with pytest.raises(Refusal, match="did not learn from"):
        actions.ask_judge(actor=admin, run=done, judge=learned)
    assert client.post(reverse("run-judge", args=[done.pk]), {"judge": second.pk}).status_code == 302
    all_done()
    verdicts = {each.step: (each.wins, each.ties, each.losses) for each in done.verdicts.all()}
    assert list(verdicts) == [policy.step for policy in Policies(done).all]
    # The judge is the run's own with another scale, so of the result it must say what the run has measured itself.
    figures = json.loads((done.folder / "output" / "metrics.json").read_text())
    assert verdicts[CONFIG["updates"]] == (figures["wins"], figures["ties"], figures["losses"])
    page = client.get(done.get_absolute_url()).content.decode()
    assert f"{second} prefers it" in page
    # Asked again it says nothing new, and is the one that is shown again.
    step = CONFIG["updates"]
    Verdict.objects.create(run=done, step=step, judge=learned, wins=0, ties=0, losses=6)
    assert Policies(done).judge == learned
    actions.ask_judge(actor=admin, run=done, judge=second)
    all_done()
    assert done.verdicts.filter(judge=second).count() == len(verdicts)
    assert Policies(done).judge == second


def test_what_cannot_be_asked_is_refused_with_all_reasons(done, admin, second):
    project = factories.project(actor=admin, state="archived")
    with pytest.raises(Refusal) as refusal:
        actions.send_pairs(actor=admin, run=done, project=project, number=0)
    assert len(refusal.value.problems) == 2
    ana = factories.user()
    for asked in (
        lambda: actions.send_pairs(actor=ana, run=done, project=project),
        lambda: actions.ask_judge(actor=ana, run=done, judge=second),
        lambda: actions.register_policy(actor=ana, run=done, step=CONFIG["updates"]),
    ):
        with pytest.raises(Refusal) as refusal:
            asked()
        assert refusal.value.status == 403
    actions.ask_judge(actor=admin, run=done, judge=second)
    with pytest.raises(Refusal, match="already"):
        actions.ask_judge(actor=admin, run=done, judge=second)
    assert not done.fresh_pairs.exists()


def test_who_may_not_launch_runs_sees_the_figures_and_may_ask_a_judge(done, client):
    client.force_login(factories.user(Role.RESEARCHER))
    page = client.get(done.get_absolute_url()).content.decode()
    assert "After update" in page
    assert reverse("run-judge", args=[done.pk]) in page
    assert reverse("run-pairs", args=[done.pk]) not in page
    assert reverse("run-policy-register", args=[done.pk, Policies(done).all[0].step]) not in page


def test_programs_ask_and_read_what_the_page_shows(done, admin, second):
    from tests.labeling.conftest import client_of

    client, project = client_of(admin), factories.project(actor=admin)
    address = f"/api/v1/runs/{done.pk}/policies/"
    steps = [policy.step for policy in Policies(done).all]
    assert [each["step"] for each in client.get(address).json()["policies"]] == steps
    told = client.post(f"{address}{steps[0]}/register/").json()
    assert told == {"version": "policy:v1"}
    sent = client.post(f"{address}pairs/", {"project": project.slug, "step": steps[0], "number": 4, "seed": 1})
    assert sent.status_code == 202
    all_done()
    assert client.post(f"{address}judge/", {"judge": str(second)}).status_code == 202
    all_done()
    first = client.get(address).json()["policies"][0]
    assert (first["version"], first["pairs"]) == ("policy:v1", {"tasks": 4, "ranked": 0})
    assert first["people"] is None
    assert set(first["judge"]) == {"wins", "ties", "losses", "value", "low", "high"}
    assert client.post(f"{address}pairs/", {"project": "nowhere"}).status_code == 404


def test_the_room_of_a_run_has_place_for_the_policies_that_it_may_keep(done, admin, monkeypatch):
    def wants(policies: int) -> int:
        Run.objects.update(config=done.config | {"keep_along_kl": policies})
        return room.of_run(Run.objects.get(pk=done.pk))

    assert wants(10) - wants(0) == 10 * (wants(1) - wants(0)) > 0
    monkeypatch.setattr(disk, "free", lambda: 1)
    given = {each.role: each.version or each.dataset for each in done.inputs.all()}
    with pytest.raises(Refusal, match="Each policy that is kept along the KL takes"):
        make.run(actor=admin, config=CONFIG, inputs=given, method="ppo")


@pytest.mark.browser
def test_one_click_sends_pairs_and_the_page_fills_in_as_people_rank(done, admin, open_page):
    from playwright.sync_api import expect

    project, ana = factories.project(actor=admin), factories.user()
    page = open_page(done.get_absolute_url(), admin)
    page.get_by_label("Pairs").fill("3")
    page.get_by_role("button", name="Send to the annotators").click()
    now = page.locator("#policies-now")
    expect(now.get_by_text("Write fresh pairs")).to_be_visible()
    all_done()
    row = now.get_by_role("row").filter(has_text="result")
    expect(row).to_contain_text("0 of 3 pairs ranked")
    done.refresh_from_db()
    turn = claim_task(actor=ana, project=project)
    for _pair in range(3):
        turn = say(ana, turn, best=done.produced)
    expect(row).to_contain_text("100 %")
    expect(row).to_contain_text("(3–0–0)")
    expect(row).not_to_contain_text("pairs ranked")
    expect(now).not_to_have_attribute("hx-get", re.compile("."))  # nothing more is to come
    assert look_at(page, "a run's policies") == []
    now.get_by_role("button", name=re.compile("^Register")).first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("policy:v2")
