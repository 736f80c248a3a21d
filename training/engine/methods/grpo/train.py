"""GRPO by TRL's trainer: a group of answers to each prompt; what scores above its group is made likelier.

Shao et al. 2024, DeepSeekMath. The KL to the start is part of the loss, by the estimator that is never negative (k3).
"""

from trl import GRPOConfig, GRPOTrainer

from ...context import Context
from ...trl import writing
from ...trl.writing import RewardFunction
from ..ppo.scoring import reward_model
from .config import Config


def run(ctx: Context) -> None:
    """GRPO against the reward model that the run names."""
    train(ctx, reward_model(ctx))


def train(ctx: Context, reward_fn: RewardFunction) -> None:
    """GRPO against any function from prompts and completions to scores."""
    config: Config = ctx.config
    writing.train(
        ctx,
        reward_fn,
        Trainer,
        GRPOConfig,
        loss_type=config.loss,
        scale_rewards=config.scale_rewards,
        importance_sampling_level=config.ratio,
    )


class Trainer(writing.Writer, GRPOTrainer):
    with_logprobs = True
