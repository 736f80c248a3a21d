"""The supervised loop: one update is one update however it is cut, and what is frozen costs nothing."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch

from training.engine import loop
from training.engine.config import TrainingSettings

from .tiny import causal_lm


def test_every_epoch_goes_through_all_rows_in_an_order_of_its_own():
    shuffle = loop.Shuffle(rows=10, batch_size=4, seed=3)
    drawn = np.concatenate([shuffle(step) for step in range(1, 6)])
    assert sorted(drawn[:10]) == sorted(drawn[10:]) == list(range(10))
    assert drawn[:10].tolist() != drawn[10:].tolist()


def test_the_rows_of_a_step_follow_from_the_step_alone():
    shuffle = loop.Shuffle(rows=7, batch_size=3, seed=3)
    first = [shuffle(step).tolist() for step in range(1, 12)]
    again = loop.Shuffle(rows=7, batch_size=3, seed=3)
    assert [again(step).tolist() for step in (11, 2, 7)] == [first[10], first[1], first[6]]
    assert loop.Shuffle(rows=7, batch_size=3, seed=4)(1).tolist() != first[0]


def test_a_batch_larger_than_the_data_takes_every_row_equally_often():
    assert set(Counter(loop.Shuffle(rows=3, batch_size=9, seed=0)(1).tolist()).values()) == {3}


def test_the_learning_rate_rises_then_falls_to_its_end():
    config = TrainingSettings(warmup=0.1, final_lr=0.1, schedule="linear")
    rates = [loop.schedule(config, step, 100) for step in range(1, 101)]
    assert rates[:10] == pytest.approx([step / 10 for step in range(1, 11)])
    assert rates[-1] == pytest.approx(0.1)
    assert all(a > b for a, b in pairwise(rates[9:]))
    cosine = TrainingSettings(warmup=0.0, final_lr=0.0, schedule="cosine")
    assert loop.schedule(cosine, 50, 100) == pytest.approx(0.5)
    assert loop.schedule(cosine, 100, 100) == pytest.approx(0.0, abs=1e-12)
    constant = TrainingSettings(warmup=0.5, schedule="constant")
    assert [loop.schedule(constant, step, 4) for step in (1, 2, 3, 4)] == [0.5, 1.0, 1.0, 1.0]


def test_updates_follow_from_the_epochs():
    assert loop.updates(TrainingSettings(epochs=2, batch_size=16), 80) == 10
    assert loop.updates(TrainingSettings(epochs=2, batch_size=16, max_steps=3), 80) == 3
    assert loop.updates(TrainingSettings(epochs=0.01, batch_size=16), 80) == 1


def test_only_matrices_decay_and_only_what_moves_has_a_state():
    model = causal_lm("gpt2")
    moving = {name: p for name, p in model.named_parameters() if "h.1." in name}
    optimizer = loop.adamw(TrainingSettings(weight_decay=0.5), moving)
    for group in optimizer.param_groups:
        assert {p.ndim >= 2 for p in group["params"]} == {group["weight_decay"] > 0}
    model(input_ids=torch.tensor([[3, 4, 5]]), labels=torch.tensor([[3, 4, 5]])).loss.backward()
    optimizer.step()
    assert len(optimizer.state) == len(moving)


def test_the_state_goes_through_a_checkpoint_unchanged(tmp_path):
    def start():
        model = causal_lm("qwen2")
        parameters = dict(model.named_parameters())
        return model, parameters, loop.adamw(TrainingSettings(lr=1e-2), parameters)

    def update(model, optimizer) -> None:
        ids = torch.tensor([[3, 4, 5, 6]])
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    model, parameters, optimizer = start()
    update(model, optimizer)
    loop.save_state(tmp_path, parameters, optimizer)
    update(model, optimizer)
    other, others, restored = start()
    loop.load_state(tmp_path, others, restored)
    update(other, restored)
    assert all(torch.equal(parameters[name], others[name]) for name in parameters)


def test_what_a_gpu_has_saved_is_gone_on_with_by_any_device(tmp_path, monkeypatch):
    """As where there is none, or where each process of several has another."""
    layer = torch.nn.Linear(2, 2)
    optimizer = loop.adamw(TrainingSettings(), dict(layer.named_parameters()))
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    # What a file says of a tensor on the eighth GPU.
    registry = torch.serialization._package_registry
    monkeypatch.setattr(torch.serialization, "_package_registry", [(0, lambda _storage: "cuda:7", None), *registry])
    loop.save_state(tmp_path, dict(layer.named_parameters()), optimizer)
    monkeypatch.setattr(torch.serialization, "_package_registry", registry)
    again = torch.nn.Linear(2, 2)
    later = loop.adamw(TrainingSettings(), dict(again.named_parameters()))
    loop.load_state(tmp_path, dict(again.named_parameters()), later)
    assert torch.equal(again.weight, layer.weight)
    found, expected = ([state["exp_avg"] for state in each.state.values()] for each in (later, optimizer))
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
