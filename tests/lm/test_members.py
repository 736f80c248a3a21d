"""Several heads over one trunk: their mean is the model's own head, wherever the model is read; how far they stand apart is theirs alone."""

import pytest
import torch

from models_registry.lm.chain import active_head, load
from models_registry.lm.heads import Scale, into_reward, write_scale
from models_registry.lm.members import Members, members_of, read_members, spread
from models_registry.lm.score import rewards, scores_of_members
from models_registry.lm.tuning.apply import apply, save
from models_registry.lm.tuning.config import TuneAll, TuneLora

from .test_judge import PAIRS


@pytest.fixture(params=[TuneAll(), TuneLora(rank=2)], ids=lambda tune: tune.kind)
def ensemble(request, folders, tmp_path):
    """Four heads with offsets, on a scale that is not the identity."""
    loaded = load([folders["llama"]])
    into_reward(loaded, seed=3)
    apply(loaded, request.param)
    members = Members.around(active_head(loaded), 4, seed=7)
    with torch.no_grad():
        members.weight.add_(torch.randn(members.weight.shape, generator=torch.Generator().manual_seed(1)))
    members.center(torch.tensor([1.0, 2.0, 3.0, 6.0]))
    members.into(active_head(loaded))
    save(loaded, tmp_path)
    members.save(tmp_path)
    write_scale(tmp_path, Scale(0.5, 2.0))
    return load([tmp_path] if isinstance(request.param, TuneAll) else [folders["llama"], tmp_path])


def test_the_mean_of_the_members_is_what_a_reader_of_one_score_sees(ensemble):
    found = scores_of_members(ensemble, PAIRS, batch_size=3)
    assert found.shape == (len(PAIRS), 4)
    assert found.mean(1).tolist() == pytest.approx(rewards(ensemble, PAIRS), abs=1e-5)
    assert (spread(found) > 0.01).all()


def test_a_member_is_its_row_of_weights_less_what_it_says_throughout(ensemble):
    members = read_members(ensemble.folders[-1])
    head = active_head(ensemble)
    with torch.no_grad():
        head.weight.copy_(members.weight[2:3])
    assert members.offset.tolist() == [-2.0, -1.0, 0.0, 3.0]
    alone = rewards(ensemble, PAIRS)  # of the third, whose offset is 0
    assert scores_of_members(ensemble, PAIRS)[:, 2].tolist() == pytest.approx(alone, abs=1e-5)


def test_each_starts_by_itself_and_their_mean_at_the_head(folders):
    loaded = load([folders["llama"]])
    into_reward(loaded, seed=3)
    head = loaded.model.score
    some, more, other = (Members.around(head, n, seed=seed) for n, seed in ((3, 0), (3, 0), (3, 9)))
    assert torch.equal(some.weight, more.weight)
    assert not torch.equal(some.weight, other.weight)
    assert torch.allclose(some.weight.mean(0), head.weight[0], atol=1e-6)
    assert len({tuple(row.tolist()) for row in some.weight}) == 3


def test_a_model_of_one_head_has_no_members(folders):
    loaded = load([folders["llama"]])
    into_reward(loaded, seed=3)
    assert members_of(loaded) is None
    with pytest.raises(ValueError, match="one head"):
        scores_of_members(loaded, PAIRS)
