"""What a person is told about a PPO run, from the numbers of its updates."""

from typing import Any

import pytest

from training.engine.methods.ppo.health import WINDOW, Health

CALM = {
    "reward": 0.0,
    "kl": 0.0,
    "kl_per_token": 0.0,
    "ratio_start": 1.0,
    "ratio": 1.0,
    "clip_fraction": 0.1,
    "entropy": 1.4,
    "reward_std": 1.0,
    "explained_variance": 0.3,
    "length": 50.0,
    "distinct_within": 0.98,
    "distinct_across": 0.9,
    "reward_spread": 0.2,
}


def told(*later: dict[str, float], kl_target: float | None = None, updates: int = 3 * WINDOW) -> list[str]:
    """Ids of all messages of a run that starts calm and then shows what is given, for the rest of it."""
    health = Health(kl_limit=0.5, kl_target=kl_target)
    found = []
    for update in range(updates):
        change = later[min(update - WINDOW, len(later) - 1)] if update >= WINDOW and later else {}
        for message, _level in health.look(CALM | change):
            assert str(message)  # its places can be filled
            found.append(message.id)
    return found


def test_a_calm_run_says_that_its_start_agrees_and_nothing_more():
    assert told() == ["start-agrees"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kl": -3.0, "kl_per_token": -0.05}, "kl-negative"),
        ({"kl": 40.0, "kl_per_token": 0.7}, "kl-large"),
        ({"length": 90.0, "reward": 1.0}, "length-pays"),
        ({"length": 90.0}, "answers-longer"),
        ({"length": 20.0, "reward": 1.0}, "answers-shorter"),
        ({"length": 8.0, "reward": 1.0}, "answers-vanish"),
        ({"ratio": 4.0}, "ratio-far"),
        ({"ratio": 0.3}, "ratio-far"),
        ({"distinct_across": 0.5}, "outputs-alike"),
        ({"distinct_across": 0.2}, "outputs-collapsed"),
        ({"distinct_across": 0.5, "entropy": 0.4}, "outputs-collapsed"),
        ({"entropy": 0.4}, "entropy-falls"),
        ({"reward_std": 0.0}, "reward-flat"),
        ({"explained_variance": -0.9}, "critic-lost"),
        ({"distinct_within": 0.6}, "answers-repeat"),
        ({"clip_fraction": 0.6}, "steps-large"),
        ({"reward": -1.0}, "reward-falls"),
        ({"reward_spread": 0.5}, "rewards-disagree"),
    ],
)
def test_each_trouble_has_its_message_and_is_told_once(change, message):
    assert told(change).count(message) == 1
    assert message not in told()


def test_longer_answers_are_told_as_what_pays_only_where_the_reward_rises():
    assert "answers-longer" not in told({"length": 90.0, "reward": 1.0})
    assert "length-pays" not in told({"length": 90.0, "reward": 0.2})


def test_a_kl_far_above_its_target_is_told_only_where_there_is_one():
    assert "kl-above-target" in told({"kl": 25.0, "kl_per_token": 0.4}, kl_target=10)
    assert "kl-above-target" not in told({"kl": 15.0, "kl_per_token": 0.3}, kl_target=10)
    assert told({"kl": 25.0, "kl_per_token": 0.4}) == ["start-agrees"]


@pytest.mark.parametrize("start", [{"ratio_start": 1.02}, {"kl": 0.3}])
def test_a_start_that_does_not_agree_is_a_warning(start):
    [(message, level)] = Health(kl_limit=0.5, kl_target=None).look(CALM | start)
    assert (message.id, level) == ("start-disagrees", "warning")


def test_one_odd_update_is_not_a_trend():
    assert told({"length": 80.0}, {}) == ["start-agrees"]


def test_texts_too_short_for_runs_of_words_say_nothing_about_variety():
    silent: dict[str, Any] = {"distinct_across": None, "distinct_within": None}
    health = Health(kl_limit=0.5, kl_target=None)
    assert [m.id for _ in range(8) for m, _level in health.look(CALM | silent)] == ["start-agrees"]


def test_after_a_resume_it_goes_on_where_it_was():
    troubled = CALM | {"distinct_across": 0.5}
    whole, before, after = (Health(kl_limit=0.5, kl_target=None) for _ in range(3))
    numbers = [CALM] * WINDOW + [troubled] * WINDOW
    expected = [m.id for n in numbers for m, _level in whole.look(n)]
    found = [m.id for n in numbers[:7] for m, _level in before.look(n)]
    after.restore(before.state())
    found += [m.id for n in numbers[7:] for m, _level in after.look(n)]
    assert found == expected == ["start-agrees", "outputs-alike"]
