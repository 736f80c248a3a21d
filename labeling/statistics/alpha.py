"""Krippendorff's α, α = 1 - observed disagreement / disagreement by chance (Krippendorff 2004, Content Analysis, chapter 11)."""

from itertools import pairwise

import numpy as np

from .figures import Figure
from .messages import Message, _
from .resampling import FEWEST_TASKS, Resampling, figures, too_few

NO_VARIATION = Message("no_variation", _("All values are the same, so that agreement cannot be told from chance."))


def nominal_alpha(votes: np.ndarray, people: np.ndarray, *, seed: int, why: Message) -> Figure:
    """`votes` (tasks, 3, 36): how many people say >, =, < about each pair.

    The units are the ordered pairs: each pair stands there as it is and turned round. So > and < are equally frequent, whatever the order of items.
    """
    asked = votes.sum(1)
    pairable = asked > 1
    values = np.where(pairable, asked, 0).sum(1)
    ties = np.where(pairable, votes[:, 1], 0).sum(1)
    agreeing = (votes * (votes - 1)).sum(1)
    disagreeing = np.where(pairable, (asked * (asked - 1) - agreeing) / np.maximum(asked - 1, 1), 0.0).sum(1)
    part = values > 0
    if not part.any():
        return Figure(None, why=why)

    def statistic(totals: np.ndarray) -> np.ndarray:
        n, tied, observed = 2 * totals.T  # in both directions
        strict = (n - tied) / 2  # > as often as <
        by_chance = (n**2 - tied**2 - 2 * strict**2) / (n - 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(tied < n, 1 - observed / by_chance, np.nan)[:, None]

    columns = np.stack([values, ties, disagreeing], axis=1)[part].astype(float)
    value, low, high, reason = figures(columns, statistic, seed=seed)[0]
    n, tasks = int(values.sum()), len(columns)
    return Figure(value, low, high, n, tasks, why=NO_VARIATION if value is None else reason)


def places(ranks: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """The place of each output among those of which something is said, from 0 (best) to 1: (place - ½) / how many; tied ones share the mean; nan if none.

    ranks, rest: (n, 9). The rest behind `*` counts among those said, but has no place of its own.
    """
    said = ranks > 0
    above = ((ranks[:, :, None] > ranks[:, None, :]) & said[:, None, :] & said[:, :, None]).sum(2)
    equal = ((ranks[:, :, None] == ranks[:, None, :]) & said[:, None, :] & said[:, :, None]).sum(2)
    with np.errstate(invalid="ignore", divide="ignore"):
        place = (above + equal / 2) / said.sum(1, keepdims=True)
    return np.where(said & ~rest, place, np.nan)


def ordinal_alpha(values: np.ndarray, task: np.ndarray, stratum: np.ndarray, *, seed: int, why: Message) -> Figure:
    """`values` (judgements, outputs): what each said about each output, nan if nothing; `task`, `stratum`: (judgements,), the stratum that of the task.

    The distance of two values is the number of values between them (ties at the middle) as a share of all, squared. Chance
    disagreement is taken within strata; α is 1 - (sum of observed) / (sum of chance).
    """
    row, output = np.nonzero(np.isfinite(values))
    unit = task[row] * values.shape[1] + output
    people = np.bincount(unit)
    pairable = people[unit] > 1 if len(unit) else np.zeros(0, bool)
    row, unit = row[pairable], unit[pairable]
    if not len(unit):
        return Figure(None, why=why)
    said = np.round(values[row, output[pairable]], 9)
    codes, code = np.unique(np.stack([stratum[row].astype(float), said], axis=1), axis=0, return_inverse=True)
    code, levels = code.ravel(), len(codes)
    bounds = np.r_[np.flatnonzero(np.r_[True, codes[1:, 0] != codes[:-1, 0]]), levels]

    # A unit that u people valued has u·(u - 1) ordered pairs of values, each of weight 1/(u - 1): count (unit, value) once, then pair the counts.
    cells, count = np.unique(unit * levels + code, return_counts=True)
    cell_unit, cell_code = cells // levels, cells % levels
    first, second = _pairs_of_cells(cell_unit)
    same = np.r_[np.zeros(len(first), bool), np.ones(len(cells), bool)]
    first, second = np.r_[first, np.arange(len(cells))], np.r_[second, np.arange(len(cells))]
    weight = np.where(same, count[first] * (count[first] - 1), count[first] * count[second]) / (
        people[cell_unit[first]] - 1
    )
    tasks, number = np.unique(cell_unit[first] // values.shape[1], return_inverse=True)
    column = cell_code[first] * levels + cell_code[second]

    mix = np.random.default_rng(0).random(levels * levels)
    keys = np.round(np.bincount(number, weight * mix[column], len(tasks)), 9)

    def statistic(coincidences: np.ndarray) -> np.ndarray:
        """(draws, levels²) → (draws,)."""
        table = coincidences.reshape(-1, levels, levels)
        observed = by_chance = np.zeros(len(table))
        for begin, end in pairwise(bounds):
            part = table[:, begin:end, begin:end]
            each = part.sum(2)
            n = each.sum(1)
            middle = (each.cumsum(1) - each / 2) / np.maximum(n, 1)[:, None]
            square, line = (each * middle**2).sum(1), (each * middle).sum(1)
            crossed = np.einsum("bc,bck,bk->b", middle, part, middle, optimize=True)
            with np.errstate(invalid="ignore", divide="ignore"):
                chance = np.where(n > 1, 2 * (n * square - line**2) / (n - 1), 0.0)
            observed, by_chance = observed + 2 * (square - crossed), by_chance + chance
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(by_chance > 1e-12, 1 - observed / by_chance, np.nan)

    whole = statistic(np.bincount(column, weight, levels * levels)[None])[0]
    n = len(unit)
    if not np.isfinite(whole):
        return Figure(None, n=n, tasks=len(tasks), why=NO_VARIATION)
    if len(tasks) < FEWEST_TASKS:
        return Figure(float(whole), n=n, tasks=len(tasks), why=too_few(len(tasks)))
    resampling = Resampling(keys, seed=seed)
    block = resampling.block[number]
    sums = np.bincount(block * levels**2 + column, weight, resampling.blocks * levels**2)
    low, high = resampling.interval(statistic(resampling.drawn(sums.reshape(resampling.blocks, -1))))
    return Figure(float(whole), low, high, n, len(tasks))


def _pairs_of_cells(unit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every ordered two different cells of the same unit. `unit`: sorted."""
    sizes = np.bincount(np.unique(unit, return_inverse=True)[1])
    begins = np.r_[0, np.cumsum(sizes)[:-1]]
    firsts, seconds = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for size in np.unique(sizes[sizes > 1]):
        a, b = np.nonzero(~np.eye(size, dtype=bool))
        base = begins[sizes == size][:, None]
        firsts.append((base + a).ravel())
        seconds.append((base + b).ravel())
    return np.concatenate(firsts), np.concatenate(seconds)
