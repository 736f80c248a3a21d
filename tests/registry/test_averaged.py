"""An average of classifiers in the registry: its page says so, the server answers with the mean, and the export's README has it without our code."""

import numpy as np
import pytest

from models_registry import actions, exporting, serving_client

from .test_export import IDS, alone, readme_lines

TEXT = "The cat met the dog."


@pytest.fixture
def together(tiny_model, tmp_path, db):
    """(the version, what each of its two models says of TEXT by itself)"""
    import torch

    from models_registry.lm import averaged
    from models_registry.lm.chain import load
    from models_registry.lm.heads import into_classes
    from models_registry.lm.score import class_logprobs

    models = []
    for seed in (1, 2):
        loaded = load([tiny_model])
        into_classes(loaded, ("good", "bad"), seed=seed)
        torch.nn.init.normal_(loaded.model.score.weight, generator=torch.Generator().manual_seed(seed))
        models.append(loaded)
    (tmp_path / "together").mkdir()
    averaged.save(models, tmp_path / "together")
    version = actions.import_folder(actor=None, name="together", path=tmp_path / "together").version
    return version, [np.exp(class_logprobs(loaded, [TEXT]))[0] for loaded in models]


def test_its_page_says_how_many_models_judge(together, admin, client):
    version, _each = together
    client.force_login(admin)
    page = client.get(version.get_absolute_url()).content.decode()
    assert version.facts["members"] == 2
    assert "The mean of their probabilities" in page
    assert "Heads" not in page


def test_the_readme_averages_without_our_code(together, tmp_path):
    from models_registry.lm.chain import load

    version, _each = together
    exporting.write_folder(version, tmp_path / "out")
    ask = (
        f"import torch\nwith torch.no_grad():\n    result = probabilities(input_ids=torch.tensor([{IDS}]))[0].tolist()"
    )
    found = alone(tmp_path / "out", f"{readme_lines(tmp_path / 'out')}\n{ask}")
    import torch

    loaded = load([version.folder])
    with torch.no_grad():
        said = [model(input_ids=torch.tensor([IDS])).logits.softmax(-1)[0] for model in (loaded.model, *loaded.others)]
    assert found == pytest.approx((sum(said) / 2).tolist(), abs=1e-6)
    assert (said[0] - said[1]).abs().max() > 1e-4


@pytest.mark.slow
def test_the_server_says_the_mean(server, together):
    version, (one, other) = together
    [labels] = serving_client.classify(version, [TEXT])
    assert list(labels.values()) == pytest.approx(((one + other) / 2).tolist(), abs=1e-5)
