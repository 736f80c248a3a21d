"""The table of a finished run's figures."""

from training.result import result


def test_interval_and_start_stand_beside_their_figure():
    table = result({"win_rate": 0.8, "win_rate_low": 0.7, "win_rate_high": 0.9, "reward": 1.2, "reward_start": 0.1})
    assert [(f.name, f.start, f.value, f.interval) for f in table.figures] == [
        ("win_rate", None, 0.8, (0.7, 0.9)),
        ("reward", 0.1, 1.2, None),
    ]
    assert table.has_start
    assert table.has_interval


def test_figures_it_does_not_know_come_last_under_their_own_name():
    table = result({"my_figure": 3, "accuracy": 0.6, "prompt_shared": True, "by_class": {"good": 0.5}})
    assert [f.name for f in table.figures] == ["accuracy", "prompt_shared", "my_figure", "by_class.good"]
    assert table.figures[1].value == "yes"
    assert table.figures[2].title == "My figure"
    assert not table.has_start
    assert not table.has_interval
