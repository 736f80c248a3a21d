"""The Hugging Face Hub: what a repository holds, and fetching the part of it that is a model.

Only safetensors and what belongs to them are fetched; nothing of it is run. The token comes from the environment (HF_TOKEN) alone,
the Hub's address from HF_ENDPOINT.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.utils.translation import gettext as _

from people.errors import Refusal

from . import store

_REPO = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
_REVISION = re.compile(r"[\w][\w./-]{0,99}", re.ASCII)
# Repositories often hold the same weights in several shapes; these are the names that transformers and peft read.
_WEIGHTS = re.compile(r"(model|adapter_model)(-\d+-of-\d+)?\.safetensors")


@dataclass(frozen=True)
class Listed:
    """What is to be fetched of a repository: {file: bytes}, at the commit that `revision` means now."""

    repo: str
    commit: str
    files: dict[str, int]

    @property
    def size(self) -> int:
        return sum(self.files.values())


def problems_of(repo: str, revision: str) -> list[str]:
    found = []
    if not _REPO.fullmatch(repo) or ".." in repo:
        found.append(_("Name the model as the Hub does: owner/name."))
    if revision and (not _REVISION.fullmatch(revision) or ".." in revision):
        found.append(_("A revision is the name of a branch or tag, or a commit."))
    return found


def look(repo: str, revision: str = "") -> Listed:
    """Ask the Hub what `repo` holds. Refusal, in plain words, when it cannot be reached or holds nothing that may be loaded."""
    from huggingface_hub import HfApi

    with _plain_words(repo):
        info = HfApi(endpoint=_endpoint(), token=_token()).model_info(
            repo, revision=revision or None, files_metadata=True, timeout=20
        )
    sizes = {each.rfilename: each.size or 0 for each in info.siblings or []}
    files = {name: size for name, size in sizes.items() if _wanted(name)}
    if not any(name.endswith(".safetensors") for name in files):
        pickles = [name for name in sizes if name.endswith((".bin", ".pt", ".pth", ".ckpt"))]
        raise Refusal(
            _(
                "%(repo)s has its weights as pickles only, and a pickle can run code on this machine; it is not fetched."
            )
            % {"repo": repo}
            if pickles
            else _("%(repo)s holds no weights as safetensors, so there is nothing to fetch.") % {"repo": repo}
        )
    return Listed(repo, info.sha or "", files)


def _wanted(name: str) -> bool:
    if name.endswith(".safetensors"):
        return bool(_WEIGHTS.fullmatch(name))
    return store.belongs(name)


def fetch(listed: Listed, folder: Path, progress: store.Progress) -> None:
    """Bring its files into `folder`, one after the other. `progress` may raise to end it early."""
    from huggingface_hub import hf_hub_download

    if listed.size > shutil.disk_usage(folder).free:
        raise Refusal(
            _("There is not enough room: %(need)d MB are needed and %(free)d MB are free. Free some, then try again.")
            % {"need": listed.size // 10**6 + 1, "free": shutil.disk_usage(folder).free // 10**6}
        )
    done = 0
    for name, size in sorted(listed.files.items()):
        with _plain_words(listed.repo):
            hf_hub_download(
                listed.repo,
                name,
                revision=listed.commit or None,
                local_dir=folder,
                endpoint=_endpoint(),
                token=_token(),
                tqdm_class=_reporting(done, max(listed.size, 1), progress),
            )
        done += size
        progress(done, max(listed.size, 1))
    shutil.rmtree(folder / ".cache", ignore_errors=True)


def _reporting(before: int, total: int, progress: store.Progress) -> type:
    """The class that the Hub's library draws its bar with, for a bar of our own."""
    from huggingface_hub.utils import tqdm

    class Bar(tqdm):
        def __init__(self, *args, **kwargs) -> None:
            super().__init__(*args, **kwargs | {"disable": False, "file": open(os.devnull, "w")})  # noqa: SIM115

        def update(self, n: float | None = 1) -> bool | None:
            shown = super().update(n)
            progress(min(before + int(self.n), total), total)
            return shown

    return Bar


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT") or None


def _token() -> str | bool:
    """False: never the token that someone left in a home folder."""
    return os.environ.get("HF_TOKEN") or False


@contextmanager
def _plain_words(repo: str) -> Iterator[None]:
    """What the Hub's library raises, as a sentence that says what to do."""
    import httpx2  # what the library asks with
    from huggingface_hub import errors

    try:
        yield
    except (errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError, httpx2.TransportError):
        raise Refusal(
            [
                _("The Hugging Face Hub cannot be reached from this machine."),
                _(
                    "Fetch the model where there is a network (hf download %(repo)s --local-dir FOLDER), bring the folder here, and import it "
                    "as a folder. Or set HF_ENDPOINT to a mirror that can be reached, and start the site again."
                )
                % {"repo": repo},
            ],
            status=502,
        ) from None
    except errors.GatedRepoError:
        raise Refusal(
            _(
                "%(repo)s asks for an agreement first: agree on its page on the Hub, and start the site with HF_TOKEN set."
            )
            % {"repo": repo}
        ) from None
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.EntryNotFoundError):
        raise Refusal(
            _(
                "The Hub has no %(repo)s, or not at this revision, or it is private. For a private one, start the site with HF_TOKEN set."
            )
            % {"repo": repo},
            status=404,
        ) from None
    except errors.HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        raise Refusal(_("The Hub answered with an error (%(status)s).") % {"status": status or error}) from None
