"""What the model server holds in memory: one base for all that stands on it, switched without reload, less when room is short; and batches."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from models_registry.lm.chain import load
from models_registry.lm.generate import generate, generate_ids
from models_registry.lm.text import encode_prompt
from models_registry.serving.pool import Full, Pool

SAMPLING = {"max_tokens": 8, "temperature": 1.0, "top_p": 0.9, "seed": 5}
PLENTY = 10**9


@pytest.fixture(scope="session")
def links(tiny_model, tmp_path_factory) -> dict:
    """One link of every kind over the tiny model, each with an effect."""
    from models_registry.lm import hard_prompt
    from models_registry.lm.tuning.apply import apply, save
    from models_registry.lm.tuning.config import TuneIA3, TuneLora, TunePrefix, TuneSerial, TuneSoftPrompt, TuneVera

    kinds = {
        "lora": TuneLora(rank=2),
        "ia3": TuneIA3(),
        "serial": TuneSerial(),
        "vera": TuneVera(rank=8),
        "other_vera": TuneVera(rank=16),
        "prefix": TunePrefix(length=3),
        "soft": TuneSoftPrompt(length=4, init="random"),
        "other_soft": TuneSoftPrompt(length=7, init="random"),
    }
    folders = {}
    for number, (name, tune) in enumerate(kinds.items()):
        torch.manual_seed(number)
        loaded = load([tiny_model])
        apply(loaded, tune)
        with torch.no_grad():
            for parameter in loaded.model.parameters():
                if parameter.requires_grad:
                    parameter += torch.randn_like(parameter) * 0.5
        folders[name] = tmp_path_factory.mktemp("links") / name
        save(loaded, folders[name])
    folders["words"] = tmp_path_factory.mktemp("links") / "words"
    hard_prompt.write(folders["words"], hard_prompt.HardPrompt(template="Say {input}"))
    return folders


def text(loaded) -> str:
    return generate(loaded, ["Hello"], **SAMPLING)[0].text


@pytest.mark.slow
def test_every_kind_over_one_base_writes_what_it_writes_alone(tiny_model, links):
    pool = Pool(budget=PLENTY, device="cpu")
    chains = {"base": [tiny_model], **{name: [tiny_model, folder] for name, folder in links.items()}}
    alone = {name: text(load(chain)) for name, chain in chains.items()}
    assert len(set(alone.values())) == len(alone)
    for name in [*chains, *reversed(chains)]:  # back and forth: switched, not loaded again
        view = pool.get(chains[name])
        pool.switch_to(view)
        assert text(view) == alone[name], name
    assert (len(pool), pool.links) == (1, len(links) - 1)  # the hard prompt is no link in the model
    weights = load([tiny_model]).model
    alone_bytes = sum(t.numel() * t.element_size() for t in [*weights.parameters(), *weights.buffers()])
    assert pool.used < 2 * alone_bytes


def test_links_lie_on_links(tiny_model, links):
    pool = Pool(budget=PLENTY, device="cpu")
    chain = [tiny_model, links["lora"], links["soft"], links["words"]]
    pool.get([tiny_model, links["serial"]])
    view = pool.get(chain)
    pool.switch_to(view)
    assert text(view) == text(load(chain))


def test_soft_prompts_are_mixed_in_one_batch_as_each_alone(tiny_model, links):
    """With seeds of their own, as the requests of different people have them."""
    pool = Pool(budget=PLENTY, device="cpu")
    views = [pool.get([tiny_model, *link]) for link in ([links["soft"]], [links["other_soft"]], [])]
    names = [view.adapters[0] if view.adapters else None for view in views]
    prompts = ["Hello", "Good evening to all", "Bye"]
    pool.switch_to(views[0])
    mixed = generate_ids(
        views[0],
        [encode_prompt(view, prompt) for view, prompt in zip(views, prompts, strict=True)],
        soft_prompts=names,
        draws=[(seed, 0) for seed in (5, 6, 7)],
        **{**SAMPLING, "seed": 0},
    )
    for view, prompt, seed, output in zip(views, prompts, (5, 6, 7), mixed, strict=True):
        alone = generate(load(list(view.folders)), [prompt], **{**SAMPLING, "seed": seed})[0]
        assert output.token_ids == alone.token_ids
        assert output.logprobs == pytest.approx(alone.logprobs, abs=1e-5)


@pytest.mark.slow
def test_links_go_before_bases_and_come_back(tiny_model, links, copy_of):
    one = Pool(budget=PLENTY, device="cpu")
    one.get([tiny_model])
    base = one.used
    pool = Pool(budget=2 * base + 2000, device="cpu")
    tuned = [tiny_model, links["lora"]]
    other = copy_of(tiny_model)
    expected = text(load(tuned))
    pool.get(tuned)
    pool.get([tiny_model, links["serial"]])
    pool.get([other])
    assert len(pool) == 2
    assert pool.links < 2
    view = pool.get(tuned)
    pool.switch_to(view)
    assert text(view) == expected


@pytest.mark.slow
def test_the_longest_unused_base_goes_first(tiny_model, copy_of):
    folders = [[copy_of(tiny_model, name)] for name in "abc"]
    one = Pool(budget=PLENTY, device="cpu")
    one.get(folders[0])
    pool = Pool(budget=int(one.used * 2.5), device="cpu")
    first, second = pool.get(folders[0]), pool.get(folders[1])
    assert pool.get(folders[0]) is first
    pool.get(folders[2])
    assert len(pool) == 2
    assert pool.get(folders[0]) is first
    assert pool.get(folders[1]) is not second


@pytest.mark.slow
def test_what_is_being_computed_with_stays(tiny_model, copy_of):
    folders = [[copy_of(tiny_model, name)] for name in "ab"]
    one = Pool(budget=PLENTY, device="cpu")
    one.get(folders[0])
    pool = Pool(budget=int(one.used * 1.5), device="cpu")
    first = pool.get(folders[0])
    with pytest.raises(Full):
        pool.get(folders[1], busy={first.folders})
    assert pool.get(folders[0]) is first
    pool.get(folders[1])  # nobody needs the first any more
    assert len(pool) == 1


def test_a_reward_model_over_the_same_base_shares_its_weights(tiny_model, tmp_path):
    from models_registry.lm.heads import into_reward
    from models_registry.lm.score import rewards
    from models_registry.lm.tuning.apply import apply, save
    from models_registry.lm.tuning.config import TuneLora

    loaded = load([tiny_model])
    into_reward(loaded, seed=1)
    apply(loaded, TuneLora(rank=2))
    save(loaded, tmp_path / "scorer")
    pool = Pool(budget=PLENTY, device="cpu")
    pool.get([tiny_model])
    alone = pool.used
    chain = [tiny_model, tmp_path / "scorer"]
    view = pool.get(chain)
    pool.switch_to(view)
    pairs = [("Say", "one"), ("Say", "two")]
    assert rewards(view, pairs) == pytest.approx(rewards(load(chain), pairs), abs=1e-5)
    assert len(pool) == 2
    assert pool.used < 1.5 * alone


@pytest.mark.slow
def test_requests_in_line_for_different_soft_prompts_are_one_batch(tiny_model, links, monkeypatch):
    """As they come from different people: prompts, seeds and soft prompts differ. Other settings are another batch."""
    from models_registry.serving import app
    from models_registry.serving.engine import Engine
    from models_registry.serving.protocol import CompletionRequest, Envelope

    batches = []

    def counted(loaded, prompts, **more):
        batches.append(len(prompts))
        return generate_ids(loaded, prompts, **more)

    monkeypatch.setattr(app, "generate_ids", counted)
    chains = {"soft": [tiny_model, links["soft"]], "other": [tiny_model, links["other_soft"]], "base": [tiny_model]}
    wanted = [("soft", "Hello", 5, 8), ("other", "Good evening", 6, 8), ("base", "Bye", 7, 8), ("soft", "Hello", 5, 4)]

    async def ask() -> list[str]:
        engine = Engine(Pool(budget=PLENTY, device="cpu"))
        hold = threading.Event()

        def wait(_loaded):
            hold.wait(20)
            yield None

        engine.submit([tiny_model], wait)
        tickets = []
        for name, prompt, seed, most in wanted:
            request = CompletionRequest(model=name, prompt=prompt, seed=seed, max_tokens=most, top_p=0.9)
            kinds = ["full", "soft_prompt"][: len(chains[name])]
            found = app._Found(chains[name], kinds, "lm", name)
            tickets.append(engine.submit(found.folders, app._whole(found, request, Envelope(request))))
        hold.set()
        return [(await anext(ticket.events()))["choices"][0]["text"] for ticket in tickets]

    # In a thread: where browser tests ran before, this one has an event loop already.
    with ThreadPoolExecutor(1) as thread:
        texts = thread.submit(lambda: asyncio.run(ask())).result()
    assert batches == [3, 1]
    for (name, prompt, seed, most), written in zip(wanted, texts, strict=True):
        alone = generate(load(chains[name]), [prompt], **{**SAMPLING, "seed": seed, "max_tokens": most})[0]
        assert written == alone.text
