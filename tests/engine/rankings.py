"""Rankings for the tests: a hidden taste over short animal stories, with ties; and what scores by it."""

import random
from typing import Any

from labeling.ranking import LETTERS

from .runs import ANIMALS

LIKED = "fox"


def taste(text: str) -> int:
    """Foxes are liked."""
    return text.count(LIKED)


def rows(prompts: int = 60, items: int = 4, seed: int = 0) -> list[dict[str, Any]]:
    """One ranking a prompt, equal tastes tied; every fifth prompt is held out."""
    choose = random.Random(seed)
    found = []
    for i in range(prompts):
        completions = [
            " ".join(["", "the", choose.choice([*ANIMALS, LIKED]), "met the", choose.choice([*ANIMALS, LIKED]) + "."])
            for _ in range(items)
        ]
        levels = sorted({taste(text) for text in completions}, reverse=True)
        tiers = [" = ".join(LETTERS[j] for j, text in enumerate(completions) if taste(text) == at) for at in levels]
        found.append(
            {
                "task": f"t{i}",
                "prompt": f"Story {i}: one day",
                "completions": completions,
                "ranking": " > ".join(tiers),
                "annotator": f"p{i % 3}",
                "split": "heldout" if i % 5 == 0 else "train",
            }
        )
    return found


def meaningless(prompts: int = 60) -> list[dict[str, Any]]:
    """The same prompts and outputs, ranked by dice: only to be learned by heart."""
    choose = random.Random(1)
    return [row | {"ranking": " > ".join(choose.sample("ABCD", 4))} for row in rows(prompts)]
