"""Bias by place, length and speed: against slow versions, blind to what is not there, and finding what was put in."""

from dataclasses import replace
from itertools import combinations
from math import exp, isclose, log, log2, sqrt
from statistics import mean, median

import numpy as np
import pytest

from labeling.statistics import bias
from labeling.statistics.judgements import Judgement
from tests.statistics.make import bucketed, judged, order, shuffled, simulated


def shown(
    *,
    tasks: int = 150,
    overlap: int = 2,
    items: int = 4,
    pull: float = 0.0,
    longer: float = 0.0,
    hurry: float = 0.0,
    seed: int = 0,
):
    """People who are drawn to the first places (`pull`), to long outputs (`longer`, log-odds for a doubling), and careless when quick (`hurry`)."""
    draws = np.random.default_rng(seed)
    found = []
    for task in range(tasks):
        quality = draws.normal(0, 1.5, items)
        lengths = tuple(int(length) for length in draws.integers(50, 800, items))
        for person in draws.choice(6, overlap, replace=False):
            display = tuple(int(item) for item in draws.permutation(items))
            seconds = float(draws.lognormal(3 + person / 3, 0.7))
            care = 1 - hurry / (1 + (seconds / exp(3 + person / 3)) ** 4)
            scores = care * quality + longer * np.log2(lengths) + draws.gumbel(0, 1, items)
            scores[list(display)] -= pull * np.arange(items)
            found.append(Judgement(task, int(person), bucketed(scores, 0.4), 0, display, lengths, seconds))
    return found


def earlier_pairs(one: Judgement):
    """What is said about each pair, the output shown earlier first."""
    for i, j in combinations(range(one.order.items), 2):
        answer = one.order.compare(one.display[i], one.display[j])
        if answer is not None:
            yield answer


@pytest.mark.parametrize("seed", [1, 2])
def test_position_is_what_looking_at_each_place_gives(seed):
    judgements = shown(tasks=12, pull=0.3, seed=seed)
    judgements += [replace(one, task=f"x{one.task}", order=order("B > D > *", 4)) for one in judgements[:3]]
    judgements += [replace(one, task=f"y{one.task}", order=order("A = B = C = D")) for one in judgements[:2]]
    found = bias.position(judgements)
    answers = [answer for one in judgements for answer in earlier_pairs(one)]
    assert found.earlier_wins.value == pytest.approx(mean((answer + 1) / 2 for answer in answers))
    assert found.earlier_wins.n == len(answers)
    slopes = []
    for one in judgements:
        signs = list(earlier_pairs(one))
        if any(signs):
            slopes.append(sum(signs) / sqrt(len(signs) * sum(map(abs, signs))))
    assert (found.slope.value, found.slope.n) == (pytest.approx(mean(slopes)), len(slopes))
    for place in range(4):
        won = []
        for one in judgements:
            item = one.display[place]
            said = [one.order.compare(item, other) for other in range(4) if other != item]
            said = [answer for answer in said if answer is not None]
            if said:
                won.append(mean(said) / 2)
        assert (found.places[place].value, found.places[place].n) == (pytest.approx(mean(won)), len(won))
    assert len(found.places) == 4


def test_position_finds_a_pull_to_the_first_places_and_none_where_there_is_none():
    fair, unfair = bias.position(shown()), bias.position(shown(pull=0.4))
    assert fair.earlier_wins.low < 0.5 < fair.earlier_wins.high
    assert fair.slope.low < 0 < fair.slope.high
    assert unfair.earlier_wins.low > 0.5
    assert unfair.slope.low > 0
    assert unfair.places[0].low > 0 > unfair.places[-1].high
    assert sum(place.value for place in unfair.places) == pytest.approx(0, abs=1e-9)


def test_position_needs_the_order_that_was_shown():
    unknown = bias.position(judged("A > B", "B > A"))
    assert unknown.earlier_wins.why.id == unknown.slope.why.id == "no_display"
    assert unknown.places == ()
    tied = bias.position(judged("A = B", display=(1, 0)))
    assert (tied.earlier_wins.value, tied.slope.why.id) == (0.5, "all_tied")
    assert bias.position([]).slope.why.id == "no_display"
    place = bias.position([Judgement(1, "a", order("A > B", 3), display=(2, 0, 1))])
    assert [figure.why.id for figure in place.places] == ["no_place", "few_tasks", "few_tasks"]


def test_length_is_what_looking_at_each_pair_gives():
    judgements = shown(tasks=10, longer=0.3)
    judgements += [replace(judgements[0], task="x", lengths=(7, 7, 30, 0))]
    wins = strict = ties = pairs = 0
    points = []
    for one in judgements:
        for a, b in combinations(range(4), 2):
            long, short = sorted((a, b), key=lambda item: -one.lengths[item])
            if one.lengths[long] == one.lengths[short]:
                continue
            answer = one.order.compare(long, short)
            pairs, ties = pairs + 1, ties + (answer == 0)
            strict, wins = strict + (answer != 0), wins + (answer == 1)
            points.append((log2(one.lengths[long] / max(1, one.lengths[short])), (answer + 1) / 2))
    found = bias.length(judgements)
    assert (found.longer_wins.value, found.longer_wins.n) == (pytest.approx(wins / strict), strict)
    assert (found.ties.value, found.ties.n) == (pytest.approx(ties / pairs), pairs)

    def fit(slope: float) -> float:
        """Of the slope, the weak prior included."""
        chances = [(1 / (1 + exp(-slope * x)), y) for x, y in points]
        return sum(y * log(chance) + (1 - y) * log(1 - chance) for chance, y in chances) - slope**2 / 200

    assert fit(found.slope.value) > max(fit(found.slope.value + step) for step in (-1e-3, 1e-3))


def test_length_finds_a_taste_for_long_outputs_and_none_where_there_is_none():
    fair, unfair = bias.length(shown(seed=5)), bias.length(shown(longer=0.5, seed=5))
    assert fair.slope.low < 0 < fair.slope.high
    assert fair.longer_wins.low < 0.5 < fair.longer_wins.high
    assert unfair.slope.low > 0
    assert unfair.longer_wins.low > 0.5


@pytest.mark.slow
def test_the_interval_of_the_slope_is_that_of_drawing_tasks():
    judgements = shown(tasks=60, longer=0.4)
    draws, slopes = np.random.default_rng(0), []
    for _round in range(60):
        chosen = draws.integers(0, 60, 60)
        again = [
            replace(one, task=(copy, one.task))
            for copy, task in enumerate(chosen)
            for one in judgements
            if one.task == task
        ]
        slopes.append(bias.length(again).slope.value)
    found = bias.length(judgements).slope
    assert (found.high - found.low) / 4 == pytest.approx(np.std(slopes), rel=0.35)


def test_length_says_why_it_is_missing():
    assert bias.length(judged("A > B")).slope.why.id == "no_lengths"
    assert bias.length(judged("A > B", lengths=(5, 5))).longer_wins.why.id == "no_lengths"
    assert bias.length(judged("A = B", lengths=(5, 6))).longer_wins.why.id == "all_tied"
    always = bias.length([one for task in range(9) for one in judged("A > B", task=task, lengths=(9, 3))]).slope
    assert 0 < always.value < 20


def test_speed_is_what_looking_at_each_person_gives():
    judgements = shown(tasks=25, hurry=0.9)
    judgements += [replace(one, task=f"x{one.task}") for one in judgements if one.annotator == 0]  # alone there
    found = bias.speed(judgements)
    agreement = {}
    for one in judgements:
        taus = [one.order.tau_x(other.order) for other in judgements if other.task == one.task and other is not one]
        if taus:
            agreement[one.task, one.annotator] = mean(taus)
    thirds, over, under = ([], [], []), 0.0, 0.0
    for person in range(6):
        mine = [one for one in judgements if one.annotator == person and (one.task, person) in agreement]
        mine.sort(key=lambda one: one.seconds)
        logs, taus = [log2(one.seconds) for one in mine], [agreement[one.task, person] for one in mine]
        over += sum((x - mean(logs)) * (y - mean(taus)) for x, y in zip(logs, taus, strict=True))
        under += sum((x - mean(logs)) ** 2 for x in logs)
        for place, tau in enumerate(taus):
            thirds[3 * (2 * place + 1) // (2 * len(mine) + 1)].append(tau)
    for figure, taus in zip(found.thirds, thirds, strict=True):
        assert (figure.value, figure.n) == (pytest.approx(mean(taus)), len(taus))
    assert found.slope.value == pytest.approx(over / under)
    assert found.seconds.value == pytest.approx(median(one.seconds for one in judgements))
    assert found.seconds.low < found.seconds.value < found.seconds.high
    fast = [sum(one.lengths) / one.seconds > bias.FASTEST for one in judgements]
    assert 0 < found.too_fast.value < 1
    assert isclose(found.too_fast.value, mean(fast))


def test_speed_finds_haste_and_none_where_there_is_none():
    calm, hasty = bias.speed(shown(tasks=300)), bias.speed(shown(tasks=300, hurry=1.0))
    assert calm.slope.low < 0 < calm.slope.high
    assert hasty.slope.low > 0
    assert hasty.thirds[0].high < hasty.thirds[2].low


def test_slow_people_are_not_taken_for_careful_ones():
    """Person 0 is quick and careful, person 1 slow and careless; neither changes with time."""
    judgements = simulated(people=3, overlap=2, tasks=150, scales=[3.0, 0.1, 1.5])
    draws = np.random.default_rng(0)
    timed = [replace(one, seconds=float(draws.lognormal((1, 5, 3)[one.annotator], 0.5))) for one in judgements]
    found = bias.speed(timed)
    assert found.slope.low < 0 < found.slope.high


def test_speed_says_why_it_is_missing():
    untimed = bias.speed(judged("A > B", "A > B"))
    assert [each.why.id for each in (*untimed.thirds, untimed.slope, untimed.seconds)] == ["no_times"] * 5
    assert untimed.too_fast.why.id == "no_reading"
    alone = bias.speed(judged("A > B", seconds=3.0, lengths=(40, 400)))
    assert alone.slope.why.id == "no_speed"
    assert (alone.too_fast.value, alone.seconds.value) == (1, 3)
    even = bias.speed([one for task in range(6) for one in judged("A > B", "A > B", task=task, seconds=5.0)])
    assert (even.slope.value, even.slope.why.id) == (None, "same_time")


@pytest.mark.parametrize("seed", [1, 2])
def test_names_letters_and_order_do_not_matter(seed):
    judgements = shown(tasks=40, pull=0.2, longer=0.2)
    other = shuffled(judgements, seed)
    for one, two in (
        (bias.position(judgements).slope, bias.position(other).slope),
        (bias.position(judgements).places[2], bias.position(other).places[2]),
        (bias.length(judgements).slope, bias.length(other).slope),
        (bias.length(judgements).longer_wins, bias.length(other).longer_wins),
        (bias.speed(judgements).slope, bias.speed(other).slope),
        (bias.speed(judgements).too_fast, bias.speed(other).too_fast),
    ):
        assert (one.value, one.low, one.high, one.n) == pytest.approx((two.value, two.low, two.high, two.n))
