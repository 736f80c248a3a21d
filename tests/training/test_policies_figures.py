"""Figures of a run's policies: shares with their intervals, which prompts are drawn, where a run has gone too far, and its picture."""

import json
from collections import Counter

import pytest

from charts import PLAIN, draw
from labeling.head_to_head import HeadToHead
from training.engine.intervals import wilson
from training.engine.methods.ppo.kept import Policy
from training.models import Run
from training.policies.chart import OverOptimisation, over_optimisation
from training.policies.queries import Policies, Standing, drawn, share
from training.reading import Series


def standing(step: int, kl: float, reward: float, people: tuple | None = None, judge: tuple | None = None) -> Standing:
    asked = HeadToHead(sum(people), sum(people), *people, (), 0) if people else None
    return Standing(
        Policy(step, kl, reward),
        False,
        None,
        asked,
        share(*people) if people else None,
        share(*judge) if judge else None,
    )


def series(points: list[tuple[int, float]]) -> Series:
    found = Series()
    for step, value in points:
        found.add(step, value)
    return found


def test_a_tie_is_half_and_a_prompt_counts_once():
    plain = share(6, 2, 2)
    assert (plain.value, plain.low, plain.high) == (0.7, *wilson(7, 10))
    clustered = share(6, 0, 4, (1.0, 0.0, 0.5))  # ten rankings of three prompts
    assert (clustered.value, clustered.low, clustered.high) == (0.5, *wilson(1.5, 3))
    assert (share(0, 0, 0), share(0, 0, 0, ())) == (None, None)


def test_prompts_are_drawn_in_rounds_without_one_coming_twice():
    rounds = drawn(list("abcdef"), 14, seed=3)
    assert [len(each) for each in rounds] == [6, 6, 2]
    assert all(max(Counter(each).values()) == 1 for each in rounds)
    assert drawn(list("abcdef"), 14, seed=3) == rounds != drawn(list("abcdef"), 14, seed=4)
    assert drawn(list("abc"), 2, seed=1) == [drawn(list("abc"), 3, seed=1)[0][:2]]


def too_far(*standings: Standing) -> list[tuple[int, int]]:
    found = Policies(run=None)
    found.standings = list(standings)
    return [(near.policy.step, far.policy.step) for near, far in found.too_far]


def test_a_run_has_gone_too_far_where_the_score_rises_and_the_preference_falls_beyond_doubt():
    near, far = standing(10, 9.0, 1.0, people=(80, 0, 20)), standing(40, 60.0, 2.0, people=(40, 0, 60))
    assert too_far(near, far) == [(10, 40)]
    assert too_far(near, standing(40, 60.0, 2.0, people=(74, 0, 26))) == []  # within the intervals
    assert too_far(near, standing(40, 60.0, 0.5, people=(40, 0, 60))) == []  # the score says so itself
    assert too_far(near, standing(40, 60.0, 2.0)) == []  # nobody was asked
    judged = standing(10, 9.0, 1.0, judge=(90, 0, 10)), standing(40, 60.0, 2.0, judge=(50, 0, 50))
    assert too_far(*judged) == [(10, 40)]


def test_the_picture_has_score_and_preference_over_the_root_of_the_kl():
    events = {"kl": series([(1, 0.0), (2, 4.0), (3, 16.0)]), "reward": series([(1, 0.0), (2, 0.5), (3, 1.5)])}
    plot = over_optimisation(
        events, [standing(2, 16.0, 1.5, people=(3, 0, 1)), standing(1, 4.0, 0.5, judge=(2, 1, 1), people=(1, 0, 1))]
    )
    assert plot.updates == ((0.0, 0.0), (4.0, 0.5), (16.0, 1.5))
    assert [point[:2] for point in plot.people] == [(4.0, 0.5), (16.0, 0.75)]  # by KL, whatever their order
    assert [point[:2] for point in plot.judge] == [(4.0, 0.625)]
    _shares, scores = plot.spec(PLAIN)["layer"]
    assert scores["layer"][0]["encoding"]["x"]["scale"]["type"] == "sqrt"
    assert plot.spec(PLAIN)["resolve"] == {"scale": {"y": "independent"}}
    assert "<svg" in draw([plot])[0]


@pytest.mark.parametrize(("most", "shown"), [(30.0, ">25<"), (100.0, ">60<")])
def test_a_kl_is_written_as_a_number_is_read(most, shown):
    [svg] = draw([OverOptimisation(((0.0, 0.0), (most, 1.0)), (), (), ())])
    assert shown in svg
    assert "e+" not in svg


def test_a_run_that_scored_nothing_has_no_picture():
    assert over_optimisation({}, []) is None
    assert isinstance(
        over_optimisation({"kl": series([(1, 1.0)]), "reward": series([(1, 0.0)])}, []), OverOptimisation
    )


@pytest.mark.django_db
def test_the_result_of_a_run_that_ended_early_stands_at_the_update_where_it_ended(settings, tmp_path):
    settings.RUNS = tmp_path
    run = Run.objects.create(name="Early", method="ppo", config={"updates": 60, "stop": ["\\n"]}, state="complete")
    assert Policies(run).all == []
    (run.folder / "output").mkdir(parents=True)
    (run.folder / "output" / "metrics.json").write_text(json.dumps({"updates": 7, "kl": 30.0, "reward": 1.0}))
    found = Policies(run)
    assert found.all == [Policy(7, 30.0, 1.0)]
    assert found.folder(found.all[0]) == run.folder / "output"
    assert found.stop == ("\n",)
