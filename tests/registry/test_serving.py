"""The model server, as a process of its own: the OpenAI protocol, streams, errors, many at once; and the pages that ask it."""

import json
import math
import statistics
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import httpx
import pytest
from django.urls import reverse

from models_registry import actions, serving_client, tickets
from models_registry.models import Stage
from people.errors import Refusal
from tests import factories
from tests.processes import until

pytestmark = pytest.mark.slow
PATIENCE = 300  # seconds; only what fails takes so long


def post(address: str, **body) -> httpx.Response:
    return httpx.post(address, json=body, timeout=PATIENCE)


def health(server: str) -> dict:
    return httpx.get(f"{server}/health", timeout=PATIENCE).json()


def streamed(address: str, **body) -> list[dict]:
    """The events of a stream, which must end as the protocol says."""
    with httpx.stream("POST", address, json={**body, "stream": True}, timeout=PATIENCE) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in response.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


SAMPLING = {"max_tokens": 12, "temperature": 1, "top_p": 0.9, "seed": 5}


def test_models_are_listed_by_name_and_version_without_the_archived(server, tiny, tiny_tuned, admin):
    listed = httpx.get(f"{server}/v1/models").json()
    assert listed["object"] == "list"
    assert [(each["kind"], each["head"], each["parent"]) for each in listed["data"]] == [
        ("full", "lm", None),
        ("adapter", "lm", "tiny:v1"),
    ]
    assert [each["id"] for each in listed["data"]] == ["tiny:v1", "tiny-tuned:v1"]
    actions.set_stage(actor=admin, version=tiny_tuned, stage=Stage.ARCHIVED)
    assert [each["id"] for each in httpx.get(f"{server}/v1/models").json()["data"]] == ["tiny:v1"]


def test_completion(server, tiny):
    answer = post(f"{server}/v1/completions", model="tiny:v1", prompt="Hello", **SAMPLING).json()
    assert answer["object"] == "text_completion"
    assert answer["choices"][0]["text"]
    assert answer["choices"][0]["finish_reason"] in ("stop", "length")
    usage = answer["usage"]
    assert usage["prompt_tokens"] == 6  # <s> and five letters
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    again = post(f"{server}/v1/completions", model="tiny:v1", prompt="Hello", **SAMPLING).json()
    assert again["choices"][0]["text"] == answer["choices"][0]["text"]
    assert again["id"] != answer["id"]


def test_it_writes_what_the_same_functions_write_here(server, tiny):
    from models_registry.lm.chain import load
    from models_registry.lm.generate import generate

    outputs = generate(load([tiny.folder]), ["Hello", "Bye"], samples=2, **SAMPLING)
    answer = post(f"{server}/v1/completions", model="tiny:v1", prompt=["Hello", "Bye"], n=2, **SAMPLING).json()
    assert [choice["text"] for choice in answer["choices"]] == [output.text for output in outputs]


def test_a_stream_gives_the_same_text_in_pieces(server, tiny):
    wanted = {"model": "tiny:v1", "prompt": ["Hello", "Bye"], "n": 2, **SAMPLING}
    whole = post(f"{server}/v1/completions", **wanted).json()
    events = streamed(f"{server}/v1/completions", **wanted, stream_options={"include_usage": True})
    for choice in whole["choices"]:
        pieces = [c for event in events for c in event["choices"] if c["index"] == choice["index"]]
        assert "".join(piece["text"] for piece in pieces) == choice["text"]
        assert [piece["finish_reason"] for piece in pieces if piece["finish_reason"]] == [choice["finish_reason"]]
    assert events[-1]["usage"] == whole["usage"]
    assert len({event["id"] for event in events}) == 1
    assert len(events) > 3 * len(whole["choices"])


def test_chat_with_and_without_stream(server, tiny):
    wanted = {"model": "tiny:v1", "messages": [{"role": "user", "content": "Hello"}], **SAMPLING}
    whole = post(f"{server}/v1/chat/completions", **wanted).json()
    assert whole["object"] == "chat.completion"
    message = whole["choices"][0]["message"]
    assert message["role"] == "assistant"
    events = streamed(f"{server}/v1/chat/completions", **wanted)
    assert events[0]["choices"][0]["delta"]["role"] == "assistant"
    assert events[0]["object"] == "chat.completion.chunk"
    assert "".join(event["choices"][0]["delta"].get("content", "") for event in events) == message["content"]
    parts = [{"role": "user", "content": [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]}]
    assert post(f"{server}/v1/chat/completions", **{**wanted, "messages": parts}).json()["choices"] == whole["choices"]


def test_stop_texts_end_the_text_before_them(server, tiny):
    free = post(f"{server}/v1/completions", model="tiny:v1", prompt="Hello", **SAMPLING).json()["choices"][0]["text"]
    stop = free[3:5]
    answer = post(f"{server}/v1/completions", model="tiny:v1", prompt="Hello", stop=stop, **SAMPLING).json()
    assert answer["choices"][0]["text"] == free[: free.index(stop)]
    assert answer["choices"][0]["finish_reason"] == "stop"


def test_without_a_seed_two_answers_differ(server, endless):
    wanted = {"model": "endless:v1", "prompt": "Hello", "max_tokens": 30}  # others may end before the first letter
    texts = {post(f"{server}/v1/completions", **wanted).json()["choices"][0]["text"] for _ in range(3)}
    assert len(texts) == 3


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("body", "status", "param", "code"),
    [
        ({"model": "nobody:v1"}, 404, "model", "model_not_found"),
        ({}, 400, "model", None),
        ({"model": "tiny:v1", "temperature": -1}, 400, "temperature", None),
        ({"model": "tiny:v1", "max_tokens": 0}, 400, "max_tokens", None),
        ({"model": "tiny:v1", "logit_bias": {"5": 100}}, 400, "logit_bias", "unsupported_parameter"),
        ({"model": "tiny:v1", "temprature": 1}, 400, "temprature", "unknown_parameter"),
        ({"model": "tiny:v1", "prompt": "x" * 500}, 400, None, None),
    ],
)
def test_errors_are_openai_error_objects(server, tiny, body, status, param, code, stream):
    answer = post(f"{server}/v1/completions", **body, stream=stream)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", param, code)
    assert error["message"]


def test_other_errors(server, tiny):
    assert "JSON" in httpx.post(f"{server}/v1/completions", content="{bad").json()["error"]["message"]
    assert httpx.get(f"{server}/v1/nothing").json()["error"]["message"]
    picture = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]
    answer = post(f"{server}/v1/chat/completions", model="tiny:v1", messages=picture)
    assert answer.json()["error"]["param"] == "messages"
    assert httpx.get(f"{server}/v1/models", headers={"Host": "evil.example"}).status_code == 400


def test_many_at_once_get_what_each_would_get_alone(server, tiny, tiny_tuned):
    requests = [
        {"model": model, "prompt": prompt, **SAMPLING, "seed": seed}
        for model in ("tiny:v1", "tiny-tuned:v1")
        for prompt in ("Hello", "Bye")
        for seed in (1, 2)
    ]

    def text(body):
        return post(f"{server}/v1/completions", **body).json()["choices"][0]["text"]

    alone = [text(body) for body in requests]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(text, requests)) == alone
    assert len(set(alone)) == len(alone)


def test_a_client_that_hangs_up_frees_the_model(server, endless):
    body = {"model": "endless:v1", "prompt": "Hello", "max_tokens": 16_000, "n": 16, "stream": True}
    with httpx.stream("POST", f"{server}/v1/completions", json=body, timeout=PATIENCE) as response:
        lines = response.iter_lines()
        next(lines)
        assert health(server)["answering"] > 0
    until(lambda: health(server)["answering"] == 0, seconds=120)  # alone it would write for longer
    assert post(f"{server}/v1/completions", model="endless:v1", prompt="x", max_tokens=1).status_code == 200


def test_it_tells_how_it_is(server, tiny):
    post(f"{server}/v1/completions", model="tiny:v1", prompt="x", max_tokens=1)
    until(lambda: serving_client.health()["status"] == "ok")  # and not too busy to say so
    assert health(server)["loaded"] >= 1


def test_a_short_answer_does_not_wait_for_a_long_one(server, endless, tiny):
    body = {"model": "endless:v1", "prompt": "Hello", "max_tokens": 16_000, "stream": True}
    with httpx.stream("POST", f"{server}/v1/completions", json=body, timeout=PATIENCE) as response:
        lines = (line for line in response.iter_lines() if line)
        next(lines)
        short = streamed(f"{server}/v1/completions", model="tiny:v1", prompt="Hello", **SAMPLING)
        again = streamed(f"{server}/v1/completions", model="tiny:v1", prompt="Hello", **SAMPLING)
        assert next(lines) != "data: [DONE]"
    text = "".join(event["choices"][0]["text"] for event in short)
    assert text == "".join(event["choices"][0]["text"] for event in again) != ""
    assert (
        text
        == post(f"{server}/v1/completions", model="tiny:v1", prompt="Hello", **SAMPLING).json()["choices"][0]["text"]
    )


# ---- The site asks it ----------------------------------------------------------------------------------------------


def answer(client, version, **fields) -> list[dict]:
    defaults = {"prompt": "Hello", "temperature": 1, "top_p": 0.9, "max_tokens": 12, "samples": 1}
    response = client.post(reverse("version-answer", args=[version.model.name, version.number]), defaults | fields)
    assert response.status_code == 200, response.content
    return [json.loads(line) for line in b"".join(response.streaming_content).splitlines()]


def written(events: list[dict]) -> list[dict]:
    """Without the seals, which say when they were made; what they seal is there."""
    return [
        event | {"ticket": asdict(tickets.opened(event["ticket"]))} if "ticket" in event else event for event in events
    ]


def test_the_try_page_streams_the_servers_text(client, server, tiny, admin):
    client.force_login(admin)
    events = answer(client, tiny, seed=5, samples=2)
    assert events[0] == {"seed": 5}
    expected = post(f"{server}/v1/completions", model="tiny:v1", prompt="Hello", n=2, **SAMPLING).json()["choices"]
    for choice in expected:
        pieces = [event["text"] for event in events if event.get("sample") == choice["index"] and "text" in event]
        assert "".join(pieces) == choice["text"]
    assert [event["sample"] for event in events if "finish" in event] == [0, 1]


def test_lines_of_a_prompt_reach_the_model_as_it_reads_them(client, server, tiny, admin):
    client.force_login(admin)
    windows, unix = (written(answer(client, tiny, seed=5, prompt=f"a{end}b")) for end in ("\r\n", "\n"))
    assert windows == unix


def test_a_stopped_server_is_said_plainly(client, tiny, admin, settings):
    settings.MODELS_PORT = 9  # the discard port: nothing listens there
    client.force_login(admin)
    assert b"The model server is not running" in client.get(reverse("version-try", args=["tiny", 1])).content
    events = answer(client, tiny)
    assert "The model server is not running" in events[-1]["problems"][0]
    assert serving_client.health() is None
    with pytest.raises(serving_client.NotRunning):
        serving_client.judge(tiny, [("a", ["b"])])


def test_wrong_settings_come_back_all_at_once(client, tiny, admin):
    client.force_login(admin)
    page = client.post(reverse("version-answer", args=["tiny", 1]), {"temperature": -1, "max_tokens": 0})
    assert page.status_code == 400
    problems = "\n".join(page.json()["problems"])
    assert all(word in problems for word in ("Temperature", "Most tokens", "Top-p", "Samples"))


def test_the_servers_reason_reaches_the_page(client, server, tiny, admin):
    client.force_login(admin)
    assert "context" in answer(client, tiny, prompt="x" * 500)[-1]["problems"][0]


def test_a_classifier_tells_the_probability_of_each_label(client, server, tiny_model, tiny, admin, tmp_path):
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from models_registry.lm.chain import load
    from models_registry.lm.score import class_logprobs

    torch.manual_seed(3)
    names = {0: "bad", 1: "so-so", 2: "good"}
    model = AutoModelForSequenceClassification.from_pretrained(tiny_model, num_labels=3, id2label=names)
    torch.nn.init.normal_(model.score.weight)
    model.save_pretrained(tmp_path / "judge")
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(tmp_path / "judge")
    version = actions.import_folder(actor=None, name="judge", path=tmp_path / "judge").version
    assert version.facts["labels"] == ["bad", "so-so", "good"]

    expected = class_logprobs(load([version.folder]), ["one", "two"])
    for row, labels in zip(expected, serving_client.classify(version, ["one", "two"]), strict=True):
        assert list(labels) == ["bad", "so-so", "good"]
        assert sum(labels.values()) == pytest.approx(1)
        assert [math.log(value) for value in labels.values()] == pytest.approx(list(row), abs=1e-4)
    body = post(f"{server}/v1/classify", model="judge:v1", input="one").json()["data"][0]
    assert body["label"] == max(body["labels"], key=body["labels"].get)

    client.force_login(admin)
    events = answer(client, version, texts="one\r\n---\r\ntwo")
    assert [event["text"] for event in events] == ["one", "two"]
    shares = [share for _label, share in events[0]["labels"]]
    assert shares == sorted(shares, reverse=True)
    assert "no classifier" in post(f"{server}/v1/classify", model="tiny:v1", input="x").json()["error"]["message"]


LONG = "x" * 600  # more than the context
ASKED = [("Say", ["one", "two"]), ([{"role": "user", "content": "Hi"}], ["", LONG])]


def test_a_reward_model_scores_prompts_with_their_outputs_at_once(server, reward, tiny):
    from models_registry.lm.chain import load
    from models_registry.lm.score import rewards

    expected = rewards(load([reward.folder]), [(prompt, text) for prompt, texts in ASKED for text in texts])
    found = serving_client.judge(reward, ASKED)
    assert [each.score for row in found.rows for each in row] == pytest.approx(expected, abs=1e-4)
    assert [each.cut for row in found.rows for each in row] == [False, False, False, True]
    assert (found.cut, found.std) == (1, 2.0)  # the scale lies beside the weights
    alone = post(f"{server}/v1/score", model="scorer:v1", prompt="Say", completions=["one", "two"]).json()
    assert [each["score"] for each in alone["data"]] == pytest.approx(expected[:2], abs=1e-4)
    assert alone["cut"] == 0


def test_an_ensemble_says_how_far_its_heads_stand_apart(server, ensemble, reward):
    """With its trace too; a model of one head says nothing of it."""
    from models_registry.lm.chain import load
    from models_registry.lm.score import scores_of_members

    expected = scores_of_members(
        load([ensemble.folder]), [(prompt, text) for prompt, texts in ASKED for text in texts]
    )
    for trace in (False, True):
        found = [each for row in serving_client.judge(ensemble, ASKED, trace=trace).rows for each in row]
        for each, by_head in zip(found, expected.tolist(), strict=True):
            assert each.by_head == pytest.approx(by_head, abs=1e-4)
            assert each.score == pytest.approx(statistics.fmean(by_head), abs=1e-4)
            assert each.std_between == pytest.approx(statistics.stdev(by_head), abs=1e-4)
    [[alone]] = serving_client.judge(reward, [("Say", ["one"])]).rows
    assert (alone.std_between, alone.by_head) == (None, None)


def test_what_cannot_be_scored_is_refused(server, reward, tiny):
    def said(**body) -> str:
        return post(f"{server}/v1/score", **body).json()["error"]["message"]

    wrong = post(f"{server}/v1/completions", model="scorer:v1", prompt="x")
    assert "does not write" in wrong.json()["error"]["message"]
    with pytest.raises(Refusal, match="no reward model"):
        serving_client.judge(tiny, [("x", ["y"])])
    assert "or 'rows' of both" in said(model="scorer:v1", prompt="x")
    assert "or 'rows' of both" in said(model="scorer:v1", rows=[{"prompt": "x", "completions": ["y"]}], prompt="x")
    assert "at least 1 item" in said(model="scorer:v1", prompt="x", completions=[])


def test_a_trace_says_the_score_after_every_token(server, reward):
    [[judged]] = serving_client.judge(reward, [("Say", ["so 🦊"])], trace=True).rows
    assert "".join(point.text for point in judged.trace) == "so 🦊"
    assert len(judged.trace) == 3 + 4 + 1  # bytes, and the end
    assert judged.trace[-1].score == judged.score
    [[without]] = serving_client.judge(reward, [("Say", ["so 🦊"])]).rows
    assert without.trace is None
    assert without.score == pytest.approx(judged.score, abs=1e-4)


def test_stopping_the_page_stops_the_writing(server, endless):
    """Closing the iterator hangs up."""
    pieces = serving_client.stream(endless, "Hello", max_tokens=16_000, samples=16)
    next(pieces)
    assert health(server)["answering"] > 0
    pieces.close()
    until(lambda: health(server)["answering"] == 0, seconds=120)  # alone it would write for longer


def test_roles(client, tiny):
    client.force_login(factories.user())
    assert client.post(reverse("version-answer", args=["tiny", 1]), {}).status_code == 403
