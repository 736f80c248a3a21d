"""The verbs of labeling: each takes the acting user, is one transaction, and writes one audit row.

collecting   a person's turn at a task: claim, submit, revise, skip, flag, undo (how turns come and go: turns; what is said: saying)
assigning    who gets which tasks, how many people, how soon: lanes, overlap, priorities, batches (many at once, in steps: many)
ordering     scores of tasks, and the queue in their order
batches      rounds of tasks: made, renamed, paused, resumed
gold         tasks with a known answer
pausing      people paused and resumed, let in or asked to qualify again; the content warning
projects     create and change projects
copying      a project copied, its settings written to a file and read from one
members      who belongs to a project, in which role; links that let people in
datasets     upload a data set, freeze a project's rankings into one
playground   outputs compared in the playground, as a task
review       adjudicate, close and reopen contested tasks, ask for one more ranking
comments     questions about a task, their answers, remarks of reviewers
background   begin an import, a sampling or the storing of a large data set as a job
"""

from .assigning import assign_tasks, change_tasks, put_in_batch, set_overlap, set_priority, set_sensitive
from .background import (
    start_asking_opinion,
    start_import,
    start_sampling,
    start_scoring_file,
    start_scoring_tasks,
    start_upload,
)
from .batches import create_batch, pause_batch, rename_batch, resume_batch
from .collecting import (
    UNDO_SECONDS,
    Outcome,
    claim_task,
    claim_this_task,
    extend_lease,
    flag_task,
    revise_ranking,
    skip_task,
    submit_ranking,
    undo,
)
from .comments import answer, ask, comment, resolve
from .datasets import delete_dataset, freeze_snapshot, upload_dataset
from .gold import order_known, set_gold, unset_gold
from .members import (
    add_members,
    export_hours,
    invite_to_project,
    remove_members,
    revoke_project_invitation,
    set_daily_goal,
)
from .ordering import order_by_arrival, order_by_score, set_scores
from .pausing import accept_warning, let_in, let_try_again, pause_desk, resume_desk
from .playground import rank_outputs
from .projects import change_project, create_project
from .review import adjudicate, ask_for_one_more, close_task, reopen_task
from .turns import expire_leases

__all__ = [
    "UNDO_SECONDS",
    "Outcome",
    "accept_warning",
    "add_members",
    "adjudicate",
    "answer",
    "ask",
    "ask_for_one_more",
    "assign_tasks",
    "change_project",
    "change_tasks",
    "claim_task",
    "claim_this_task",
    "close_task",
    "comment",
    "create_batch",
    "create_project",
    "delete_dataset",
    "expire_leases",
    "export_hours",
    "extend_lease",
    "flag_task",
    "freeze_snapshot",
    "invite_to_project",
    "let_in",
    "let_try_again",
    "order_by_arrival",
    "order_by_score",
    "order_known",
    "pause_batch",
    "pause_desk",
    "put_in_batch",
    "rank_outputs",
    "remove_members",
    "rename_batch",
    "reopen_task",
    "resolve",
    "resume_batch",
    "resume_desk",
    "revise_ranking",
    "revoke_project_invitation",
    "set_daily_goal",
    "set_gold",
    "set_overlap",
    "set_priority",
    "set_scores",
    "set_sensitive",
    "skip_task",
    "start_asking_opinion",
    "start_import",
    "start_sampling",
    "start_scoring_file",
    "start_scoring_tasks",
    "start_upload",
    "submit_ranking",
    "undo",
    "unset_gold",
    "upload_dataset",
]
