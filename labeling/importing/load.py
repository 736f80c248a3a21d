"""The import itself. `look` reads a file and says what an import would do; `import_prompts` does it.

An import is written in batches, each one transaction. Everything in it has an identity that comes from the file's content (prompt,
task, ranking), so an import that was cut off is simply run again, and importing twice adds nothing.
"""

import hashlib
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from labeling import questions
from labeling.actions.batches import check_length
from labeling.actions.ordering import put_in_order
from labeling.actions.queue import adapt, one_transaction
from labeling.actions.tasks import Added, NewTask, add_tasks, task_key
from labeling.files import BadRow, Problem, refuse, rows
from labeling.identity import digest_of
from labeling.importing.fitting import Fitting
from labeling.importing.formats import Format, Item, Judgement, recognise
from labeling.importing.report import Report
from labeling.models import Assignment, Project, Ranking, Task, TaskItem
from labeling.ranking import WeakOrder
from people import sql
from people.errors import Refusal
from people.models import User, audit
from people.permissions import Right, check

BATCH = 100  # rows a transaction; each makes about ten rows of the database, and meanwhile nobody else can submit


@dataclass
class Judged:
    """A judgement with its identity: `key` is the same whenever the same file is read again."""

    item: int  # index of its item in the batch
    judgement: Judgement
    key: str

    @property
    def annotator(self) -> str:
        return self.judgement.annotator

    @property
    def order(self) -> WeakOrder:
        return self.judgement.order


def look(project: Project, path: Path, name: str | None = None, *, rows_at_most: int | None = None) -> Report:
    """What an import of the file would do; changes nothing. `rows_at_most` makes it a quick look at the file's beginning."""
    report = Report()
    reading = _Reading(project, report)
    for batch in _batches(path, name, Fitting(project), report, rows_at_most):
        reading.take(batch)
    return report


def import_prompts(
    *,
    actor: User,
    project: Project,
    path: Path,
    name: str | None = None,
    skip_bad: bool = False,
    batch: str = "",
    progress: Callable[[int, int], None] = lambda done, total: None,
    is_first: Callable[[], bool] = lambda: True,
) -> Report:
    """Bring prompts, completions and rankings into a project; the report says what was met and done.

    `batch`: new tasks whose row names no batch belong to this one, which is made if it is not there. Rows that cannot be read are a Refusal
    that lists them, and nothing is imported, unless `skip_bad` leaves them out. `is_first`, asked with the audit row, says whether this import is
    begun for the first time.
    """
    check(actor, Right.MANAGE_PROJECTS, place=project)
    check_length(batch)
    found = look(project, path, name)
    if found.problems and not skip_bad:
        raise refuse(found.problems)
    if not found.rows:
        raise Refusal(_("The file holds no rows."))
    report = Report()
    reading = _Reading(project, report)
    annotators: dict[str, User] = {}
    sha256 = _sha256(path)
    with transaction.atomic():
        if is_first():
            audit(actor, "project.import", project, file=name or path.name, sha256=sha256, **found.as_json())
    fitting = Fitting(project, batch)
    for items in _batches(path, name, fitting, report):
        judged = reading.take(items)
        _know_annotators(project, {one.annotator for one in judged}, annotators)
        fitting.make_batches(items, actor)
        _write(actor=actor, fitting=fitting, items=items, judged=judged, annotators=annotators)
        progress(report.rows, found.rows)
    put_in_order(project)
    return report


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# Reading


def _batches(
    path: Path, name: str | None, fitting: Fitting, report: Report, rows_at_most: int | None = None
) -> Iterator[list[Item]]:
    """The file's items, some hundred at a time; counts rows and notes problems in the report."""
    items = _items(path, name, fitting, report, rows_at_most)
    while batch := list(islice(items, BATCH)):
        yield batch


def _items(path: Path, name: str | None, fitting: Fitting, report: Report, rows_at_most: int | None) -> Iterator[Item]:
    format: Format | None = None
    for line, row in islice(rows(path, name), rows_at_most):
        report.rows += 1
        if isinstance(row, Problem):
            report.problems.append(row)
            continue
        if format is None:
            format = recognise(row)
            report.format = format.name
        try:
            if missing := sorted(format.keys - row.keys()):
                raise BadRow(_("there is no “%(key)s”.") % {"key": missing[0]})
            items = format.items(row)
            for item in items:
                fitting.check(item)
            yield from items
        except BadRow as error:
            report.problems.append(Problem(line, str(error)))


class _Reading:
    """Goes through the batches of one file: counts what is met, and gives each judgement its identity."""

    def __init__(self, project: Project, report: Report) -> None:
        self.project, self.report = project, report
        self.prompts: dict[str, str] = {}  # digest: external id
        self.tasks: set[str] = set()
        self.annotators: set[str] = set()
        self.said: Counter[str] = Counter()  # how often an annotator said the same about a task
        self.judged: Counter[tuple[str, str]] = Counter()  # (task, annotator)

    def take(self, batch: Sequence[Item]) -> list[Judged]:
        digests = [digest_of(item.prompt) for item in batch]
        identities = [_identities(item) for item in batch]
        keys = [task_key(digest, these) if these else None for digest, these in zip(digests, identities, strict=True)]
        self.prompts |= dict(
            self.project.prompts.filter(digest__in=set(digests) - self.prompts.keys()).values_list(
                "digest", "external_id"
            )
        )
        self.tasks |= set(self.project.tasks.filter(key__in=set(keys) - self.tasks).values_list("key", flat=True))
        judged = []
        for number, (item, digest, key) in enumerate(zip(batch, digests, keys, strict=True)):
            self._count_item(item, digest, key)
            for judgement in item.judgements:
                said = _in_words_of_content(judgement.order, identities[number])
                what = digest_of([self.project.pk, key, judgement.annotator, said])
                self.said[what] += 1
                judged.append(Judged(number, judgement, f"import {what[:48]} {self.said[what]}"))
                self._count_judgement(key, item, judgement)
        known = set(
            Ranking.objects.filter(client_key__in=[one.key for one in judged]).values_list("client_key", flat=True)
        )
        self.report.rankings_known += len(known)
        self.report.rankings_new += len(judged) - len(known)
        return [one for one in judged if one.key not in known]

    def _count_item(self, item: Item, digest: str, key: str | None) -> None:
        report = self.report
        if digest in self.prompts:
            report.prompts_known += 1
            report.other_ids += bool(item.external_id) and item.external_id != self.prompts[digest]
        else:
            report.prompts_new += 1
            self.prompts[digest] = item.external_id
        if key is not None:
            report.tasks_known += key in self.tasks
            report.tasks_new += key not in self.tasks
            self.tasks.add(key)
        report.completions += len(item.completions)
        report.blanks += item.blanks
        report.silent += item.silent
        report.kept_columns += [name for name in item.meta if name not in report.kept_columns]
        report.unkept_columns += [name for name in item.unkept if name not in report.unkept_columns]
        report.placed += item.placing.is_given
        report.known_answers += item.known is not None
        report.duplicated += len({text.strip() for text, _source in item.completions}) < len(item.completions)

    def _count_judgement(self, key: str, item: Item, judgement: Judgement) -> None:
        report, annotator, order = self.report, judgement.annotator, judgement.order
        report.answered += bool(judgement.answers)
        report.commented += bool(judgement.comment)
        self.annotators.add(annotator)
        report.annotators = len(self.annotators)
        report.repeats += self.judged[key, annotator] > 0
        self.judged[key, annotator] += 1
        report.with_ties += bool(order.tied_pairs())
        report.all_tied += order.is_all_tied
        copies: dict[str, set[int | None]] = defaultdict(set)
        for (text, _source), rank in zip(item.completions, order.ranks(), strict=True):
            copies[text.strip()].add(rank)
        report.copies_apart += any(len(ranks - {None}) > 1 for ranks in copies.values())


def _identities(item: Item) -> list[str]:
    """As `identity_of` names completions that no registered model wrote."""
    return [f"/{source}/{digest_of(text)}" for text, source in item.completions]


def _in_words_of_content(order: WeakOrder, identities: Sequence[str]) -> list:
    """The ranking without letters, so that it does not depend on the order in which a file names the outputs."""
    return [[sorted(identities[item] for item in level) for level in order.levels], order.line, bool(order.rest)]


# Writing


@one_transaction
def _write(
    *, actor: User, fitting: Fitting, items: Sequence[Item], judged: Sequence[Judged], annotators: dict[str, User]
) -> None:
    added = add_tasks(
        fitting.project,
        [
            NewTask(
                item.prompt,
                item.completions,
                external_id=item.external_id,
                split=item.split,
                place=fitting.place(item, actor),
                meta=item.meta,
            )
            for item in items
        ],
    )
    if judged:
        _write_rankings(fitting.project, added, judged, annotators, fitting.asked)


def add_known_answers(*, actor: User, project: Project, items: Sequence[Item]) -> None:
    """Tasks with a known answer, as rows of an import name them, inside the verb that brings them. A Refusal names all that does not fit."""
    fitting = Fitting(project)
    problems = []
    for number, item in enumerate(items, 1):
        try:
            fitting.check(item)
        except BadRow as error:
            problems.append(Problem(number, str(error)))
    if problems:
        raise refuse(problems)
    fitting.make_batches(items, actor)
    _write(actor=actor, fitting=fitting, items=items, judged=[], annotators={})


@transaction.atomic
def _know_annotators(project: Project, names: set[str], annotators: dict[str, User]) -> None:
    """A user for each annotator of the file: named by the project and the file, not active, without a password.

    No person can choose such a name, for it holds a slash.
    """
    username = {name: _username(project, name) for name in names - annotators.keys()}
    known = {user.username: user for user in User.objects.filter(username__in=username.values())}
    for name, wanted in username.items():
        if wanted not in known:
            user = User(username=wanted, is_active=False)
            user.set_unusable_password()
            user.save()
            known[wanted] = user
        annotators[name] = known[wanted]


def _username(project: Project, name: str) -> str:
    username = f"{project.slug}/{name}"
    return username if len(username) <= 150 else f"{username[:133]} {digest_of(name)[:16]}"


def _write_rankings(
    project: Project,
    added: Sequence[Added],
    judged: Sequence[Judged],
    annotators: dict[str, User],
    asked: Sequence[questions.Question],
) -> None:
    tasks = {one.task.pk: one.task for one in added if one.task is not None}
    tasks = {task.pk: task for task in Task.objects.select_for_update().filter(pk__in=tasks)}
    canonical: dict[int, dict[int, int]] = defaultdict(dict)  # task: {completion: position}
    for task, completion, position in TaskItem.objects.filter(task__in=tasks).values_list(
        "task_id", "completion_id", "position"
    ):
        canonical[task][completion] = position
    slots: dict[int, set[int]] = defaultdict(set)
    repeats: Counter[tuple[int, int]] = Counter()
    for task, annotator, slot in Assignment.objects.filter(task__in=tasks).values_list(
        "task_id", "annotator_id", "slot"
    ):
        repeats[task, annotator] += 1
        if slot is not None:
            slots[task].add(slot)

    now = timezone.now()
    assignments, rankings = [], []
    for one in judged:
        task, completions = tasks[added[one.item].task.pk], added[one.item].completions
        annotator = annotators[one.annotator]
        slot = next(n for n in range(1, len(slots[task.pk]) + 2) if n not in slots[task.pk])
        slots[task.pk].add(slot)
        assignment = Assignment(
            id=uuid.uuid4(),
            project=project,
            task=task,
            annotator=annotator,
            repeat=repeats[task.pk, annotator.pk],
            slot=slot,
            state=Assignment.State.SUBMITTED,
            display=list(range(task.size)),
            claimed_at=now,
            finished_at=now,
            revisions=1,
            imported=True,
        )
        repeats[task.pk, annotator.pk] += 1
        assignments.append(assignment)
        task.submitted += 1
        rankings.append(
            Ranking(
                assignment=assignment,
                tiers=[[completions[item].pk for item in tier] for tier in one.order.tiers],
                line=one.order.line,
                rest=[completions[item].pk for item in one.order.rest],
                notation=str(one.order.relabel([canonical[task.pk][completion.pk] for completion in completions])),
                client_key=one.key,
                answers=questions.to_stored(
                    questions.cleaned(asked, one.judgement.answers), [completion.pk for completion in completions]
                ),
                comment=one.judgement.comment,
                seconds=one.judgement.seconds,
            )
        )
    for task in tasks.values():
        held = len(slots[task.pk])
        task.overlap = max(task.overlap, held)
        task.free_slots = task.overlap - held if task.kind == Task.Kind.NORMAL else 0
        is_normal = task.kind == Task.Kind.NORMAL  # one with a known answer is never complete: everybody may get it
        if is_normal and task.state != Task.State.REVIEW and task.submitted >= task.overlap:
            task.state = Task.State.COMPLETE
        if task.state != Task.State.OPEN or not task.free_slots:
            task.position = None
        # One by one: bulk_update takes ten times as long to build its statement.
        sql.update(task, ["overlap", "free_slots", "submitted", "state", "position"])
    Assignment.objects.bulk_create(assignments)
    Ranking.objects.bulk_create(rankings)
    for task in tasks:
        adapt(task, project)
