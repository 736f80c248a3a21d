"""The verbs of the registry: each takes the acting user, is one transaction, and writes one audit row.

importing    a model folder that lies on this machine
hub          a model from the Hugging Face Hub, as a job
versions     register what a run made, stage, card, verify hashes
merging      fold an adapter into its base, as a job
remote       an OpenAI-compatible server as a version
removing     delete a version, reclaim what nothing names any more
"""

from .hub import begin_hub_import
from .importing import Imported, begin_import, check_import, import_folder
from .merging import begin_merge
from .remote import register_remote
from .removing import delete_version, reasons_against, reclaim
from .versions import begin_verify, begin_verify_all, edit_card, name_problems, register_version, set_stage

__all__ = [
    "Imported",
    "begin_hub_import",
    "begin_import",
    "begin_merge",
    "begin_verify",
    "begin_verify_all",
    "check_import",
    "delete_version",
    "edit_card",
    "import_folder",
    "name_problems",
    "reasons_against",
    "reclaim",
    "register_remote",
    "register_version",
    "set_stage",
]
