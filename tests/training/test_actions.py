"""The verbs: what a run may be made from, who may, what can be stopped, resumed, registered."""

import pytest
from django.core import mail

from jobs.models import Job
from jobs.worker import run_all_waiting
from labeling.queries import labels_behind
from models_registry.models import Head, Kind, Model, Version
from people.errors import Refusal
from people.models import AuditEntry, Role
from tests import factories
from training import actions, queries
from training.engine import methods
from training.models import Comparison, Run
from training.supervisor import Supervisor

from . import make

pytestmark = pytest.mark.django_db


def version(name: str = "base", *, head: str = Head.LM, kind: str = Kind.FULL, **fields: object) -> Version:
    model, _new = Model.objects.get_or_create(name=name)
    return Version.objects.create(
        model=model, number=model.versions.count() + 1, kind=kind, head=head, digest=f"{model.pk:064x}", **fields
    )


def test_a_run_is_queued_with_its_complete_settings_and_names():
    run = make.run(inputs={"dataset": make.dataset(name="Fairy tales!")}, seed=3)
    assert run.state == Run.State.QUEUED
    assert run.config["lr"] > 0
    assert run.config["max_steps"] == 6
    assert run.name == "pretrain · fairy-tales"
    assert run.output_name == "fairy-tales-pretrain"
    assert AuditEntry.objects.get(object_id=str(run.pk)).verb == "run.create"


def test_runs_start_in_the_order_in_which_they_came():
    first, second = make.run(), make.run()
    assert (queries.place_in_queue(first), queries.place_in_queue(second)) == (1, 2)


def test_everything_that_is_wrong_is_said_at_once_and_nothing_is_kept():
    with pytest.raises(actions.RunRefusal) as refused:
        actions.create_run(
            actor=factories.admin(),
            method="ppo",
            config={"lr": 7, "episodes": "many", "kl_coeff": 1, "tune": {"kind": "lora", "rank": 0}},
            inputs={"base": make.dataset(), "reward_model": version("r"), "extra": version("x")},
            seed=-1,
            output_name="no spaces please",
        )
    places = refused.value.by_field
    assert places.keys() == {
        "config.lr", "config.episodes", "config.kl_coeff", "config.tune.rank",
        "inputs.base", "inputs.reward_model", "inputs.dataset", "inputs.extra", "seed", "output_name",
    }  # fmt: skip
    assert "Did you mean “kl_coef”?" in places["config.kl_coeff"][0]
    assert places["config.tune.rank"] == ["“Rank r” must be at least 1, and is 0."]
    assert "is missing" in places["inputs.dataset"][0]
    assert len(refused.value.problems) == 10
    assert Run.objects.count() == 0


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"head": Head.REWARD}, "must be a model that writes text, and wrong:v1 scores text"),
        ({"kind": Kind.REMOTE}, "is a remote endpoint, which this method cannot build on"),
    ],
)
def test_a_model_of_the_wrong_kind_is_refused_with_the_reason(fields, words):
    with pytest.raises(Refusal, match=words):
        make.run(inputs={"dataset": make.dataset(), "base": version("wrong", **fields)})


def test_data_of_the_wrong_kind_is_refused_with_the_reason():
    with pytest.raises(Refusal, match=r"must be a data set of text, and .* holds rankings"):
        make.run(inputs={"dataset": make.dataset("rankings", [])})


def test_an_unknown_method_is_refused():
    with pytest.raises(Refusal, match="There is no method “alchemy”"):
        actions.create_run(actor=factories.admin(), method="alchemy", config={}, inputs={})


@pytest.mark.parametrize("role", [Role.ANNOTATOR, Role.RESEARCHER])
def test_only_who_may_launch_runs_can_create_stop_resume_and_register(role):
    run, other = make.run(), factories.user(role)
    for verb in (actions.stop_run, actions.resume_run, actions.register_result):
        with pytest.raises(Refusal) as refused:
            verb(actor=other, run=run)
        assert refused.value.status == 403
    with pytest.raises(Refusal):
        make.run(actor=other)
    assert Run.objects.get() == run


def test_what_has_ended_cannot_be_stopped_and_what_goes_on_cannot_be_resumed():
    actor = factories.admin()
    run = make.run(actor=actor)
    with pytest.raises(Refusal, match="this one is queued"):
        actions.resume_run(actor=actor, run=run)
    run = actions.stop_run(actor=actor, run=run)
    assert run.state == Run.State.STOPPED
    with pytest.raises(Refusal, match="already ended"):
        actions.stop_run(actor=actor, run=run)
    with pytest.raises(Refusal, match="Only a complete run"):
        actions.register_result(actor=actor, run=run)
    run = actions.resume_run(actor=actor, run=run)
    assert run.state == Run.State.QUEUED


def test_a_running_run_is_asked_to_stop_once():
    actor = factories.admin()
    run = make.run(actor=actor)
    assert actions.begin(run=run)
    assert not actions.begin(run=run)
    assert actions.stop_run(actor=actor, run=run).state == Run.State.STOPPING
    assert actions.stop_run(actor=actor, run=run).state == Run.State.STOPPING


def test_run_json_survives_a_move_of_the_data_folder():
    base = version("root")
    adapter = version("leaf", kind=Kind.ADAPTER, parent=base)
    data = make.dataset()
    run = make.run(inputs={"dataset": data, "base": adapter}, config={"max_steps": 2})
    written = queries.run_file(run)
    assert written["method"] == "pretrain"
    assert written["seed"] == 0
    folders = [(run.folder / path).resolve() for path in written["inputs"]["base"]]
    assert folders == [base.folder.resolve(), adapter.folder.resolve()]
    assert (run.folder / written["inputs"]["dataset"]).resolve() == data.folder.resolve()
    assert not any(path.startswith("/") for path in [*written["inputs"]["base"], written["inputs"]["dataset"]])


def test_which_labels_made_this_model_and_which_models_used_these_labels():
    """rankings → reward model → (with a base) policy → child of the policy."""
    actor, rankings, prompts = factories.admin(), make.dataset("rankings", []), make.dataset("prompts", [])
    base = version("base")
    judge = version("judge", head=Head.REWARD)
    judge.sources.create(role="base", source=base)
    policy = version("policy", kind=Kind.ADAPTER, parent=base)
    policy.sources.create(role="base", source=base)
    policy.sources.create(role="reward_model", source=judge)
    child = version("child", kind=Kind.ADAPTER, parent=policy)

    def made(result: Version, method: str, inputs: dict) -> None:
        run = actions.create_run(actor=actor, method=method, config={}, inputs=inputs)
        Version.objects.filter(pk=result.pk).update(origin=queries.origin(run))
        result.refresh_from_db()

    made(judge, "reward", {"base": base, "dataset": rankings})
    made(policy, "ppo", {"base": base, "reward_model": judge, "dataset": prompts})
    for with_labels in (judge, policy, child):
        assert list(labels_behind(with_labels)) == [rankings]
    assert list(labels_behind(base)) == []
    assert set(queries.models_from(rankings)) == {judge, policy, child}
    assert set(queries.models_from(prompts)) == {policy, child}


def test_inputs_are_found_by_the_names_that_people_use():
    base, data = version("stories"), make.dataset(name="Tales")
    for reference in (str(data.pk), data.digest[:8], "Tales"):
        found = queries.find_inputs("pretrain", {"base": "stories:v1", "dataset": reference})
        assert found == {"base": base, "dataset": data}
    with pytest.raises(Refusal) as refused:
        queries.find_inputs("pretrain", {"base": "nobody", "dataset": "nothing"})
    assert len(refused.value.problems) == 2


# The end of a run -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (Run.State.COMPLETE, "“Mine” is complete."),
        (Run.State.FAILED, "“Mine” has failed."),
        (Run.State.REFUSED, "“Mine” was refused before it began."),
        (Run.State.STOPPED, None),  # whoever stopped it knows
    ],
)
def test_who_began_a_run_is_told_how_it_ended(state, said):
    run = make.run(name="Mine")
    actions.end(run=run, state=state)
    assert [str(notice) for notice in run.created_by.notices.all()] == ([said] if said else [])
    assert all(notice.address == run.get_absolute_url() for notice in run.created_by.notices.all())


def test_the_end_is_mailed_by_a_job_so_that_no_mail_server_holds_up_the_runs(settings):
    settings.EMAIL_HOST = "mail.example.org"
    run = make.run()
    actions.end(run=run, state=Run.State.COMPLETE)
    assert not Job.objects.filter(what="mail-notice").exists()  # no address
    run.created_by.email = "boss@example.org"
    run.created_by.save()
    actions.end(run=run, state=Run.State.COMPLETE)
    job = Job.objects.get(what="mail-notice")
    run_all_waiting()
    job.refresh_from_db()
    assert job.state == Job.State.DONE
    assert mail.outbox[0].to == ["boss@example.org"]


def test_what_only_judges_has_no_version_to_name_or_register():
    run = actions.create_run(
        actor=factories.admin(),
        method="evaluate",
        config={},
        inputs={"base": version(), "dataset": make.dataset()},
        output_name="is ignored",
    )
    assert run.output_name == ""
    assert not run.makes_version
    Run.objects.filter(pk=run.pk).update(state=Run.State.COMPLETE)
    with pytest.raises(Refusal, match="its result is figures"):
        actions.register_result(actor=run.created_by, run=run)
    Supervisor().take_up()
    run.refresh_from_db()
    assert (run.errors, run.produced) == ([], None)


def test_every_method_takes_the_kinds_of_version_that_it_can_start_from():
    made = {kind: version(kind.replace("_", "-"), kind=kind) for kind in (Kind.FULL, Kind.ADAPTER, Kind.SOFT_PROMPT)}
    made[Kind.HARD_PROMPT] = version("hard", kind=Kind.HARD_PROMPT)
    for method, takes_hard in (("finetune", False), ("evaluate", True)):
        offered = set(queries.inputs_for(methods.facts_of(method).inputs["base"]))
        assert {made[Kind.FULL], made[Kind.ADAPTER], made[Kind.SOFT_PROMPT]} <= offered
        assert (made[Kind.HARD_PROMPT] in offered) == takes_hard


def test_of_a_comparison_one_is_told_once_when_all_of_it_has_ended_and_what_went_wrong():
    admin = factories.admin()
    base, data = version(), make.dataset()
    comparison = Comparison.objects.create(
        name="Cheap and dear", task="language", base=base, dataset=data, created_by=admin
    )
    entry = comparison.entries.create(position=0, label="LoRA", method="finetune")
    runs = {name: make.run(actor=admin, name=name, inputs={"dataset": data}) for name in ("train", "judge", "other")}
    trial = entry.trials.create(seed=0, run=runs["train"])
    entry.trials.create(seed=1, run=runs["other"])

    def said() -> list[str]:
        return [str(notice) for notice in admin.notices.order_by("pk")]

    actions.end(run=runs["train"], state=Run.State.COMPLETE)
    assert said() == []  # it is to be judged
    trial.evaluation = runs["judge"]
    trial.save()
    actions.end(run=runs["judge"], state=Run.State.COMPLETE)
    assert said() == []  # the other seed goes on
    actions.end(run=runs["other"], state=Run.State.FAILED)
    assert said() == ["“other” has failed.", "The comparison “Cheap and dear” has ended; its table is filled."]
    assert admin.notices.first().address == comparison.get_absolute_url()
