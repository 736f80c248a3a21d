"""The lines of Python that load a version: with transformers and peft alone wherever these can, else with our loader."""

from collections.abc import Mapping

from .lm.inspect import AVERAGED_FILE
from .models import Head, Kind, Version

_MERGES = {"LORA", "IA3"}  # PEFT can fold them into the model, and put the next adapter on that

# The rule of models_registry/lm/hard_prompt.py, for those who have prompt.json alone.
_HARD_PROMPT = """import json
p = json.load(open({place!r}))
shown = [p["template"].replace("{{input}}", e["input"]) + ("" if e["output"][:1].isspace() else p["output_start"]) + e["output"] for e in p["examples"]]
ask = lambda text: p["separator"].join([p["instruction"]] * bool(p["instruction"]) + shown + [p["template"].replace("{{input}}", text)])"""

# The rule of models_registry/lm/averaged.py, for those who have the folder alone.
_AVERAGED = """
import copy
from safetensors.torch import load_file
beside = load_file({place!r})
models = [model]
for number in sorted({{name.partition(".")[0] for name in beside}}):
    models.append(copy.deepcopy(model))
    models[-1].load_state_dict({{name.partition(".")[2]: tensor for name, tensor in beside.items() if name.startswith(f"{{number}}.")}})
probabilities = lambda **inputs: sum(each.eval()(**inputs).logits.softmax(-1) for each in models) / len(models)"""


def lines(version: Version, places: Mapping[int, str], *, alone: bool = False) -> str:
    """`places`: the folder of each link, by pk. `alone`: for a reader who has these folders and nothing of ours."""
    if version.kind == Kind.REMOTE:
        return _remote(version)
    chain = version.chain()
    if version.kind == Kind.HARD_PROMPT:
        return _HARD_PROMPT.format(place=f"{places[version.pk]}/prompt.json") if alone else _ours(chain, places)
    below, top = chain[1:-1], chain[-1]
    if any(link.architecture not in _MERGES or link.kind != Kind.ADAPTER for link in below):
        return _ours(chain, places)
    return _theirs(chain, below, top, places, alone=alone)


def _theirs(
    chain: list[Version], below: list[Version], top: Version, places: Mapping[int, str], *, alone: bool
) -> str:
    """transformers for the base, peft for what lies on it."""
    root = repr(places[chain[0].pk])
    auto = "AutoModelForCausalLM" if top.head == Head.LM else "AutoModelForSequenceClassification"
    outputs = next((n for link in reversed(chain[1:]) if (n := link.facts.get("outputs"))), None)
    model = f"{auto}.from_pretrained({root}{f', num_labels={outputs}' if outputs else ''})"
    tokenizer = f"tokenizer = AutoTokenizer.from_pretrained({root})"
    if len(chain) == 1:
        several = top.head == Head.CLASSES and top.facts.get("members")
        beside = _AVERAGED.format(place=f"{places[top.pk]}/{AVERAGED_FILE}") if several else ""
        return f"from transformers import {auto}, AutoTokenizer\nmodel = {model}\n{tokenizer}{beside}"
    bottleneck = top.architecture == "BOTTLENECK"
    imports = [f"from transformers import {auto}, AutoTokenizer"]
    if below or not bottleneck:
        imports.insert(0, "from peft import PeftModel")
    if bottleneck:
        imports.append("import bottleneck_loader" if alone else "from models_registry.lm import bottleneck_loader")
    for link in below:
        model = f"PeftModel.from_pretrained({model}, {places[link.pk]!r}).merge_and_unload()"
    if bottleneck:
        return "\n".join(
            [*imports, f"model = {model}", f"bottleneck_loader.load(model, {places[top.pk]!r})", tokenizer]
        )
    return "\n".join([*imports, f"model = PeftModel.from_pretrained({model}, {places[top.pk]!r})", tokenizer])


def _ours(chain: list[Version], places: Mapping[int, str]) -> str:
    listed = ", ".join(repr(places[link.pk]) for link in chain)
    return f"from models_registry.lm.chain import load\nloaded = load([{listed}])\nmodel, tokenizer = loaded.model, loaded.tokenizer"


def _remote(version: Version) -> str:
    facts = version.facts
    key = f"os.environ[{facts['key_env']!r}]" if facts.get("key_env") else "'none'"
    what = (
        "chat.completions.create(model={model!r}, messages=[{{'role': 'user', 'content': 'Hello'}}]).choices[0].message.content"
        if facts.get("chat_only")
        else "completions.create(model={model!r}, prompt='Hello').choices[0].text"
    ).format(model=facts["model"])
    return f"import os, openai\nclient = openai.OpenAI(base_url={facts['base_url']!r}, api_key={key})\nprint(client.{what})"
