"""The loss functions of reward models side by side: how surprising the same held-out rankings are to what each of them made, ties included."""

from dataclasses import dataclass

from .learning import over_seeds, trained
from .table import Estimate, Row, Table


@dataclass(frozen=True)
class Loss:
    row: Row
    log_loss: Estimate  # three-way, in nats a pair


@dataclass(frozen=True)
class SideBySide:
    """`chance`: the log-loss of one who knows only how often people tie."""

    losses: list[Loss]  # the least surprised first
    chance: float | None


def side_by_side(table: Table) -> SideBySide | None:
    """Of the reward models that learned from all prompts; None before two loss functions are through."""
    found, names, chance = [], set(), None
    for row in table.rows:
        if row.entry.method != "reward" or row.entry.config.get("train_share", 1) != 1:
            continue
        metrics = trained(row)
        if log_loss := over_seeds(metrics):
            found.append(Loss(row, log_loss))
            names |= {each.get("loss") for each in metrics}
            chance = metrics[0].get("log_loss_chance", chance)
    found.sort(key=lambda loss: loss.log_loss.value)
    return SideBySide(found, chance) if len(names) > 1 else None
