"""The formulas of PPO against hand-checkable numbers, slow twins, and garbage behind the mask."""

import json
import math
import os
import statistics
from pathlib import Path

import numpy as np
import pytest
import torch

from training.engine.methods.ppo.maths import (
    AdaptiveKL,
    FixedKL,
    RunningMoments,
    conservative,
    explained_variance,
    gae,
    kl_per_token,
    masked_mean,
    policy_loss,
    value_loss,
    whiten,
)

REWARDS = [-0.01, 0.02, -0.03, 0.0, 1.0]
VALUES = [0.5, 0.4, 0.6, 0.3, 0.8]
# Computed in float64 from the definition: γ, λ, advantages.
ADVANTAGES = [
    (1.0, 0.95, [0.39276374999999997, 0.529225, 0.3255, 0.69, 0.2]),
    (1.0, 1.0, [0.48, 0.59, 0.37, 0.7, 0.2]),
    (0.99, 0.95, [0.3584971592455126, 0.5023893240250001, 0.3066340500000001, 0.6801, 0.2]),
    (1.0, 0.0, [-0.11, 0.22, -0.33, 0.5, 0.2]),
]


def float64(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def full(x: torch.Tensor) -> torch.Tensor:
    return torch.ones_like(x, dtype=torch.bool)


@pytest.mark.parametrize(("gamma", "lam", "expected"), ADVANTAGES)
def test_advantages_agree_with_their_numbers(gamma, lam, expected):
    rewards, values = float64([REWARDS]), float64([VALUES])
    advantages, returns = gae(rewards, values, full(rewards), gamma=gamma, lam=lam)
    assert advantages[0].tolist() == pytest.approx(expected, rel=1e-12)
    assert returns[0].tolist() == pytest.approx([a + v for a, v in zip(expected, VALUES, strict=True)], rel=1e-12)


def slow_advantages(rewards: list[float], values: list[float], gamma: float, lam: float) -> list[float]:
    """The sum of equation 16, term by term."""
    n = len(rewards)
    after = [*values[1:], 0.0]
    delta = [rewards[t] + gamma * after[t] - values[t] for t in range(n)]
    return [sum((gamma * lam) ** (s - t) * delta[s] for s in range(t, n)) for t in range(n)]


def test_advantages_of_unequal_rows_equal_the_slow_twin_whatever_stands_behind_them():
    lengths = [3, 5, 1]
    torch.manual_seed(0)
    rewards, values = torch.randn(2, 3, 5, dtype=torch.float64)
    mask = torch.arange(5) < torch.tensor(lengths)[:, None]
    rewards[~mask], values[~mask] = 1e6, float("nan")
    advantages, returns = gae(rewards, values, mask, gamma=0.9, lam=0.8)
    for row, length in enumerate(lengths):
        expected = slow_advantages(rewards[row, :length].tolist(), values[row, :length].tolist(), 0.9, 0.8)
        assert advantages[row, :length].tolist() == pytest.approx(expected, rel=1e-9)
    assert (advantages[~mask] == 0).all()
    assert (returns[~mask] == 0).all()


def test_whitening_agrees_with_its_numbers_and_ignores_padding():
    advantages = float64([[*ADVANTAGES[0][2], 99.0]])
    mask = float64([[1, 1, 1, 1, 1, 0]]).bool()
    expected = [-0.18394706817012124, 0.5387352274575037, -0.5401677627813946, 1.3901802060102533, -1.2048006022]
    assert whiten(advantages, mask)[0].tolist() == pytest.approx([*expected, 0.0], rel=1e-6)
    kept = whiten(advantages, mask, shift_mean=False)[0, :5]
    assert kept.mean().item() == pytest.approx(advantages[0, :5].mean().item())


def test_kl_estimators_agree_with_their_numbers():
    policy, reference = float64([-1.0, -2.5, -0.3, -4.0]), float64([-1.2, -2.0, -0.3, -5.5])
    assert kl_per_token(policy, reference, "k1").tolist() == pytest.approx([0.2, -0.5, 0.0, 1.5])
    assert kl_per_token(policy, reference, "k2").tolist() == pytest.approx([0.02, 0.125, 0.0, 1.125])
    assert kl_per_token(policy, reference, "k3").tolist() == pytest.approx(
        [0.01873075307798186, 0.1487212707001282, 0.0, 0.7231301601484298]
    )


def test_under_the_policy_k1_and_k3_mean_the_divergence_itself():
    policy, reference = float64([0.5, 0.3, 0.2]), float64([0.4, 0.4, 0.2])
    exact = sum(p * math.log(p / q) for p, q in zip(policy.tolist(), reference.tolist(), strict=True))
    for estimator, agrees in (("k1", True), ("k3", True), ("k2", False)):
        mean = (policy * kl_per_token(policy.log(), reference.log(), estimator)).sum().item()
        assert (mean == pytest.approx(exact, rel=1e-9)) is agrees


OLD, NEW = float64([[-1.0, -2.0, -0.5, -3.0]]), float64([[-0.7, -2.6, -0.5, -2.9]])
WEIGHTS = float64([[1.0, 0.5, -1.0, -2.0]])


def test_the_policy_loss_agrees_with_its_numbers():
    found = policy_loss(NEW, OLD, WEIGHTS, full(OLD), clip=0.2)
    assert found.loss.item() == pytest.approx(0.43398400452607055, rel=1e-12)
    assert found.clip_fraction.item() == 0.25
    assert found.ratio.item() == pytest.approx((1.3498588075760032 + 0.5488116360940264 + 1 + 1.1051709180756477) / 4)


def test_the_value_loss_agrees_with_its_numbers():
    old, new, returns = float64([[0.5, 0.4, 0.6, 0.3]]), float64([[0.9, 0.35, 0.1, 0.3]]), float64([[1, 0, 0.5, 0.3]])
    assert value_loss(new, old, returns, full(old), clip=0.2).item() == pytest.approx(0.0465625, rel=1e-12)


def test_losses_and_gradients_ignore_padding():
    """Two rows, the second with a tail of garbage, give what the real tokens alone give."""
    torch.manual_seed(1)
    new, old, advantages, returns = torch.randn(4, 2, 6, dtype=torch.float64)
    mask = torch.arange(6) < torch.tensor([6, 2])[:, None]
    old[~mask], advantages[~mask], returns[~mask] = -1e9, 1e9, 1e9
    new.requires_grad_()
    loss = policy_loss(new, old, advantages, mask, clip=0.2).loss + value_loss(new, old, returns, mask, clip=0.2)
    loss.backward()
    real = [x[mask][None] for x in (new.detach(), old, advantages, returns)]
    every = full(real[0])
    expected = policy_loss(*real[:3], every, clip=0.2).loss + value_loss(real[0], real[1], real[3], every, clip=0.2)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    assert (new.grad[~mask] == 0).all()
    assert new.grad.isfinite().all()


def test_an_unchanged_policy_has_ratio_one_and_clips_nothing():
    advantages = whiten(torch.randn(3, 7), torch.ones(3, 7, dtype=torch.bool))
    logprobs = -torch.rand(3, 7)
    found = policy_loss(logprobs, logprobs, advantages, full(logprobs), clip=0.2)
    assert (found.ratio.item(), found.clip_fraction.item(), found.approx_kl.item()) == (1, 0, 0)
    assert found.loss.item() == pytest.approx(0, abs=1e-6)


def test_explained_variance_of_a_perfect_a_blind_and_a_wrong_critic():
    returns = float64([[0.0, 1.0, 2.0, 7.0]])
    mask = float64([[1, 1, 1, 0]]).bool()
    assert explained_variance(returns, returns, mask) == 1
    assert explained_variance(torch.full_like(returns, 5.0), returns, mask) == 0
    assert explained_variance(-returns, returns, mask) == pytest.approx(-3)


def test_masked_mean_counts_real_tokens_only():
    assert masked_mean(float64([[1, 2, 100]]), float64([[1, 1, 0]]).bool()).item() == 1.5


def test_the_adaptive_controller_raises_beta_above_its_target_and_lowers_it_below():
    controller = AdaptiveKL(0.2, target=10, horizon=1000)
    controller.update(30, 100)  # the error is clipped at 0.2
    assert controller.beta == pytest.approx(0.2 * (1 + 0.2 * 100 / 1000))
    before = controller.beta
    controller.update(9, 100)
    assert controller.beta == pytest.approx(before * (1 - 0.1 * 100 / 1000))
    fixed = FixedKL(0.2)
    fixed.update(1000, 100)
    assert fixed.beta == 0.2


@pytest.mark.skipif("PERINGKAT_REAL_DATA" not in os.environ, reason="the reference values lie beside the checkout")
def test_losses_without_a_dual_clip_and_with_one_too_far_away_are_the_reference_values():
    known = json.loads((Path(os.environ["PERINGKAT_REAL_DATA"]) / "reference" / "values.json").read_text())["ppo"]
    given = [float64([known[name]]) for name in ("new_logprobs", "old_logprobs", "advantages")]
    for dual_clip in (None, 3.0):
        found = policy_loss(*given, full(given[0]), clip=known["cliprange"], dual_clip=dual_clip)
        assert found.loss.item() == pytest.approx(known["pg_loss_mean"], rel=1e-12)
        assert found.clip_fraction.item() == known["clipfrac"]


def slow_dual_clip(ratio: float, advantage: float, clip: float, dual: float) -> float:
    """The objective of Ye et al. 2020 as they write it, to be made large."""
    plain = min(ratio * advantage, min(max(ratio, 1 - clip), 1 + clip) * advantage)
    return max(plain, dual * advantage) if advantage < 0 else plain


def test_the_dual_clip_equals_its_slow_twin_and_stops_the_gradient_there():
    torch.manual_seed(2)
    new, old, advantages = torch.randn(3, 4, 8, dtype=torch.float64) * 1.5
    new.requires_grad_()
    found = policy_loss(new, old, advantages, full(old), clip=0.2, dual_clip=2.0)
    ratios = (new - old).exp().flatten().tolist()
    twin = [slow_dual_clip(r, a, 0.2, 2.0) for r, a in zip(ratios, advantages.flatten().tolist(), strict=True)]
    assert found.loss.item() == pytest.approx(-sum(twin) / len(twin), rel=1e-12)
    bounded = ((new - old).exp() > 2) & (advantages < 0)
    assert bounded.any()
    found.loss.backward()
    assert (new.grad[bounded] == 0).all()
    assert found.clip_fraction.item() == pytest.approx((new.grad == 0).double().mean().item())


def test_several_judges_are_put_together_as_a_slow_twin_does():
    torch.manual_seed(3)
    scores = torch.randn(3, 5, dtype=torch.float64)
    even, spread = conservative(scores, float64([1, 1, 1]), 0.7)
    for n, column in enumerate(scores.T.tolist()):
        assert spread[n].item() == pytest.approx(statistics.pstdev(column))
        assert even[n].item() == pytest.approx(statistics.fmean(column) - 0.7 * statistics.pstdev(column))
    weighted, spread = conservative(scores, float64([2, 1, 1]), 1.0)
    for n, column in enumerate(scores.T.tolist()):
        doubled = [column[0], *column]  # a weight of 2 is being there twice
        assert spread[n].item() == pytest.approx(statistics.pstdev(doubled))
        assert weighted[n].item() == pytest.approx(statistics.fmean(doubled) - statistics.pstdev(doubled))
    against, _spread = conservative(scores, float64([3, -1, 0]))
    assert against.tolist() == pytest.approx(((3 * scores[0] - scores[1]) / 4).tolist())


def test_judges_that_agree_cost_no_caution():
    same = torch.tensor([1.5, -0.25]).double().expand(3, 2)
    together, spread = conservative(same, float64([1, 2, 3]), 5.0)
    assert together.tolist() == [1.5, -0.25]
    assert spread.tolist() == [0, 0]


def test_running_moments_are_those_of_everything_at_once():
    parts = [torch.from_numpy(np.random.default_rng(n).normal(3 * n, 1 + n, 5 + n)) for n in range(4)]
    running = RunningMoments()
    assert running.std == 0
    for number, part in enumerate(parts, 1):
        running.see(part)
        seen = np.concatenate([one.numpy() for one in parts[:number]])
        assert (running.count, running.mean) == (len(seen), pytest.approx(seen.mean()))
        assert running.std == pytest.approx(seen.std())
        running = RunningMoments(**json.loads(json.dumps(vars(running))))  # as a checkpoint keeps it


def test_the_adaptive_controller_is_that_of_the_paper():
    """Ziegler et al. 2019, section 2.2: e = clip((KL - target) / target, ±0.2), β ← β (1 + 0.1 e), where 0.1 is batch over horizon."""
    beta = 0.15
    controller = AdaptiveKL(beta, target=6.0, horizon=10_240)
    for kl in (0.0, 5.0, 6.0, 6.6, 40.0):
        controller.update(kl, 1024)
        beta *= 1 + 0.1 * max(-0.2, min(0.2, (kl - 6.0) / 6.0))
        assert controller.beta == pytest.approx(beta, rel=1e-12)


def test_a_horizon_shorter_than_an_update_leaves_beta_positive():
    controller = AdaptiveKL(0.2, target=10, horizon=10)
    controller.update(0.0, 1000)
    assert controller.beta == pytest.approx(0.2 * 0.8)
