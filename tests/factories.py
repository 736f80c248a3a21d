"""Makes what tests need: people, projects with tasks, rankings. Through the verbs, so that what they get can really happen."""

from itertools import count

from labeling import actions
from labeling.actions.tasks import NewTask, add_tasks
from labeling.models import Assignment, Project
from people.models import Role, User

_numbers = count(1)


def user(role: str = Role.ANNOTATOR, **fields: object) -> User:
    made = User(**{"username": f"{role}{next(_numbers)}", "role": role, **fields})
    made.set_password("correct horse")
    made.save()
    return made


def admin() -> User:
    return user(Role.ADMIN)


def project(*, actor: User | None = None, tasks: int = 0, outputs: int = 4, **settings: object) -> Project:
    """A project open to all annotators, with `tasks` tasks of `outputs` outputs each."""
    settings = {"open_to_all": True, "overlap": 1, "heldout_percent": 0, "outputs_per_task": outputs, **settings}
    made = actions.create_project(actor=actor or admin(), name=f"Project {next(_numbers)}", **settings)
    if tasks:
        add_tasks(made, [task(number, outputs) for number in range(tasks)])
        made.refresh_from_db()
    return made


def task(number: int, outputs: int = 4, **fields: object) -> NewTask:
    completions = [(f"Answer {letter} to {number}", f"system {letter}") for letter in "ABCDEFGHI"[:outputs]]
    return NewTask(f"Prompt {number}", completions, **fields)


def claim(actor: User, project: Project) -> Assignment:
    assignment = actions.claim_task(actor=actor, project=project)
    assert assignment is not None
    return assignment


def submit(
    actor: User, assignment: Assignment, notation: str = "A > B > C > D", key: str | None = None
) -> actions.Outcome:
    return actions.submit_ranking(
        actor=actor, assignment=assignment, notation=notation, client_key=key or f"key {next(_numbers)}"
    )
