"""One picture of a run's over-optimisation: the reward model's score over the KL, and on the same picture how often others prefer the policy to its start.

The KL stands on a scale of its root, as in Gao et al. 2022, Scaling laws for reward model overoptimization, figure 1.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.translation import gettext as _

from charts import SENTINELS, frame, titled_axis

from ..charts import thinned
from ..reading import Series
from .queries import Standing

WIDTH, HEIGHT = 560, 230
Interval = tuple[float, float, float, float]  # KL, share, low, high


@dataclass(frozen=True)
class OverOptimisation:
    """`updates`: (KL, reward) of each update; `kept`: of the policies; `people`, `judge`: shares of wins against the start."""

    updates: tuple[tuple[float, float], ...]
    kept: tuple[tuple[float, float], ...]
    people: tuple[Interval, ...]
    judge: tuple[Interval, ...]

    def spec(self, colours: tuple[str, ...] = SENTINELS) -> dict:
        people, judge, reward, grid, text = colours
        most = max((kl for kl, *_rest in (*self.updates, *self.kept)), default=1.0)
        axis = titled_axis(text)
        across = {
            "field": "kl",
            "type": "quantitative",
            "scale": {"type": "sqrt", "domain": [0, max(1.05 * most, 1.0)], "nice": False},
            "axis": {
                **axis,
                "title": _("KL to the start, nats an answer"),
                "grid": False,
                "tickCount": 6,
                "format": ".4~r",
            },
        }
        score = {
            "field": "reward",
            "type": "quantitative",
            "scale": {"zero": False, "nice": 4},
            "axis": {
                **axis,
                "title": _("score of the reward model"),
                "orient": "right",
                "grid": False,
                "tickCount": 4,
            },
        }
        won = {
            "type": "quantitative",
            "scale": {"domain": [0, 1]},
            "axis": {**axis, "title": _("preferred to the start"), "gridColor": grid, "tickCount": 5, "format": ".0%"},
        }
        scores = [
            {
                "data": {"values": [{"kl": max(kl, 0.0), "reward": value} for kl, value in points]},
                "mark": {
                    "type": "point",
                    "filled": filled,
                    "size": size,
                    "color": reward,
                    "opacity": opacity,
                    "shape": "circle",
                },
                "encoding": {"x": across, "y": score},
            }
            for points, filled, size, opacity in ((self.updates, True, 10, 0.45), (self.kept, False, 60, 1.0))
        ]
        half = {
            "data": {"values": [{"half": 0.5}]},
            "mark": {"type": "rule", "color": text, "strokeDash": [3, 3], "strokeWidth": 1},
            "encoding": {"y": {**won, "field": "half"}},
        }
        shares = [
            half,
            *_intervals(self.judge, judge, "diamond", across, won),
            *_intervals(self.people, people, "circle", across, won),
        ]
        layers = [{"layer": shares}, {"layer": scores}]
        return frame(WIDTH, HEIGHT, [], layers, right=2) | {"resolve": {"scale": {"y": "independent"}}}


def _intervals(found: tuple[Interval, ...], colour: str, shape: str, across: dict, up: dict) -> list[dict]:
    """A line through the shares, each with its interval."""
    if not found:
        return []
    names = ("kl", "share", "low", "high")
    data = {"values": [dict(zip(names, each, strict=True)) for each in found]}
    return [
        {"data": data, "mark": {"type": "line", "color": colour, "strokeWidth": 1.5},
         "encoding": {"x": across, "y": {**up, "field": "share"}}},
        {"data": data, "mark": {"type": "rule", "color": colour, "opacity": 0.5, "strokeWidth": 1.5},
         "encoding": {"x": across, "y": {**up, "field": "low"}, "y2": {"field": "high"}}},
        {"data": data, "mark": {"type": "point", "filled": True, "size": 55, "color": colour, "opacity": 1, "shape": shape},
         "encoding": {"x": across, "y": {**up, "field": "share"}}},
    ]  # fmt: skip


def over_optimisation(series: dict[str, Series], standings: Iterable[Standing]) -> OverOptimisation | None:
    """None where no answer was scored yet."""
    rewards = dict(series["reward"].points) if "reward" in series else {}
    kls = series["kl"].points if "kl" in series else []
    updates = tuple(thinned(tuple((kl, rewards[step]) for step, kl in kls if step in rewards)))
    if not updates:
        return None
    standings = list(standings)
    kept = tuple((each.policy.kl, each.policy.reward) for each in standings if each.policy.reward is not None)
    shares = (
        tuple(
            (max(each.policy.kl, 0.0), said.value, said.low, said.high)
            for each in sorted(standings, key=lambda each: each.policy.kl)
            if (said := getattr(each, who)) is not None
        )
        for who in ("people", "judge")
    )
    return OverOptimisation(updates, kept, *shares)
