"""The formulas of PPO on masked (batch, T) tensors: KL estimators, advantages, the two clipped losses, the KL controllers.

A mask is 1 at the tokens of the response (with EOS) and 0 behind them; whatever stands behind them counts nowhere.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Mean over the real tokens of the whole batch, a scalar."""
    return torch.where(mask, x, 0).sum() / mask.sum()


def whiten(x: Tensor, mask: Tensor, *, shift_mean: bool = True) -> Tensor:
    """Variance 1 (and mean 0, unless the mean is kept) over the real tokens; 0 elsewhere.

    Biased by nothing: the variance divides by n - 1, as torch.var does (Huang et al. 2024, detail on whitening).
    """
    mean = masked_mean(x, mask)
    n = mask.sum()
    variance = torch.where(mask, (x - mean).square(), 0).sum() / (n - 1).clamp(min=1)
    whitened = (x - mean) * torch.rsqrt(variance + 1e-8)
    return torch.where(mask, whitened if shift_mean else whitened + mean, 0)


Estimator = Literal["k1", "k2", "k3"]


def kl_per_token(policy: Tensor, reference: Tensor, estimator: Estimator = "k1") -> Tensor:
    """KL(policy ‖ reference) in nats at every token that the policy sampled, from both log-probabilities; shape unchanged.

    k1 and k3 are unbiased, k3 is never negative, k2 is biased with little variance (Schulman 2020, "Approximating KL divergence").
    """
    log_ratio = reference - policy
    if estimator == "k1":
        return -log_ratio
    if estimator == "k2":
        return log_ratio.square() / 2
    return log_ratio.expm1() - log_ratio


def gae(rewards: Tensor, values: Tensor, mask: Tensor, *, gamma: float, lam: float) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimation: advantages and returns, both (batch, T), 0 behind the response.

    δ_t = r_t + γ V_{t+1} - V_t, A_t = δ_t + γλ A_{t+1}, return_t = A_t + V_t; the value after the last token is 0, because the episode
    ends there (Schulman et al. 2016, equations 11-16).
    """
    rewards, values = torch.where(mask, rewards, 0), torch.where(mask, values, 0)
    advantages = torch.zeros_like(values)
    following_value = following_advantage = values.new_zeros(values.shape[0])
    for t in reversed(range(values.shape[1])):
        delta = rewards[:, t] + gamma * following_value - values[:, t]
        following_advantage = torch.where(mask[:, t], delta + gamma * lam * following_advantage, 0)
        following_value = values[:, t]
        advantages[:, t] = following_advantage
    return advantages, torch.where(mask, advantages + values, 0)


class PolicyLoss(NamedTuple):
    loss: Tensor  # scalar
    ratio: Tensor  # mean over real tokens
    clip_fraction: Tensor  # share of real tokens that a clip keeps from moving any further
    approx_kl: Tensor  # from the old policy to the new one, k3, mean over real tokens


def policy_loss(
    new: Tensor, old: Tensor, advantages: Tensor, mask: Tensor, *, clip: float, dual_clip: float | None = None
) -> PolicyLoss:
    """Clipped surrogate objective (Schulman et al. 2017, equation 7), the mean over real tokens. All inputs (batch, T).

    dual_clip: where the advantage is negative, the loss is at most this times its size, however large the ratio (Ye et al. 2020);
    it is more than 1.
    """
    log_ratio = torch.where(mask, new - old, 0)
    ratio = log_ratio.exp()
    plain = -advantages * ratio
    clipped = -advantages * ratio.clamp(1 - clip, 1 + clip)
    loss, held = torch.maximum(plain, clipped), clipped > plain
    if dual_clip is not None:
        most = torch.where(advantages < 0, -advantages * dual_clip, torch.inf)
        loss, held = torch.minimum(loss, most), held | (loss > most)
    with torch.no_grad():
        clip_fraction = masked_mean(held.float(), mask)
        approx_kl = masked_mean(log_ratio.expm1() - log_ratio, mask)
    return PolicyLoss(
        masked_mean(loss, mask),
        masked_mean(ratio.detach(), mask),
        clip_fraction,
        approx_kl,
    )


def value_loss(new: Tensor, old: Tensor, returns: Tensor, mask: Tensor, *, clip: float) -> Tensor:
    """Half the squared error, the larger of plain and clipped to within `clip` of the old value; mean over real tokens.

    From the reference implementation of PPO (Dhariwal et al. 2017, OpenAI Baselines).
    """
    clipped = old + (new - old).clamp(-clip, clip)
    return masked_mean(torch.maximum((new - returns).square(), (clipped - returns).square()), mask) / 2


def conservative(scores: Tensor, weights: Tensor, caution: float = 0.0) -> tuple[Tensor, Tensor]:
    """Several judges' scores (judges, n) as one: their weighted mean less `caution` times their spread; and the spread, both (n,).

    Weights (judges,) are taken as shares of the sum of their sizes, so the scale stays that of the scores. The spread is the standard
    deviation among the judges. After Coste et al. 2023, who subtract the variance; a standard deviation has the unit of a score.
    """
    share = weights / weights.abs().sum()
    size = share.abs()
    spread = (size @ (scores - size @ scores).square()).sqrt()
    return share @ scores - caution * spread, spread


class RunningMoments:
    """Count, mean and variance of everything seen so far, in parts (Chan et al. 1979)."""

    def __init__(self, count: int = 0, mean: float = 0.0, squares: float = 0.0) -> None:
        self.count, self.mean, self.squares = count, mean, squares  # squares: sum of (x - mean)²

    def see(self, x: Tensor) -> None:
        """Take in x, of any shape."""
        x = x.double().flatten()
        total, mean = self.count + len(x), float(x.mean())
        shift = mean - self.mean
        self.squares += float((x - mean).square().sum()) + shift**2 * self.count * len(x) / total
        self.mean += shift * len(x) / total
        self.count = total

    @property
    def std(self) -> float:
        """Of what was seen, dividing by its count; 0 where all of it is the same."""
        return (self.squares / self.count) ** 0.5 if self.count else 0.0


def explained_variance(values: Tensor, returns: Tensor, mask: Tensor) -> float:
    """1 - Var(returns - values) / Var(returns) over real tokens: 1 is a perfect critic, 0 one that knows nothing."""
    returns, values = returns[mask], values[mask]
    spread = returns.var(correction=0)
    return float(1 - (returns - values).var(correction=0) / spread) if spread > 0 else 0.0


class FixedKL:
    """The penalty's weight β stays as it is."""

    def __init__(self, beta: float) -> None:
        self.beta = beta

    def update(self, kl: float, episodes: int) -> None:
        pass


class AdaptiveKL:
    """Moves β so that the KL of an answer approaches `target` nats, within about `horizon` episodes (Ziegler et al. 2019, section 2.2).

    An update of n episodes multiplies β by 1 + n / horizon · clip(KL / target - 1, ±0.2); the paper's Kβ is n / horizon. It is at most 1, so
    that β stays positive where the horizon is shorter than an update.
    """

    def __init__(self, beta: float, *, target: float, horizon: int) -> None:
        self.beta, self.target, self.horizon = beta, target, horizon

    def update(self, kl: float, episodes: int) -> None:
        error = min(max(kl / self.target - 1, -0.2), 0.2)
        self.beta *= 1 + error * min(episodes / self.horizon, 1)
