"""The verbs of labeling: each takes the acting user, is one transaction, and writes one audit row.

collecting   a person's turn at a task: claim, submit, revise, skip, flag, undo
projects     create and change projects, their members
datasets     upload a data set, freeze a project's rankings into one
playground   outputs compared in the playground, as a task
review       adjudicate, close and reopen contested tasks, ask for one more ranking
comments     questions about a task, their answers, remarks of reviewers
background   begin an import, a sampling or the storing of a large data set as a job
"""

from .background import start_import, start_sampling, start_upload
from .collecting import (
    UNDO_SECONDS,
    Outcome,
    claim_task,
    claim_this_task,
    expire_leases,
    extend_lease,
    flag_task,
    revise_ranking,
    skip_task,
    submit_ranking,
    undo,
)
from .comments import answer, ask, comment, resolve
from .datasets import delete_dataset, freeze_snapshot, upload_dataset
from .playground import rank_outputs
from .projects import add_members, change_project, create_project, remove_members
from .review import adjudicate, ask_for_one_more, close_task, reopen_task

__all__ = [
    "UNDO_SECONDS",
    "Outcome",
    "add_members",
    "adjudicate",
    "answer",
    "ask",
    "ask_for_one_more",
    "change_project",
    "claim_task",
    "claim_this_task",
    "close_task",
    "comment",
    "create_project",
    "delete_dataset",
    "expire_leases",
    "extend_lease",
    "flag_task",
    "freeze_snapshot",
    "rank_outputs",
    "remove_members",
    "reopen_task",
    "resolve",
    "revise_ranking",
    "skip_task",
    "start_import",
    "start_sampling",
    "start_upload",
    "submit_ranking",
    "undo",
    "upload_dataset",
]
