"""Are more rankings worth it: one reward run at several shares of the prompts, as a curve with a sentence; and what is ticked at once."""

import json
import random

import pytest

from models_registry.models import Head, Kind, Version
from tests import factories
from training.comparisons import actions, export, learning, losses, menu
from training.comparisons.models import Comparison, Trial
from training.comparisons.table import Table
from training.engine.evaluation import figures_of
from training.models import Run

from . import make
from .test_actions import version

pytestmark = pytest.mark.django_db

CURVE = [f"reward-rao_kupper-share-{share}" for share in ("12_5", "25", "50")] + ["reward-rao_kupper"]
PROMPTS = 120  # held out
TITLES = [f"Reward model: Rao–Kupper, {share} % of the prompts" for share in ("12.5", "25", "50")]


def rankings():
    rows = [{"prompt": "a", "completions": ["b", "c"], "ranking": "A > B", "split": s} for s in ("train", "heldout")]
    return make.dataset("rankings", rows, "Votes")


def compared(keys: list[str]) -> Comparison:
    actor = factories.admin()
    made = actions.create_comparison(
        actor=actor, task="preference", base=version("base"), dataset=rankings(), keys=keys, max_steps=5
    )
    return actions.start(actor=actor, comparison=made)


def write(run: Run, metrics: dict, rows: list[dict] | None = None) -> None:
    output = run.folder / "output"
    output.mkdir(parents=True)
    (output / "metrics.json").write_text(json.dumps(metrics))
    if rows is not None:
        (output / "predictions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def trained(made: Comparison, number: int, rankings: int, log_loss: float) -> None:
    """A finished reward run, as the engine and the supervisor leave it."""
    run = Trial.objects.get(entry__comparison=made, entry__position=number).run
    ends = {"log_loss_three_way_low": log_loss - 0.1, "log_loss_three_way_high": log_loss + 0.1}
    loss = run.config["loss"]
    write(
        run, {"train_rankings": rankings, "loss": loss, "log_loss_three_way": log_loss, "log_loss_chance": 1.1, **ends}
    )
    produced = version(f"made{Version.objects.count()}", head=Head.REWARD, kind=Kind.FULL)
    Run.objects.filter(pk=run.pk).update(state=Run.State.COMPLETE, produced=produced)


def judged(made: Comparison, number: int, accuracy: float) -> None:
    """What `evaluate` leaves of so good a reward model; the better of two gets right what the worse does, and more."""
    run = Trial.objects.get(entry__comparison=made, entry__position=number).evaluation
    luck = random.Random(5)
    rows = []
    for prompt in range(PROMPTS):
        right = float(luck.random() < accuracy)
        rows.append({"row": prompt, "cluster": str(prompt), "strict_right": right, "strict_pairs": 1})
    write(run, {"task": "preference", "figures": figures_of("preference", rows, resamples=200)}, rows)
    Run.objects.filter(pk=run.pk).update(state=Run.State.COMPLETE)


def finished(made: Comparison, accuracies: list[float], first: int = 100) -> Table:
    for number, _accuracy in enumerate(accuracies, 1):
        trained(made, number, first * 2 ** (number - 1), 1 - number / 10)
    actions.go_on()
    for number, accuracy in enumerate(accuracies, 1):
        judged(made, number, accuracy)
    return Table(made)


def test_the_shares_are_offered_with_names_of_their_own_and_not_ticked():
    offered = {choice.key: choice for choice in menu.menu("preference", version("base"), rankings())}
    assert [offered[key].title for key in CURVE[:3]] == TITLES
    assert [offered[key].config["train_share"] for key in CURVE[:3]] == [0.125, 0.25, 0.5]
    assert not any(offered[key].ticked for key in CURVE[:3])


@pytest.mark.slow
def test_what_belongs_together_is_ticked_at_once(client):
    client.force_login(factories.admin())
    asked = {"task": "preference", "base": version("base").pk, "dataset": rankings().pk}
    for name, keys in (("curve", CURVE), ("losses", [key for key in _keys() if "share" not in key])):
        page = client.get("/baselines/new/", asked | {"set": name})
        assert page.context["ticked"] == set(keys)
        assert page.content.decode().count(" checked> <span>") == len(keys)
    assert len(keys) == 5
    plain = client.get("/baselines/new/", asked)
    assert plain.context["ticked"] == {menu.BASE, "reward-rao_kupper", "reward-bradley_terry", "dpo"}
    assert "Learning curve: are more rankings worth it?" in plain.content.decode()
    assert "Learning curve" not in client.get("/baselines/new/", {"task": "language"}).content.decode()


def _keys() -> list[str]:
    return [choice.key for choice in menu.menu("preference") if choice.method == "reward"]


@pytest.mark.slow
def test_a_curve_shows_what_each_doubling_brought(client):
    made = compared(CURVE)
    table = finished(made, [0.55, 0.6, 0.65, 0.85])
    (curve,) = learning.curves(table)
    assert curve.label == "Reward model: Rao–Kupper"
    assert [line.rankings for line in curve.lines] == [100, 200, 400, 800]
    half, most, brought = curve.last_doubling
    assert (half.rankings, most.rankings) == (400, 800)
    accuracies = [line.figures["pair_accuracy"].value for line in curve.lines]
    assert brought.value == pytest.approx(accuracies[3] - accuracies[2])
    assert 0 < brought.low < brought.value < brought.high
    points = f"{100 * brought.value:.1f}"
    assert curve.sentence.startswith(f"From 400 to 800 rankings, pair accuracy rose by {points} percentage points")
    assert curve.sentence.endswith("more rankings still help.")
    losses = [line.figures["log_loss_three_way"] for line in curve.lines]
    assert (losses[0].value, losses[0].low, losses[0].high) == pytest.approx((0.9, 0.8, 1.0))

    client.force_login(made.created_by)
    answer = client.get(made.get_absolute_url()).content.decode()
    page = " ".join(answer.split())
    assert page.count("by training rankings; the bars are 95 % intervals") == 2
    assert curve.sentence in page
    assert all(plot.picture.startswith("<svg") and plot.picture in answer for plot in curve.plots)
    written = export.as_json(table)["learning_curves"]
    assert [point["rankings"] for point in written[0]["points"]] == [100, 200, 400, 800]
    assert written[0]["says"] == curve.sentence


@pytest.mark.slow
def test_a_flat_end_says_that_nothing_was_gained():
    (curve,) = learning.curves(finished(compared(CURVE), [0.5, 0.6, 0.7, 0.7]))
    assert "no gain that could be told from chance" in curve.sentence


@pytest.mark.slow
def test_without_half_as_many_there_is_a_curve_and_no_sentence():
    made = compared([CURVE[0], CURVE[3]])
    trained(made, 1, 100, 0.9)
    trained(made, 2, 800, 0.8)
    actions.go_on()
    assert learning.curves(Table(made)) == []  # nothing is judged yet
    judged(made, 1, 0.6)
    assert learning.curves(Table(made)) == []  # one point is no curve
    judged(made, 2, 0.7)
    (curve,) = learning.curves(Table(made))
    assert curve.sentence == ""


@pytest.mark.slow
def test_entries_that_differ_in_more_are_no_curve():
    made = compared(["reward-davidson", *CURVE[2:]])
    (curve,) = learning.curves(finished(made, [0.6, 0.7, 0.7]))
    assert [line.row.number for line in curve.lines] == [2, 3]


@pytest.mark.slow
def test_loss_functions_stand_side_by_side_by_how_surprised_they_are(client):
    made = compared(["reward-rao_kupper", "reward-bradley_terry", "reward-rao_kupper-share-50"])
    table = finished(
        made, [0.6, 0.65, 0.7]
    )  # log-losses 0.9, 0.8, and 0.7 on half of the prompts, which is another thing
    found = losses.side_by_side(table)
    assert [(loss.row.label, loss.log_loss.value) for loss in found.losses] == [
        ("Reward model: Bradley–Terry", pytest.approx(0.8)),
        ("Reward model: Rao–Kupper", pytest.approx(0.9)),
    ]
    assert found.chance == 1.1
    client.force_login(made.created_by)
    page = " ".join(client.get(made.get_absolute_url()).content.decode().split())
    assert 'Who knows only how often people tie</th><td class="num">1.1</td>' in page
    assert page.count("0.7 – 0.9</td>") == 1
    assert export.as_json(table)["loss_functions"]["losses"][0]["log_loss_three_way"]["low"] == pytest.approx(0.7)


@pytest.mark.slow
def test_one_loss_function_alone_has_none_beside_it():
    assert losses.side_by_side(finished(compared(CURVE), [0.55, 0.6, 0.65, 0.7])) is None
