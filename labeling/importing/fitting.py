"""Whether what a row names is there in the project: people, groups, the questions that answers belong to."""

from collections.abc import Iterable

from django.contrib.auth.models import Group
from django.db import transaction
from django.utils.translation import gettext as _

from labeling import questions
from labeling.actions.batches import batch_named
from labeling.actions.tasks import Known, Place
from labeling.importing.columns import Problems, problems_with_answers
from labeling.importing.formats import Item
from labeling.lanes import lane_of
from labeling.models import Batch, Project
from people.models import User
from people.permissions import Right, can


class Fitting:
    """Looks each name up once. `batch`: that of tasks whose row names none."""

    def __init__(self, project: Project, batch: str = "") -> None:
        self.project, self.batch = project, batch.strip()
        self.asked = questions.read(project.questions)
        self.people: dict[str, User | None] = {}
        self.groups: dict[str, Group | None] = {}
        self.batches: dict[str, Batch | None] = {}

    def check(self, item: Item) -> None:
        """Raises BadRow with all that does not fit."""
        problems = Problems()
        placing = item.placing
        if placing.assignee and self.person(placing.assignee) is None:
            problems.found.append(
                _("“assignee”: nobody called “%(name)s” takes part in this project.") % {"name": placing.assignee}
            )
        if placing.group and self.group(placing.group) is None:
            problems.found.append(_("“group”: there is no group “%(name)s”.") % {"name": placing.group})
        for judgement in item.judgements:
            if judgement.answers:
                problems.found += problems_with_answers(judgement.answers, self.asked, len(item.completions))
        problems.end()

    @transaction.atomic
    def make_batches(self, items: Iterable[Item], actor: User) -> None:
        """Those that checked items name and that are not there yet, before their tasks."""
        for name in dict.fromkeys(self._batch_of(item) for item in items if item.completions):
            if name and name not in self.batches:
                self.batches[name] = batch_named(self.project, name, actor)

    def place(self, item: Item, actor: User) -> Place:
        """Where a checked item's task shall stand."""
        placing, known = item.placing, item.known
        whom = (
            self.person(placing.assignee) if placing.assignee else self.group(placing.group) if placing.group else None
        )
        return Place(
            priority=placing.priority or 0,
            score=placing.score,
            overlap=placing.overlap,
            lane=lane_of(whom, sensitive=bool(placing.sensitive)),
            sensitive=bool(placing.sensitive),
            batch=self.batches.get(self._batch_of(item)),
            known=Known(known.kind, known.constraints, known.explanation, actor) if known else None,
        )

    def _batch_of(self, item: Item) -> str:
        return item.placing.batch or self.batch

    def person(self, name: str) -> User | None:
        if name not in self.people:
            found = User.objects.filter(username=name, is_active=True).first()
            self.people[name] = found if found and self._takes_part(found) else None
        return self.people[name]

    def group(self, name: str) -> Group | None:
        if name not in self.groups:
            self.groups[name] = Group.objects.filter(name=name).first()
        return self.groups[name]

    def _takes_part(self, user: User) -> bool:
        if not can(user, Right.RANK, self.project):
            return False
        member = self.project.memberships.filter(user=user).exists()
        return member or self.project.open_to_all or can(user, Right.MANAGE_PROJECTS, self.project)
