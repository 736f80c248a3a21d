"""Answers that the policy, or its start, writes to prompts."""

from collections.abc import Sequence

from models_registry.lm.chain import Loaded
from models_registry.lm.generate import Output, generate_ids

from ...context import Context
from .config import Config
from .prompts import Tokenized

AT_ONCE = 128  # answers that are written side by side


def write(ctx: Context, writer: Loaded, prompts: Sequence[tuple[int, Tokenized]]) -> list[Output]:
    """One answer to each prompt, in this process; what it samples depends on the run's seed and the number beside the prompt."""
    config: Config = ctx.config
    with ctx.autocast():
        return generate_ids(
            writer,
            [prompt.ids for _number, prompt in prompts],
            max_tokens=config.max_tokens,
            temperature=config.temperature,
            stop=config.stop_texts,
            draws=[(ctx.seed, number) for number, _prompt in prompts],
            batch_size=AT_ONCE,
        )
