"""What moves rankings besides the outputs: the place where an output was shown, its length, and haste."""

from dataclasses import dataclass
from math import floor, sqrt

import numpy as np

from labeling.ranking import MAX_ITEMS

from .agreement import ALL_TIED, Judgements
from .figures import Figure
from .judgements import FIRST, PAIRS, SECOND, SILENT, Table, groups
from .messages import Message, _
from .resampling import FEWEST_TASKS, figures, ratio, student, too_few


@dataclass(frozen=True)
class Position:
    """`earlier_wins`: share of pairs in which the output shown earlier won (a tie is half); 0.5 without bias. `slope`: mean Kendall τ-b between place
    and rank within a ranking; 0 without bias, above 0 if what is shown earlier is ranked better. `places[i]`: how much more than half of its pairs an
    output wins when shown as letter i.
    """

    earlier_wins: Figure
    slope: Figure
    places: tuple[Figure, ...]


@dataclass(frozen=True)
class Length:
    """`longer_wins`: share of strict pairs of unequal length that the longer output won. `slope`: change of the log-odds of winning for each doubling of
    the length. `ties`: share of ties among the pairs of unequal length. Longer outputs can also be better: compare projects, and the reward model.
    """

    longer_wins: Figure
    slope: Figure
    ties: Figure


@dataclass(frozen=True)
class Speed:
    """`thirds`: mean τ-x with the others of each person's fastest, middle and slowest third of rankings. `slope`: change of τ-x with each doubling of the
    time, against the same person's other rankings. `too_fast`: share of rankings for which the outputs can hardly have been read. `seconds`: median time.
    """

    thirds: tuple[Figure, Figure, Figure]
    slope: Figure
    too_fast: Figure
    seconds: Figure


FASTEST = 100  # characters of outputs in a second: four times the pace of silent reading (Brysbaert 2019: 238 words a minute)

NO_DISPLAY = Message("no_display", _("The order in which the outputs were shown is not known."))
NO_PLACE = Message("no_place", _("Nothing is said about any output that was shown in this place."))
NO_LENGTHS = Message("no_lengths", _("No ranked pair of outputs of different lengths is known."))
NO_TIMES = Message("no_times", _("How long the rankings took is not known."))
NO_READING = Message("no_reading", _("No ranking is known with its time and the lengths of its outputs."))
NO_SPEED = Message(
    "no_speed", _("No task is known that several people ranked, one of them with at least three measured times.")
)
SAME_TIME = Message("same_time", _("Everybody takes the same time for every ranking."))

_ONE_OF = np.zeros((len(PAIRS), MAX_ITEMS))
_ONE_OF[np.arange(len(PAIRS)), FIRST] = 1
_OTHER_OF = np.zeros((len(PAIRS), MAX_ITEMS))
_OTHER_OF[np.arange(len(PAIRS)), SECOND] = 1


def position(judgements: Judgements, *, seed: int = 0) -> Position:
    """Does the place where an output was shown predict its rank?

    Every turn shows the outputs in a random order of its own, so without bias no place is better than another; intervals over tasks.
    """
    table = Table.of(judgements)
    rows = np.array(
        [row for row in table.firsts if sorted(table.judgements[row].display) == list(range(table.items[row]))],
        np.int64,
    )
    display = np.zeros((len(rows), MAX_ITEMS), np.int64)
    for number, row in enumerate(rows):
        display[number] = (*table.judgements[row].display, *range(table.items[row], MAX_ITEMS))
    place = np.argsort(display, axis=1)
    signs = table.signs[rows]
    said = signs != SILENT
    better = np.where(said, signs, 0)
    earlier = np.where(place[:, FIRST] < place[:, SECOND], better, -better)
    pairs, strict = said.sum(1), (better != 0).sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = earlier.sum(1) / np.sqrt(pairs * strict)
        won = better @ (_ONE_OF - _OTHER_OF) / (said @ (_ONE_OF + _OTHER_OF)) / 2
    won = np.take_along_axis(won, display, axis=1)
    columns = _per_task(
        table.task[rows],
        [earlier.sum(1) / 2 + pairs / 2, pairs, _or_0(slope), np.isfinite(slope)],
        [*_or_0(won).T, *np.isfinite(won).T],
    )
    columns = columns[columns[:, 1] > 0]
    if not len(columns):
        unknown = Figure(None, why=NO_DISPLAY)
        return Position(unknown, unknown, ())

    def statistic(totals: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            wins = totals[:, :1] / totals[:, 1:2]
            places = totals[:, 4 : 4 + MAX_ITEMS] / totals[:, 4 + MAX_ITEMS :]
            return np.hstack([wins, totals[:, 2:3] / totals[:, 3:4], places])

    counts = columns.sum(0)
    n = [counts[1], counts[3], *counts[4 + MAX_ITEMS :]]
    undefined = [ALL_TIED, ALL_TIED, *[NO_PLACE] * MAX_ITEMS]
    found = [
        Figure(value, low, high, int(count), len(columns), why=otherwise if value is None else why)
        for (value, low, high, why), count, otherwise in zip(
            figures(columns, statistic, seed=seed), n, undefined, strict=True
        )
    ]
    return Position(found[0], found[1], tuple(found[2 : 2 + int(table.items[rows].max())]))


def length(judgements: Judgements, *, seed: int = 0) -> Length:
    """Do longer outputs win?

    slope: logistic regression of winning (a tie is half) on the logarithm of the ratio of lengths, through 0; its interval from the scores summed over each
    task (the sandwich of Liang and Zeger 1986), as pairs of a task hang together.
    """
    table = Table.of(judgements)
    rows = np.array([row for row in table.firsts if len(table.judgements[row].lengths) == table.items[row]], np.int64)
    lengths = np.zeros((len(rows), MAX_ITEMS))
    for number, row in enumerate(rows):
        lengths[number, : table.items[row]] = table.judgements[row].lengths
    doublings = np.diff(np.log2(np.maximum(lengths, 1))[:, [SECOND, FIRST]], axis=1)[:, 0]
    signs = table.signs[rows]
    row, pair = np.nonzero((signs != SILENT) & (doublings != 0))
    longer = signs[row, pair] * np.sign(doublings[row, pair])
    by = np.abs(doublings[row, pair])
    if not len(row):
        unknown = Figure(None, why=NO_LENGTHS)
        return Length(unknown, unknown, unknown)
    task = table.task[rows][row]
    columns = _per_task(task, [longer > 0, longer != 0, longer == 0, np.ones(len(row))])
    wins, strict, ties, pairs = columns.T
    return Length(
        longer_wins=ratio(wins, strict, seed=seed, n=int(strict.sum()), why=ALL_TIED),
        slope=_slope(by, (1 + longer) / 2, task, len(columns)),
        ties=ratio(ties, pairs, seed=seed, n=len(row), why=NO_LENGTHS),
    )


def _slope(x: np.ndarray, y: np.ndarray, task: np.ndarray, tasks: int) -> Figure:
    """Logistic regression through 0 of y (0, ½ or 1) on x > 0, by Newton's method; a prior of width 10 keeps it finite where all y are alike."""
    slope = 0.0
    for _step in range(50):
        chance = 1 / (1 + np.exp(-slope * x))
        information = (x**2 * chance * (1 - chance)).sum() + 0.01
        step = ((x * (y - chance)).sum() - 0.01 * slope) / information
        slope += float(np.clip(step, -1, 1))
        if abs(step) < 1e-9:
            break
    if tasks < FEWEST_TASKS:
        return Figure(slope, n=len(x), tasks=tasks, why=too_few(tasks))
    scores = np.bincount(task, x * (y - chance))
    error = sqrt((scores**2).sum() * tasks / (tasks - 1)) / information
    reach = student(tasks - 1) * error
    return Figure(slope, float(slope - reach), float(slope + reach), n=len(x), tasks=tasks)


def speed(judgements: Judgements, *, seed: int = 0) -> Speed:
    """Do quick rankings agree less with the others?

    Everybody is compared with themselves: a person's thirds, and the time relative to their own mean time (its logarithm); so slow people
    are not taken for careful ones.
    """
    table = Table.of(judgements)
    rows = table.firsts
    seconds = np.array([table.judgements[row].seconds or 0 for row in rows], float)
    rows, seconds = rows[seconds > 0], seconds[seconds > 0]
    thirds, slope = _by_speed(table, rows, seconds, seed)
    read = np.array([sum(table.judgements[row].lengths) for row in rows], float)
    known = read > 0
    fast = _per_task(table.task[rows][known], [read[known] > FASTEST * seconds[known], np.ones(known.sum())])
    too_fast = ratio(
        *fast.T, seed=seed, n=int(known.sum()), left_out=len(table.firsts) - int(known.sum()), why=NO_READING
    )
    return Speed(thirds, slope, too_fast, _median(seconds, len(np.unique(table.task[rows]))))


def _by_speed(
    table: Table, rows: np.ndarray, seconds: np.ndarray, seed: int
) -> tuple[tuple[Figure, Figure, Figure], Figure]:
    """Agreement with others of the thirds of each person's rankings, and its slope. rows, seconds: (rankings,)."""
    between, measured = table.between, len(rows) > 0
    tau, either = between.tau_x, np.concatenate([between.a, between.b])
    heard = np.tile(np.isfinite(tau), 2)
    total = np.bincount(either[heard], np.tile(tau, 2)[heard], len(table))
    count = np.bincount(either[heard], minlength=len(table))
    shared = count[rows] > 0
    rows, seconds = rows[shared], seconds[shared]
    agreement = total[rows] / count[rows]
    third = np.full(len(rows), -1)
    time, change = np.zeros(len(rows)), np.zeros(len(rows))
    for _person, mine in groups(table.person[rows]):
        if len(mine) < 3:
            continue
        ordered = np.sort(seconds[mine])
        slower = np.searchsorted(ordered, seconds[mine]) + np.searchsorted(ordered, seconds[mine], side="right")
        third[mine] = 3 * slower // (2 * len(mine) + 1)
        logs = np.log2(seconds[mine])
        time[mine], change[mine] = logs - logs.mean(), agreement[mine] - agreement[mine].mean()
    timed = third >= 0
    if not timed.any():
        unknown = Figure(None, why=NO_SPEED if measured else NO_TIMES)
        return (unknown, unknown, unknown), unknown
    columns = _per_task(
        table.task[rows][timed],
        [column[timed] for which in range(3) for column in (agreement * (third == which), third == which)],
        [(time * change)[timed], (time**2)[timed]],
    )

    def statistic(totals: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return totals[:, 0::2] / totals[:, 1::2]

    found = [
        Figure(value, low, high, int(n), len(columns), why=SAME_TIME if value is None else why)
        for (value, low, high, why), n in zip(
            figures(columns, statistic, seed=seed),
            [*(np.count_nonzero(third == which) for which in range(3)), timed.sum()],
            strict=True,
        )
    ]
    return (found[0], found[1], found[2]), found[3]


def _median(seconds: np.ndarray, tasks: int) -> Figure:
    """The median with an interval from order statistics."""
    n = len(seconds)
    if not n:
        return Figure(None, why=NO_TIMES)
    ordered, middle, reach = np.sort(seconds), n / 2, 0.98 * sqrt(n)
    low, high = ordered[max(0, floor(middle - reach))], ordered[min(n - 1, floor(middle + reach))]
    return Figure(float(np.median(seconds)), float(low), float(high), n=n, tasks=tasks)


def _per_task(task: np.ndarray, *columns: list[np.ndarray]) -> np.ndarray:
    """(tasks, columns): sums of the columns, (rankings,) each, over the rankings of each task."""
    tasks, number = np.unique(task, return_inverse=True)
    together = [column for group in columns for column in group]
    return np.stack([np.bincount(number, column, len(tasks)) for column in together], axis=1)


def _or_0(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, 0.0)
