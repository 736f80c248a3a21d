"""The figures of the rankings of WMT12, pinned, and the time they take."""

import os
from pathlib import Path

import pytest

from labeling.statistics import agreement, bias, ceiling, compare, consensus, reliability
from labeling.statistics.judgements import Table
from tests.cost import core_seconds
from tests.statistics.make import wmt12

REAL = Path(os.environ.get("PERINGKAT_REAL_DATA", "/nowhere"))
pytestmark = pytest.mark.skipif(not (REAL / "data/wmt12-rankings").is_dir(), reason="PERINGKAT_REAL_DATA is not set")


@pytest.fixture(scope="module")
def real():
    judgements, sources = wmt12(REAL)
    return Table.of(judgements), sources


def near(figure, value: float, low: float, high: float) -> bool:
    return (figure.value, figure.low, figure.high) == pytest.approx((value, low, high), abs=0.006)


def test_people_agree_a_third_of_the_way_from_chance(real):
    found = agreement.summary(real[0])
    assert (found.rankings, found.three_way.raw.n, found.three_way.raw.tasks) == (3911, 6221, 630)
    assert near(found.three_way.raw, 0.582, 0.563, 0.601)
    assert near(found.three_way.chance_corrected, 0.327, 0.297, 0.357)
    assert near(found.three_way.strict, 0.709, 0.690, 0.728)
    assert near(found.tau_b, 0.379, 0.342, 0.414)
    assert near(found.tau_x, 0.366, 0.333, 0.398)
    assert near(agreement.alpha(real[0]), 0.417, 0.381, 0.454)
    assert near(agreement.alpha(real[0], metric="nominal"), 0.327, 0.296, 0.357)


def test_languages_differ(real):
    found = agreement.by_slice(real[0], "language")
    kappas = {name: round(summary.three_way.chance_corrected.value, 3) for name, summary in found.items()}
    assert kappas == {"de-en": 0.386, "es-en": 0.276, "fr-en": 0.281}
    assert found["de-en"].three_way.chance_corrected.low > found["fr-en"].three_way.chance_corrected.high


def test_people_agree_with_themselves_little_more_than_with_others(real):
    found = agreement.with_themselves(real[0])
    assert found.everyone.three_way.raw.tasks == 42
    assert found.everyone.three_way.chance_corrected.value == pytest.approx(0.379, abs=1e-3)
    assert found.everyone.tau_x.value == pytest.approx(0.429, abs=1e-3)


def test_no_reward_model_can_be_expected_to_predict_more_than_seven_in_ten(real):
    found = ceiling.human_ceiling(real[0])
    assert near(found.strict_by_person, 0.684, 0.666, 0.702)
    assert found.strict_by_consensus.why.id == "two_others"


@pytest.mark.slow
def test_one_of_a_hundred_people_ranks_by_chance(real):
    found = reliability.reliability(real[0])
    scales = {name: each.scale for name, each in found.items() if each.scale.value is not None}
    assert (len(found), len(scales)) == (102, 65)
    useless = {name: scale for name, scale in scales.items() if scale.high < 0.5}
    assert {(round(scale.value, 1), scale.n) for scale in useless.values()} == {(0.1, 51)}
    by_annotator = agreement.by_annotator(real[0])
    assert by_annotator[next(iter(useless))].tau_x.high < 0.15


def test_what_is_shown_first_is_ranked_a_little_too_low_and_length_has_no_pull(real):
    position, length, speed = bias.position(real[0]), bias.length(real[0]), bias.speed(real[0])
    assert near(position.earlier_wins, 0.490, 0.483, 0.497)
    assert position.places[0].high < 0
    assert near(length.longer_wins, 0.477, 0.469, 0.487)
    assert length.slope.low < 0 < length.slope.high
    assert speed.slope.why.id == "no_times"


def test_systems_are_told_apart_at_both_ends(real):
    table, sources = real
    found = compare.models(table, sources)
    assert (len(found.strengths), found.groups, found.why) == (22, 1, None)
    assert [each.source for each in found.strengths[:2]] == ["onlineA", "onlineB"]
    assert [each.source for each in found.strengths[-2:]] == ["uk-dan-moses", "UG-WMT12"]
    assert near(found.strengths[0].strength, 0.494, 0.400, 0.587)
    other = compare.models(table, sources, model="rao_kupper")
    assert [each.source for each in other.strengths[:5]] == [each.source for each in found.strengths[:5]]


@pytest.mark.slow
def test_every_task_has_a_consensus(real):
    orders: dict[int, list] = {}
    for row in real[0].firsts:
        orders.setdefault(int(real[0].task[row]), []).append(real[0].judgements[row].order)
    found = consensus.of_many((of_task, None) for of_task in orders.values())
    assert len(found) == 3281
    assert sum(bool(each.contested) for each in found) == 593
    assert all(each.order is not None for each in found)


def everything(judgements, sources) -> None:
    """What the quality page asks for."""
    table = Table.of(judgements)
    agreement.summary(table)
    agreement.alpha(table)
    agreement.alpha(table, metric="nominal")
    agreement.by_annotator(table)
    agreement.with_themselves(table)
    agreement.by_slice(table, "language")
    agreement.by_slice(table, "K")
    ceiling.human_ceiling(table)
    reliability.reliability(table)
    bias.position(table)
    bias.length(table)
    bias.speed(table)
    compare.models(table, sources)


@pytest.mark.slow
def test_all_of_it_takes_less_than_two_seconds_of_one_core(real):
    assert any(core_seconds(lambda: everything(real[0].judgements, real[1])) < 2 for _try in range(3))
