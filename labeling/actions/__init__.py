"""The verbs of labeling: each takes the acting user, is one transaction, and writes one audit row.

collecting   a person's turn at a task: claim, submit, revise, skip, flag, undo
projects     create and change projects, their members
datasets     upload a data set, freeze a project's rankings into one
playground   outputs compared in the playground, as a task
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
from .datasets import delete_dataset, freeze_snapshot, upload_dataset
from .playground import rank_outputs
from .projects import add_members, change_project, create_project, remove_members

__all__ = [
    "UNDO_SECONDS",
    "Outcome",
    "add_members",
    "change_project",
    "claim_task",
    "claim_this_task",
    "create_project",
    "delete_dataset",
    "expire_leases",
    "extend_lease",
    "flag_task",
    "freeze_snapshot",
    "rank_outputs",
    "remove_members",
    "revise_ranking",
    "skip_task",
    "start_import",
    "start_sampling",
    "start_upload",
    "submit_ranking",
    "undo",
    "upload_dataset",
]
