"""What makes two texts, prompts and splits the same, wherever they come from. Stable for ever: stored data depends on it."""

import hashlib
import json

HELDOUT, TRAIN = "heldout", "train"


def digest_of(content: object) -> str:
    """sha256 of a text, or of JSON content (chat messages) whatever the order of its keys."""
    text = (
        content
        if isinstance(content, str)
        else json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    )
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def split_of(digest: str, heldout_percent: int) -> str:
    """The split of a prompt, by its digest alone: the same prompt falls into the same split in every project and data set
    with this percentage, and what is held out at 10 % is held out at 20 % too."""
    return HELDOUT if _falls_into("split", digest, heldout_percent) else TRAIN


def in_random_share(task_key: str, percent: int) -> bool:
    """Is a task one of the share that scores have no say about? By its key alone, whatever its score and however often the queue is put in order; one
    of a share is one of every greater share too."""
    return _falls_into("random share", task_key, percent)


def _falls_into(purpose: str, digest: str, percent: int) -> bool:
    return int(hashlib.sha256(f"{purpose} {digest}".encode()).hexdigest()[:12], 16) % 10_000 < percent * 100
