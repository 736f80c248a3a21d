"""Comparisons: put together from the menu, queued with one budget, judged as results come, and the table that is read from the judgements."""

import csv
import json
import re
from io import StringIO

import pytest
from django.utils.translation import override

from labeling.models import Dataset
from models_registry.models import Head, Kind, Version
from people.errors import Refusal
from people.models import AuditEntry, Role
from tests import factories
from tests.training import make
from training import charts
from training.comparisons import actions, chart, export, menu, queries
from training.comparisons.models import Comparison, Entry, Trial
from training.comparisons.table import Table
from training.engine import methods
from training.engine.evaluation import figures_of
from training.models import Run

from .test_actions import version

pytestmark = [pytest.mark.django_db, pytest.mark.slow]  # a table of trained and judged methods before each

TEXTS = [f"The soup number {n} was {'fine' if n % 2 else 'cold'}." for n in range(80)]


def labelled(name: str = "Soups", heldout: bool = True) -> Dataset:
    rows = [
        {
            "text": text,
            "label": "good" if "fine" in text else "bad",
            "split": "heldout" if heldout and number % 4 < 2 else "train",
        }
        for number, text in enumerate(TEXTS)
    ]
    data = make.dataset("labelled", rows, name)
    splits = {split: sum(row["split"] == split for row in rows) for split in ("train", "heldout")}
    Dataset.objects.filter(pk=data.pk).update(splits={name: count for name, count in splits.items() if count})
    data.refresh_from_db()
    return data


def comparison(keys: list[str] | None = None, **fields: object) -> Comparison:
    fields = {"actor": factories.admin(), "task": "classification", "dataset": labelled(), "max_steps": 7} | fields
    fields.setdefault("base", version("base"))
    if keys is None and fields["task"] == "classification":
        keys = ["classify-head", "classify-lora"]
    return actions.create_comparison(keys=keys, **fields)


def started(keys: list[str] | None = None, **fields: object) -> Comparison:
    made = comparison(keys, **fields)
    return actions.start(actor=made.created_by, comparison=made)


def finish(run: Run, **fields: object) -> None:
    """A training that ended well, with its result registered; as the supervisor leaves it."""
    kind = Kind.FULL if run.name.endswith("-all") else Kind.ADAPTER
    number = Version.objects.count() + 1
    produced = version(
        f"made{number}",
        head=Head.CLASSES,
        kind=kind,
        trained_parameters=1000 * number,
        parameters=10_000,
        size=2**number,
    )
    Run.objects.filter(pk=run.pk).update(state=Run.State.COMPLETE, produced=produced, **fields)
    run.folder.mkdir(parents=True)
    status = {"wall_s": 4.0, "tokens_seen": 2000, "peak_memory": 2**20 * number}
    (run.folder / "status.json").write_text(json.dumps(status))


def judge(run: Run, wrong: set[int]) -> None:
    """What `evaluate` leaves: every held-out row, of which `wrong` were called by the other label."""
    flipped = {"good": "bad", "bad": "good"}
    examples = []
    for number, text in enumerate(TEXTS):
        if number % 4 < 2:
            label = "good" if "fine" in text else "bad"
            said = flipped[label] if number in wrong else label
            examples.append(
                {"row": number, "label": label, "prediction": said, "log_loss": 2.0 if number in wrong else 0.1}
            )
    output = run.folder / "output"
    output.mkdir(parents=True)
    figures = figures_of("classification", examples, resamples=200)
    (output / "metrics.json").write_text(json.dumps({"task": "classification", "figures": figures}))
    (output / "predictions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in examples))
    Run.objects.filter(pk=run.pk).update(state=Run.State.COMPLETE)


def trial(comparison: Comparison, position: int = 1, seed: int = 0) -> Trial:
    return Trial.objects.select_related("run", "evaluation").get(
        entry__comparison=comparison, entry__position=position, seed=seed
    )


def complete(comparison: Comparison, wrong: dict[int, set[int]]) -> None:
    """Train and judge every method: `wrong` are the held-out rows that each gets wrong, by its number."""
    for each in Trial.objects.filter(entry__comparison=comparison):
        finish(each.run)
    actions.go_on()
    for each in Trial.objects.filter(entry__comparison=comparison).select_related("entry", "evaluation"):
        judge(each.evaluation, wrong[each.entry.position])


# ---- the menu


@pytest.mark.slow
def test_every_choice_of_the_menu_is_a_run_that_could_begin():
    base, scorer = version("base", parameters=500_000), version("scorer", head=Head.REWARD)
    for task, facts in menu.TASKS.items():
        for kind in facts.datasets:
            row = {"ranking": "A | B"} if kind == "rankings" else {"text": "a"}
            data = make.dataset(kind, [row | {"split": split} for split in ("train", "heldout")])
            keys = [choice.key for choice in menu.menu(task, base, data) if not choice.against]
            made = comparison(keys, task=task, base=base, dataset=data, reward_model=scorer, actor=factories.admin())
            assert made.entries.count() == len(keys) > 2


def test_each_kind_of_what_may_move_is_offered_once_and_the_ticked_keys_exist():
    for task, facts in menu.TASKS.items():
        choices = menu.menu(task)
        kinds = [choice.config["tune"]["kind"] for choice in choices if "tune" in choice.config]
        assert len(kinds) == len(set(kinds))
        assert {name for name in facts.methods if name in methods.names()} <= {choice.method for choice in choices}
        assert facts.ticked <= {choice.key for choice in choices}


def test_an_entry_begins_at_the_learning_rate_that_suits_what_moves_and_the_size_of_the_base():
    small, large = version("small", parameters=600_000), version("large", parameters=10**9)

    def rates(task: str, base: Version) -> dict:
        return {choice.key: choice.config.get("lr") for choice in menu.menu(task, base)}

    assert rates("preference", small)["reward-rao_kupper"] == 3e-3
    assert rates("preference", large)["reward-rao_kupper"] == 1e-5
    assert rates("language", small)["finetune-all"] == 1e-3
    assert rates("language", large)["finetune-all"] == 2e-5


def test_a_base_without_classes_cannot_be_judged_as_a_classifier_itself():
    assert menu.BASE not in [choice.key for choice in menu.menu("classification", version("lm"))]
    assert menu.BASE in [choice.key for choice in menu.menu("classification", version("c", head=Head.CLASSES))]


def test_what_cannot_begin_on_this_base_says_why_and_is_refused():
    root = version("root", context_length=64)
    bottleneck = version("deep", kind=Kind.ADAPTER, parent=root, architecture="BOTTLENECK", context_length=64)
    data = labelled()
    offered = {choice.key: choice for choice in menu.menu("classification", bottleneck, data)}
    for key in ("classify-head", "classify-last_layers", "classify-all"):
        assert "not linear" in offered[key].against
        assert not offered[key].ticked
    assert offered["classify-lora"].ticked
    assert not offered["classify-lora"].against
    with pytest.raises(Refusal, match=r"Output layer.*not linear"):
        comparison(base=bottleneck, dataset=data)
    # LoRA can be folded into the weights, so everything may move on it.
    lora = version("low", kind=Kind.ADAPTER, parent=root, architecture="LORA")
    assert not any(choice.against for choice in menu.menu("classification", lora, data))


@pytest.mark.slow
def test_rankings_without_a_line_leave_kto_out_until_its_settings_say_what_then():
    rows = [
        {"prompt": "a", "completions": ["b", "c"], "ranking": "A > B", "split": split}
        for split in ("train", "heldout")
    ]
    data, base = make.dataset("rankings", rows), version("base")
    offered = {choice.key: choice for choice in menu.menu("preference", base, data)}
    assert "without an acceptability line" in offered["kto"].against
    assert "kto" not in [
        entry.method for entry in comparison(None, task="preference", base=base, dataset=data).entries.all()
    ]
    changes = {"kto": {"without_line": "tiers"}}
    made = comparison(["kto"], task="preference", base=base, dataset=data, changes=changes)
    assert made.entries.get().config["without_line"] == "tiers"


@pytest.mark.slow
def test_what_the_runs_warned_of_stands_in_the_row_and_in_every_file(client):
    made = started()
    complete(made, {1: {0}, 2: {1}})
    warning = {"id": "w", "text": "%(number)s examples | were left out.", "params": {"number": 30}}
    remark = {"id": "i", "text": "All is well.", "params": {}}
    for run in (trial(made).run, trial(made).evaluation):
        make.write_events(
            run.folder,
            {"kind": "note", "level": "warning", "message": warning},
            {"kind": "note", "level": "info", "message": remark},
        )
    said = "30 examples | were left out."
    table = Table(made)
    assert [row.notes for row in table.rows] == [[said], []]
    assert [row["notes"] for row in export.as_json(table)["methods"]] == [[said], []]
    assert [row["notes"] for row in csv.DictReader(StringIO(export.as_csv(table)))] == [said, "", ""]
    assert "| 30 examples \\| were left out. |" in export.as_markdown(table)
    client.force_login(made.created_by)
    page = client.get(made.get_absolute_url()).content.decode()
    assert "1 warning</summary>" in page
    assert page.count(said) == 1
    assert "All is well" not in page


@pytest.mark.slow
def test_with_several_seeds_a_warning_says_where():
    made = started(["classify-head"], seeds=[3, 4, 5])
    complete(made, {1: {0}})
    for seed in (3, 5):
        message = {"id": "w", "text": "Careful.", "params": {}}
        make.write_events(trial(made, 1, seed).run.folder, {"kind": "note", "level": "warning", "message": message})
    assert Table(made).rows[0].notes == ["Careful. (seed 3, 5)"]


@pytest.mark.slow
def test_the_largest_class_is_counted_from_the_data_and_is_no_method(client):
    rows = [{"text": f"{n}", "label": "good" if n % 3 else "bad", "split": "train"} for n in range(30)]
    rows += [{"text": f"x{n}", "label": "good" if n < 12 else "bad", "split": "heldout"} for n in range(20)]
    made = comparison(dataset=make.dataset("labelled", rows))
    table = Table(made)
    floor = table.largest_class
    assert (floor.label, floor.share) == ("good", 20 / 30)
    assert floor.figures["accuracy"]["value"] == 12 / 20
    assert floor.figures["accuracy"]["low"] < 12 / 20 < floor.figures["accuracy"]["high"]
    assert floor.figures["macro_f1"]["value"] == pytest.approx((2 * 12 / (20 + 12)) / 2)
    assert "log_loss" not in floor.figures
    assert export.as_json(table)["largest_class"]["label"] == "good"
    assert len(table.rows) == 2
    client.force_login(made.created_by)
    page = " ".join(client.get(made.get_absolute_url()).content.decode().split())
    assert "Largest class <span" in page
    assert "“good” to every text, as 66.7 % of the training rows are" in page
    assert Table(comparison(task="language", dataset=make.dataset(name="Tales"))).largest_class is None


def test_markdown_holds_the_differences_that_the_page_shows():
    made = started()
    complete(made, {1: {0, 1, 4, 5}, 2: {1}})
    to_best, to_first = (export.as_markdown(Table(made, to=to)) for to in ("best", "1"))
    assert "to the best (p)" in to_best
    assert Table(made).base is None
    assert export.as_markdown(Table(made)) == to_best  # which differences are shown without a base
    assert f"to {made.entries.get(position=1)} (p)" in to_first
    assert "+0.0750" in to_first
    assert "-0.0750" in to_best


@pytest.mark.slow
def test_the_axes_of_the_chart_are_plain_numbers():
    spread = [chart.Point(f"m{n}", 10**n, 10.0 * n + 4, 10.0 * n, 10.0 * n + 8) for n in range(1, 6)]
    drawn = str(charts.draw([chart.Scatter(tuple(spread), "Trained", "Perplexity", chart.PLAIN)])[0])
    words = re.findall(r"<text[^>]*>([^<]*)</text>", drawn)
    assert {"10", "20", "30"} <= set(words)
    assert not [word for word in words if re.fullmatch(r"\d+e[+-]?\d+", word)]


# ---- putting together


def test_all_that_is_wrong_is_said_at_once_and_nothing_is_made():
    with pytest.raises(Refusal) as refused:
        comparison(dataset=labelled(heldout=False), reward_model=version("no-scorer"), seeds=[1, 1], batch_size=0)
    said = " ".join(refused.value.problems)
    for part in ("no held-out rows", "is no reward model", "different seeds", "batch size"):
        assert part in said
    with pytest.raises(Refusal, match="classify-head"):
        comparison(["classify-nothing"])
    with pytest.raises(Refusal, match="no training can start from"):
        comparison(base=version("hard", kind=Kind.HARD_PROMPT))
    assert not Comparison.objects.exists()


def test_the_form_says_everything_that_is_wrong_at_once_beside_its_field(client):
    client.force_login(factories.admin())
    sent = {"task": "classification", "dataset": labelled().pk, "seeds": "one", "batch_size": "0", "epochs": "many"}
    answer = client.post("/baselines/new/", sent)
    assert answer.status_code == 400
    form = answer.context["form"]
    assert {name: len(said) for name, said in form.errors.items()} == {
        "base": 1, "seeds": 1, "batch_size": 1, "epochs": 1, "__all__": 1,
    }  # fmt: skip
    page = " ".join(answer.content.decode().split())
    for said in ("Write whole numbers", "The batch size must be", "Choose the methods to compare."):
        assert page.count(said) == 1
    listed = ["id_base", "menu-of-methods", "id_epochs", "id_batch_size", "id_seeds"]
    assert [anchor for anchor, _title in form.bad_fields] == listed
    assert all(f'href="#{anchor}"' in page and f'id="{anchor}"' in page for anchor in listed)
    assert not Comparison.objects.exists()


def test_what_is_wrong_with_the_settings_of_several_methods_is_said_together():
    changes = {"classify-head": {"lr": 7}, "classify-lora": {"tune.rank": 0}}
    with pytest.raises(actions.ComparisonRefusal) as refused:
        comparison(changes=changes)
    assert [(field, said.partition(":")[0]) for field, said in refused.value.places] == [
        ("methods", "Output layer"),
        ("methods", "LoRA adapter"),
    ]
    assert not Comparison.objects.exists()


def test_a_preference_comparison_without_data_says_where_its_data_come_from(client):
    client.force_login(factories.admin())
    page = client.get("/baselines/new/", {"task": "preference"}).content.decode()
    assert "Freeze a snapshot" in page
    assert "Upload one" not in page


def test_who_may_not_start_runs_may_not_compare():
    with pytest.raises(Refusal) as refused:
        comparison(actor=factories.user(Role.RESEARCHER))
    assert refused.value.status == 403


def test_all_learn_from_the_same_data_with_the_same_seeds_and_budget():
    made = started(seeds=[3, 4], max_steps=7, batch_size=5)
    runs = Run.objects.exclude(method="evaluate")
    assert runs.count() == 4
    for run in runs:
        assert (run.config["max_steps"], run.config["batch_size"]) == (7, 5)
        assert {each.role: each.version or each.dataset for each in run.inputs.all()} == {
            "base": made.base,
            "dataset": made.dataset,
        }
    assert sorted(runs.values_list("seed", flat=True)) == [3, 3, 4, 4]
    assert set(runs.values_list("name", flat=True)) == {
        f"{made}: {method}, seed {seed}" for method in ("classify-head", "classify-lora") for seed in (3, 4)
    }  # so that a queue of them can be read
    assert set(runs.values_list("config__tune__kind", flat=True)) == {"head", "lora"}


def test_the_length_is_the_epochs_where_no_updates_are_given():
    started(max_steps=None, epochs=2.5)
    assert {(run.config["epochs"], run.config["max_steps"]) for run in Run.objects.all()} == {(2.5, None)}


@pytest.mark.slow
def test_settings_can_be_changed_before_the_start_and_not_after():
    made = comparison()
    entry = made.entries.get(position=2)
    with pytest.raises(Refusal, match="Learning rate"):
        actions.change_entry(actor=made.created_by, entry=entry, config=entry.config | {"lr": 7})
    actions.change_entry(
        actor=made.created_by, entry=entry, config={"tune": {"kind": "lora", "rank": 2}}, label="Small LoRA"
    )
    actions.start(actor=made.created_by, comparison=made)
    assert trial(made, 2).run.config["tune"]["rank"] == 2
    with pytest.raises(Refusal, match="its settings stay"):
        actions.change_entry(actor=made.created_by, entry=entry, config={})
    with pytest.raises(Refusal, match="started already"):
        actions.start(actor=made.created_by, comparison=made)


def test_a_start_queues_all_or_nothing():
    made = comparison()
    Entry.objects.filter(comparison=made, position=2).update(config={"tune": {"kind": "lora"}, "lr": 7})
    with pytest.raises(Refusal, match="LoRA adapter: "):
        actions.start(actor=made.created_by, comparison=made)
    made.refresh_from_db()
    assert not Run.objects.exists()
    assert made.started_at is None


@pytest.mark.slow
def test_a_method_that_is_added_later_is_queued_at_once():
    made = started()
    entry = actions.add_entry(actor=made.created_by, comparison=made, key="classify-lora", config={"lr": 0.01})
    assert str(entry) == "LoRA adapter 2"
    run = entry.trials.get().run
    assert run.config["lr"] == 0.01
    assert run.output_name == "base-classify-lora-2"


def test_a_method_is_called_after_what_it_is_in_the_language_of_who_reads(client):
    with override("id"):
        made = comparison(["prompting-few", "classify-lora", "classify-all"])
    actor = made.created_by
    actions.change_entry(actor=actor, entry=made.entries.get(position=1), config={"shots": 3})
    whole = made.entries.get(position=3)
    actions.change_entry(actor=actor, entry=whole, config=whole.config, label="LoRA adapter")
    assert [row.label for row in Table(made).rows] == ["Prompting, 3 examples", "LoRA adapter 2", "LoRA adapter"]
    with override("id"):
        assert [row.label for row in Table(made).rows] == ["Prompting, 3 contoh", "Adapter LoRA", "LoRA adapter"]
    client.force_login(actor)
    assert "Prompting, 3 examples" in client.get(made.get_absolute_url()).content.decode()
    actions.change_entry(actor=actor, entry=whole, config=whole.config, label="")
    assert [row.label for row in Table(made).rows] == ["Prompting, 3 examples", "LoRA adapter", "All weights"]


def test_a_method_that_is_no_more_is_called_by_its_bare_name():
    made = comparison()
    Entry.objects.filter(comparison=made).update(method="alchemy")
    assert [row.label for row in Table(made).rows] == ["alchemy", "alchemy 2"]


# ---- going on


def test_a_result_is_judged_once_by_an_evaluation_on_the_same_rows():
    made = started()
    actions.go_on()
    assert not Run.objects.filter(method="evaluate").exists()
    finish(trial(made, 1).run)
    actions.go_on()
    actions.go_on()
    run = Run.objects.get(method="evaluate")
    assert trial(made, 1).evaluation == run
    assert {each.role: each.version or each.dataset for each in run.inputs.all()} == {
        "base": trial(made, 1).run.produced,
        "dataset": made.dataset,
    }
    assert run.queue_order < trial(made, 2).run.queue_order  # the table fills as the trainings end


def test_the_base_itself_is_judged_from_the_start():
    data = make.dataset("sft", [{"prompt": "a", "completion": "b", "split": "heldout"}])
    Dataset.objects.filter(pk=data.pk).update(splits={"train": 1, "heldout": 1})
    data.refresh_from_db()
    made = started([menu.BASE, "adapter-lora"], task="language", dataset=data, seeds=[1, 2])
    run = Run.objects.get(method="evaluate")
    assert run.inputs.get(role="base").version == made.base
    assert trial(made, 1, 1).evaluation == run


def test_an_evaluation_that_cannot_be_queued_says_why_and_is_tried_again_when_asked(monkeypatch):
    made = started(["classify-head"])
    finish(trial(made).run)
    made.created_by.role = Role.ANNOTATOR
    made.created_by.save()
    actions.go_on()
    row = Table(made).rows[0]
    assert row.attempts[0].phase == "failed"
    assert "Your role does not allow" in row.attempts[0].problems[0]
    actions.retry(actor=factories.admin(), trial=trial(made))
    assert Table(made).rows[0].attempts[0].phase == "judging"


def test_a_failed_training_shows_its_reason_and_goes_on_from_its_checkpoint():
    made = started()
    error = {"id": "x", "text": "Memory ran out at step %(step)d.", "params": {"step": 4}}
    Run.objects.filter(pk=trial(made).run.pk).update(state=Run.State.FAILED, errors=[error])
    attempt = Table(made).rows[0].attempts[0]
    assert (attempt.phase, attempt.problems) == ("failed", ["Memory ran out at step 4."])
    before = trial(made).run
    actions.retry(actor=made.created_by, trial=trial(made))
    assert (trial(made).run, trial(made).run.state) == (before, Run.State.QUEUED)
    with pytest.raises(Refusal, match="Nothing of this has failed"):
        actions.retry(actor=made.created_by, trial=trial(made))


def test_a_refused_training_is_made_anew():
    made = started()
    before = trial(made).run
    Run.objects.filter(pk=before.pk).update(state=Run.State.REFUSED)
    actions.retry(actor=made.created_by, trial=trial(made))
    assert trial(made).run != before
    assert trial(made).run.is_active


def test_an_evaluation_that_left_nothing_is_made_anew():
    made = started(["classify-head"])
    finish(trial(made).run)
    actions.go_on()
    before = trial(made).evaluation
    Run.objects.filter(pk=before.pk).update(state=Run.State.COMPLETE)
    assert Table(made).rows[0].attempts[0].problems == ["The evaluation left no figures."]
    actions.retry(actor=made.created_by, trial=trial(made))
    assert trial(made).evaluation != before


def test_stopping_all_stops_what_waits_and_what_runs_and_going_on_takes_it_up():
    made = started()
    Run.objects.filter(pk=trial(made, 1).run.pk).update(state=Run.State.RUNNING)
    actions.cancel(actor=made.created_by, comparison=made)
    assert {trial(made, 1).run.state, trial(made, 2).run.state} == {Run.State.STOPPING, Run.State.STOPPED}
    finish(trial(made, 1).run)
    actions.go_on()
    assert not Run.objects.filter(method="evaluate").exists()  # nothing more is queued
    actions.resume(actor=made.created_by, comparison=made)
    assert trial(made, 2).run.state == Run.State.QUEUED
    assert trial(made, 1).evaluation.state == Run.State.QUEUED


def test_deleting_leaves_the_runs():
    made = started()
    actions.delete_comparison(actor=made.created_by, comparison=made)
    assert not Comparison.objects.exists()
    assert Run.objects.count() == 2
    assert AuditEntry.objects.filter(verb="comparison.delete").exists()


# ---- the table


@pytest.fixture
def judged() -> Comparison:
    made = started(["classify-head", "classify-lora", "classify-all"])
    complete(made, {1: {0, 1, 4, 5, 8, 9, 12, 13, 16, 17}, 2: {0, 1}, 3: {0}})
    return made


def test_the_table_says_what_each_gives_and_costs(judged):
    table = Table(judged, metric="accuracy")
    values = [row.figure("accuracy").value for row in table.rows]
    assert values == [0.75, 0.95, 0.975]
    assert all(row.figure("accuracy").low < row.figure("accuracy").value for row in table.rows)
    assert table.best.label == "All weights"
    assert [row.serving for row in table.rows] == ["one base for all", "one base for all", "a base of its own"]
    assert all((row.seconds, row.speed) == (4.0, 500.0) for row in table.rows)
    assert not table.is_live


def test_differences_are_tested_row_by_row(judged):
    table = Table(judged, metric="accuracy", to="1")
    head, lora, best = table.rows
    contrast = table.difference(lora)
    assert contrast.value == pytest.approx(0.2)
    assert contrast.p == pytest.approx(2 * 0.5**8)  # McNemar: eight rows where one alone is right, all of them lora's
    assert contrast.is_clear
    assert table.difference(head) is None
    assert Table(judged, to="best").difference(lora).value == pytest.approx(-0.025)
    assert not Table(judged, to="best").difference(lora).is_clear
    assert best.against(lora)["macro_f1"].test == "permutation"


def test_sorting_puts_what_is_not_known_last(judged):
    actions.add_entry(actor=judged.created_by, comparison=judged, key="classify-ia3")
    assert [row.number for row in Table(judged, sort="quality").rows] == [1, 2, 3, 4]
    assert [row.number for row in Table(judged, sort="-quality").rows] == [3, 2, 1, 4]
    assert [row.number for row in Table(judged, sort="-size").rows] == [3, 2, 1, 4]
    assert [row.number for row in Table(judged, sort="bogus").rows] == [1, 2, 3, 4]
    assert Table(judged).is_live


def test_lower_is_better_for_a_loss(judged):
    assert Table(judged, metric="log_loss").best.number == 3


@pytest.mark.slow
def test_several_seeds_are_averaged_and_their_spread_shown():
    made = started(["classify-head", "classify-lora"], seeds=[1, 2])
    complete(made, {1: set(), 2: set()})
    for seed, wrong in ((1, {0, 1, 4, 5}), (2, {0, 1})):
        evaluation = trial(made, 2, seed).evaluation
        for path in (evaluation.folder / "output").iterdir():
            path.unlink()
        (evaluation.folder / "output").rmdir()
        judge(evaluation, wrong)
    row = Table(made).rows[1]
    assert row.figure("accuracy").value == pytest.approx(0.925)
    assert row.figure("accuracy").spread == pytest.approx((0.9, 0.95))
    contrast = row.against(Table(made).rows[0])["accuracy"]
    assert contrast.value == pytest.approx(-0.075)
    assert contrast.p == pytest.approx(2 * 0.5**4 + 2 * 0.5**2)  # twice the mean of the two seeds' p-values


def test_files_hold_what_the_table_shows(judged):
    table = Table(judged, metric="accuracy", sort="-quality")
    lines = list(csv.DictReader(StringIO(export.as_csv(table))))
    labels = [line["label"] for line in lines]
    assert labels == ["All weights", "LoRA adapter", "Output layer", "Largest class (no model): bad"]
    assert float(lines[1]["accuracy"]) == 0.95
    assert float(lines[1]["accuracy_to_best"]) == pytest.approx(-0.025)
    assert lines[0]["serving"] == "own base"
    assert "| LoRA adapter | 0.9500 |" in export.as_markdown(table)
    found = json.loads(json.dumps(export.as_json(table)))
    assert found["methods"][2]["figures"]["accuracy"]["value"] == 0.75
    assert found["methods"][2]["difference_to_best"]["accuracy"]["p"] < 0.05


def test_predictions_stand_side_by_side_with_the_rows_they_are_about(judged):
    rows = [json.loads(line) for line in export.predictions(judged, "jsonl").splitlines()]
    assert len(rows) == 40
    assert rows[0]["text"] == TEXTS[0]
    assert {name: said["prediction"] for name, said in rows[0]["methods"].items()} == {
        "Output layer": "good", "LoRA adapter": "good", "All weights": "good",
    }  # fmt: skip
    assert rows[1]["methods"]["All weights"]["prediction"] == rows[1]["label"] == "good"
    line = next(csv.DictReader(StringIO(export.predictions(judged, "csv"))))
    assert (line["label"], line["All weights: prediction"]) == ("bad", "good")


def test_the_chart_holds_every_judged_method_and_a_place_for_nothing_trained(judged):
    lora = Table(judged).rows[1].version
    Version.objects.filter(pk=lora.pk).update(kind=Kind.HARD_PROMPT)
    spec = chart.scatter(Table(judged), x_title="Trained").spec()
    values = {each["label"]: each for each in spec["data"]["values"]}
    assert len(values) == 3
    assert values["LoRA adapter"]["trained"] < min(values[name]["trained"] for name in ("Output layer", "All weights"))
    assert all(each["low"] <= each["value"] <= each["high"] for each in values.values())


def test_the_list_counts(judged):
    found = queries.comparisons().get(pk=judged.pk)
    assert (found.methods, found.trials, found.judged, found.active) == (3, 3, 3, 0)
