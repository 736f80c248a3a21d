"""RLOO by TRL's trainer: several answers to each prompt, each held against the mean score of the others (leave one out).

Ahmadian et al. 2024, Back to Basics. The KL to the start is taken from the score; the ratio is of whole answers.
"""

from trl import RLOOConfig, RLOOTrainer

from ...context import Context
from ...trl import writing
from ...trl.writing import RewardFunction
from ..ppo.scoring import reward_model
from .config import Config


def run(ctx: Context) -> None:
    """RLOO against the reward model that the run names."""
    train(ctx, reward_model(ctx))


def train(ctx: Context, reward_fn: RewardFunction) -> None:
    """RLOO against any function from prompts and completions to scores; a standard deviation of about 1 suits the defaults."""
    config: Config = ctx.config
    writing.train(ctx, reward_fn, Trainer, RLOOConfig, normalize_advantages=config.normalize_advantages)


class Trainer(writing.Writer, RLOOTrainer):
    with_logprobs = False
