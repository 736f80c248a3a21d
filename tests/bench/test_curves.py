"""The picture of runs' curves for the docs: a line for each run, in colours that read on either ground."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.curves import CURVES, picture

pytestmark = pytest.mark.slow  # starts what draws
WHITE, NIGHT = "#ffffff", "#0d1117"


def told(folder: Path, *names: str, slope: float = 1.0) -> Path:
    folder.mkdir()
    events = ({"t": step, "step": step, **dict.fromkeys(names, slope * step)} for step in range(1, 41))
    (folder / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    return folder


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, of two colours like #1c6a52."""

    def luminance(colour: str) -> float:
        parts = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_each_run_has_its_line_in_each_curve_and_its_name(tmp_path):
    runs = [told(tmp_path / "a", "reward", "kl", "episodes"), told(tmp_path / "b", "reward", slope=2.0)]
    svg = picture(runs, ["good", "3 < 4 & 'it'"], CURVES)
    lines = re.findall(r'<path aria-label="[^"]*" [^>]*stroke="var\(--run-(\d)\)"', svg)
    assert sorted(lines) == ["1", "1", "2"]  # the second run has told no KL
    for text in ("Reward", "KL to reference", ">good<", "3 &lt; 4 &amp; 'it'"):
        assert text in svg
    assert "Entropy" not in svg
    assert re.match(r'<svg [^>]*width="\d+" height="\d+"[^>]*viewBox="0 0 \d+ \d+"', svg)


def test_its_colours_read_on_light_and_on_dark_ground(tmp_path):
    runs = [told(tmp_path / name, "reward") for name in "abcdefgh"]
    svg = picture(runs, list("abcdefgh"), ["reward"])
    used = set(re.findall(r"var\((--[\w-]+)\)", svg))
    assert {f"--run-{number}" for number in range(1, 9)} < used
    light, dark = re.search(r"<style>svg\{(.*?)\}@media\(prefers-color-scheme:dark\)\{svg\{(.*?)\}\}", svg).groups()
    for ground, style in ((WHITE, light), (NIGHT, dark)):
        colours = dict(re.findall(r"(--[\w-]+):(#\w{6});", style))
        assert colours.keys() == used
        assert contrast(colours.pop("--faint"), ground) >= 4.5  # letters
        colours.pop("--line")  # the grid
        assert min(contrast(colour, ground) for colour in colours.values()) >= 3


def test_the_command_writes_a_file_and_says_what_is_wrong(tmp_path):
    run = told(tmp_path / "run", "loss")

    def command(*more: str) -> subprocess.CompletedProcess:
        words = [sys.executable, "-m", "bench.curves", str(run), "--out", str(tmp_path / "out.svg"), *more]
        return subprocess.run(words, capture_output=True, text=True, check=False)

    wrong = command()
    assert wrong.returncode == 1
    assert f"{run} has told none of the curves reward, kl" in wrong.stderr
    assert command("--curve", "loss", "--name", "a", "b").returncode == 2
    assert command("--curve", "loss").returncode == 0
    assert (tmp_path / "out.svg").read_text().startswith("<svg ")
