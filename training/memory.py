"""How much memory a run of PPO takes, told from its settings before it is started: the engine's own estimate, from what the registry knows."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

from labeling.datasets.store import rows_of
from labeling.models import Dataset
from models_registry.models import Version

from .engine.config import Settings
from .engine.methods.ppo.config import Config
from .engine.methods.ppo.memory import estimate
from .fitting import root_config
from .room import moving_of

LOOKED_AT = 200  # prompts
LETTERS = 4  # of a token, about


def needed(_method: str, config: Settings, inputs: Mapping[str, Version | Dataset]) -> int:
    """Bytes beside the program itself, about, of all processes together; 0 for other methods, or where the weights that would tell cannot be read."""
    base = inputs.get("base")
    if not isinstance(config, Config) or not isinstance(base, Version):
        return 0
    moving, about = moving_of(base, config.tune), root_config(base)
    if moving is None or not about:
        return 0
    root = base.chain()[0]
    judges = sum(
        judge.parameters - (root.parameters if judge.chain()[0] == root else 0)
        for role, judge in inputs.items()
        if role.startswith("reward_model") and isinstance(judge, Version)
    )
    return estimate(
        config,
        total=base.parameters,
        moving=moving,
        judges=judges,
        about=about,
        prompt=_prompt(config, base, inputs),
        processes=config.processes,
    )


def _prompt(config: Config, base: Version, inputs: Mapping[str, Version | Dataset]) -> int:
    """Tokens of a long prompt, about."""
    data = inputs.get("dataset")
    rows = islice(rows_of(data.folder), LOOKED_AT) if isinstance(data, Dataset) else ()
    longest = max((len(_text(row.get("prompt", ""))) // LETTERS for row in rows), default=0)
    room = (base.context_length or longest + config.max_tokens) - config.max_tokens
    return max(1, min(longest, room, config.max_prompt_tokens or longest))


def _text(prompt: Any) -> str:
    return prompt if isinstance(prompt, str) else "".join(str(turn.get("content", "")) for turn in prompt)
