"""Exports: what leaves the house is loaded in a process that has none of our code, and gives the same numbers."""

import io
import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from models_registry import actions, exporting, loading
from models_registry.models import Version
from people.errors import Refusal

IDS = [1, 5, 9, 40, 7]


@pytest.fixture(scope="session")
def made(tiny_model, tmp_path_factory):
    """`made(name)`: a folder trained, in effect, over the tiny model; each kind once."""
    import torch

    from models_registry.lm import hard_prompt
    from models_registry.lm.chain import load
    from models_registry.lm.heads import Scale, into_reward, write_scale
    from models_registry.lm.tuning.apply import apply, save
    from models_registry.lm.tuning.config import TuneIA3, TuneLora, TuneParallel, TunePrefix, TuneSoftPrompt

    kinds = {
        "lora": TuneLora(rank=2),
        "ia3": TuneIA3(),
        "prefix": TunePrefix(length=3),
        "soft": TuneSoftPrompt(length=4, init="random"),
        "bottleneck": TuneParallel(),
        "reward": TuneLora(rank=2),
        "soft-reward": TuneSoftPrompt(length=4, init="random"),
    }
    known: dict[str, Path] = {}

    def make(name: str, below: tuple[Path, ...] = ()) -> Path:
        key = f"{name}{len(below)}"
        if key not in known:
            known[key] = folder = tmp_path_factory.mktemp("made") / name
            if name == "words":
                prompt = hard_prompt.HardPrompt(
                    template="Q: {input}\nA:",
                    instruction="Be kind.",
                    examples=[{"input": "1", "output": "one"}, {"input": "2", "output": "\ntwo"}],
                )
                hard_prompt.write(folder, prompt)
                return folder
            torch.manual_seed(11)
            loaded = load([tiny_model, *below])
            if "reward" in name:
                into_reward(loaded, seed=1)
            apply(loaded, kinds[name])
            with torch.no_grad():
                for parameter in loaded.model.parameters():
                    if parameter.requires_grad:
                        parameter += torch.randn_like(parameter) * 0.3
            save(loaded, folder)
            if name == "reward":
                write_scale(folder, Scale(0.5, 2.0))
        return known[key]

    return make


def registered(tiny: Version, folder: Path, parent: Version | None = None, **more) -> Version:
    about = {"licence": "MIT", "card": "About it."} | more
    return actions.register_version(actor=None, model_name=folder.name, folder=folder, parent=parent or tiny, **about)


def numbers(version: Version) -> list[float]:
    """What our own loader computes at the last token."""
    import torch

    from models_registry.lm.chain import load
    from models_registry.lm.heads import score_head

    loaded = load([link.folder for link in version.chain()])
    with torch.no_grad():
        if loaded.head == "lm":
            return loaded.model(input_ids=torch.tensor([IDS])).logits[0, -1].tolist()
        return score_head(loaded.model)(loaded.model.base_model(input_ids=torch.tensor([IDS])).last_hidden_state)[
            0, -1
        ].tolist()


def alone(folder: Path, program: str) -> list:
    """Run in a fresh process that stands in the export and finds nothing of ours."""
    script = (
        "import sys, json, logging\n"
        f"{program}\n"
        "assert not any(name.startswith('models_registry') for name in sys.modules)\n"
        "print('\\n' + json.dumps(result))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def readme_lines(folder: Path) -> str:
    return (folder / "README.md").read_text().split("```python\n")[1].split("\n```")[0]


KINDS = ["lora", "ia3", "prefix", "soft", "bottleneck", "reward", "soft-reward"]


@pytest.mark.slow
def test_the_readmes_load_the_exports_without_our_code(tiny, made, tmp_path):
    """Full weights by transformers, adapters and soft prompts by peft, also one on the other, bottlenecks by their own loader."""
    versions = {kind: registered(tiny, made(kind)) for kind in KINDS}
    versions["full"] = tiny
    versions["chain"] = registered(tiny, made("soft", (made("lora"),)), versions["lora"])
    for name, version in versions.items():
        exporting.write_folder(version, tmp_path / name, chain=True)
    assert sorted(path.name for path in (tmp_path / "chain").iterdir()) == [
        "1-tiny-v1",
        "2-lora-v1",
        "3-soft-v2",
        "README.md",
    ]
    lines = {name: readme_lines(tmp_path / name) for name in versions}
    program = f"""
import os, torch
result = {{}}
for name, lines in {lines!r}.items():
    os.chdir(os.path.join({str(tmp_path)!r}, name))
    place = {{}}
    exec(lines, place)
    with torch.no_grad():
        out = place["model"].eval()(input_ids=torch.tensor([{IDS}])).logits
    result[name] = (out[0, -1] if out.dim() == 3 else out[0]).tolist()
"""
    found = alone(tmp_path, program)
    for name, version in versions.items():
        assert found[name] == pytest.approx(numbers(version), abs=1e-4 if name == "chain" else 1e-5), name


def test_a_hard_prompt_is_put_together_by_its_readme_as_here(tiny, made, tmp_path):
    from models_registry.lm import hard_prompt

    version = registered(tiny, made("words"))
    exporting.write_folder(version, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["README.md", "prompt.json"]
    found = alone(tmp_path / "out", f"{readme_lines(tmp_path / 'out')}\nresult = ask('3 {{x}}')")
    assert found == hard_prompt.read(version.folder).ask("3 {x}")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["soft", "bottleneck", "words", "reward"])
def test_the_lines_on_the_page_work_on_this_machine(tiny, made, kind):
    version = registered(tiny, made(kind))
    lines = loading.lines(version, {link.pk: str(link.folder) for link in version.chain()})
    place: dict = {}
    exec(lines, place)  # noqa: S102
    assert place["model"].config.model_type == "llama"


def test_the_readme_says_what_it_is(tiny, made, tmp_path):
    version = registered(tiny, made("lora"))
    exporting.write_folder(version, tmp_path / "out")
    text = (tmp_path / "out" / "README.md").read_text()
    assert "license: MIT" in text
    assert "About it." in text
    assert "base_model: tiny:v1" in text
    assert version.digest in text
    assert "path/to/tiny-v1" in text
    for file in version.manifest["files"]:
        assert (tmp_path / "out" / file["path"]).read_bytes() == (version.folder / file["path"]).read_bytes()


@pytest.mark.parametrize("form", ["zip", "tar"])
def test_downloads_hold_the_same_files(client, admin, tiny, tiny_tuned, form):
    client.force_login(admin)
    answer = client.get(reverse("version-export", args=["tiny-tuned", 1]), {"as": form, "chain": "1"})
    assert answer["Content-Disposition"] == f'attachment; filename="tiny-tuned-v1.{form}"'
    held = io.BytesIO(b"".join(answer.streaming_content))
    if form == "zip":
        archive = zipfile.ZipFile(held)
        assert archive.testzip() is None
        files = {name: archive.read(name) for name in archive.namelist()}
    else:
        with tarfile.open(fileobj=held) as archive:
            files = {member.name: archive.extractfile(member).read() for member in archive}
    expected = {f"tiny-tuned-v1/{entry.path}": entry for entry in exporting.entries(tiny_tuned, chain=True)}
    assert set(files) == set(expected)
    weights = "tiny-tuned-v1/1-tiny-v1/model.safetensors"
    assert files[weights] == (tiny.folder / "model.safetensors").read_bytes()


def test_the_command_writes_folders_and_archives_and_overwrites_nothing(tiny, tmp_path, capsys):
    call_command("export_model", "tiny:v1", str(tmp_path / "out"))
    call_command("export_model", "tiny", str(tmp_path / "out.zip"))
    assert zipfile.ZipFile(tmp_path / "out.zip").testzip() is None
    again = actions.import_folder(actor=None, name="again", path=tmp_path / "out").version
    assert {f["path"]: f["sha256"] for f in tiny.manifest["files"]}.items() <= {
        f["path"]: f["sha256"] for f in again.manifest["files"]
    }.items()
    for target in ("out", "out.zip"):
        with pytest.raises(CommandError, match="there already"):
            call_command("export_model", "tiny:v1", str(tmp_path / target))
    with pytest.raises(CommandError, match="no model version"):
        call_command("export_model", "nobody", str(tmp_path / "x"))


def test_what_is_damaged_or_elsewhere_is_not_exported(client, admin, tiny):
    far = actions.register_remote(actor=None, name="far", base_url="http://x/v1", model="m")
    with pytest.raises(Refusal, match="no files here"):
        exporting.entries(far)
    client.force_login(admin)
    assert client.get(reverse("version-export", args=["tiny", 1]), {"as": "rar"}).status_code == 400
