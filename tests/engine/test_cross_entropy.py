"""The loss in parts is the loss at once, and so are its gradients."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from training.engine import cross_entropy as parts


@pytest.mark.parametrize("tokens", [1, parts.CHUNK, 2 * parts.CHUNK + 7])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("frozen", [False, True])
def test_loss_and_gradients_are_those_of_all_logits_at_once(tokens, bias, frozen):
    torch.manual_seed(0)
    head = nn.Linear(16, 53, bias=bias).requires_grad_(not frozen)
    states = torch.randn(tokens, 16, requires_grad=True)
    targets = torch.randint(0, 53, (tokens,))
    moving = [states, *(part for part in head.parameters() if part.requires_grad)]
    expected = cross_entropy(head(states), targets, reduction="sum")
    slopes = torch.autograd.grad(expected / 3, moving)
    found = parts.summed(states, head, targets)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    for mine, other in zip(torch.autograd.grad(found / 3, moving), slopes, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        assert parts.summed(states, head, targets).item() == pytest.approx(expected.item(), rel=1e-5)


def test_what_is_more_than_a_plain_matrix_is_left_to_torch():
    head = nn.Linear(4, 5)
    assert parts.fits(head)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not parts.fits(head)
    assert not parts.fits(nn.Linear(4, 5, dtype=torch.bfloat16))
    assert not parts.fits(nn.Sequential(head))
    head.register_forward_hook(lambda _module, _inputs, output: output * 2)
    assert not parts.fits(head)
