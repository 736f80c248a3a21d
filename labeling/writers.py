"""Who writes the outputs of a sampling: a model that is loaded here, in the worker, or the server of a remote version."""

import gc
import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from labeling.models import Prompt
from models_registry import serving_client
from models_registry.models import Kind, Version
from models_registry.queries import folders
from people.errors import Refusal

if TYPE_CHECKING:
    from models_registry.lm.chain import Loaded

AT_ONCE = 4  # requests to a remote server, which then computes them together


@dataclass(frozen=True)
class Written:
    text: str
    finish_reason: str
    score: float | None = None  # where a reward model chose it


class Local:
    """A version's own weights; loaded when there is first something to write."""

    def __init__(self, version: Version) -> None:
        self.version = version
        self.loaded: Loaded | None = None

    def fits(self, prompt: Prompt) -> bool:
        """Whether the prompt leaves room in the model's context."""
        from models_registry.lm.text import encode_prompt

        loaded = self._model()
        try:
            length = len(encode_prompt(loaded, prompt.content))
        except ValueError as error:
            raise Refusal(
                _("%(version)s cannot read prompt %(prompt)s: %(error)s")
                % {"version": self.version, "prompt": prompt.external_id or prompt.pk, "error": error}
            ) from None
        return loaded.context_length is None or length < loaded.context_length

    def write(
        self, prompts: dict[int, Prompt], places: dict[int, int], samples: int, seed: int, **sampling
    ) -> dict[int, list[Written]]:
        """`samples` outputs of each prompt, by its pk. `places`: the prompts' places in the project, which with `seed` decide what is drawn."""
        from models_registry.lm.generate import generate

        outputs: dict[int, list[Written]] = {}
        for run in _runs(places):
            written = generate(
                self._model(),
                [prompts[pk].content for pk in run],
                seed=seed,
                samples=samples,
                first_index=places[run[0]],
                **sampling,
            )
            for number, pk in enumerate(run):
                mine = written[number * samples : (number + 1) * samples]
                outputs[pk] = [Written(one.text, one.finish_reason) for one in mine]
        return outputs

    def _model(self) -> "Loaded":
        if self.loaded is None:
            import torch

            from models_registry.lm.chain import load

            device = "cuda" if torch.cuda.is_available() else "cpu"
            self.loaded = load(folders(self.version), device=device)
        return self.loaded

    def close(self) -> None:
        """Let go of the model before the next one is loaded."""
        self.loaded = None
        gc.collect()


class Remote:
    """A remote version: its server knows its own limits and draws with the seed as well as it can."""

    def __init__(self, version: Version) -> None:
        self.version = version

    def fits(self, prompt: Prompt) -> bool:
        return True

    def write(
        self, prompts: dict[int, Prompt], places: dict[int, int], samples: int, seed: int, **sampling
    ) -> dict[int, list[Written]]:
        asked = [(pk, sample) for pk in places for sample in range(samples)]

        def ask(key: tuple[int, int]) -> Written:
            pk, sample = key
            drawn = int(hashlib.sha256(f"{seed} {places[pk]} {sample}".encode()).hexdigest()[:8], 16) >> 1
            return self._ask(prompts[pk], drawn, sampling)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            written = dict(zip(asked, pool.map(ask, asked), strict=True))
        return {pk: [written[pk, sample] for sample in range(samples)] for pk in places}

    def _ask(self, prompt: Prompt, seed: int, sampling: dict) -> Written:
        pieces = list(serving_client.stream(self.version, prompt.content, seed=seed, **sampling))
        return Written("".join(piece.text for piece in pieces), pieces[-1].finish or "stop")

    def close(self) -> None:
        pass


def writer_of(version: Version) -> Local | Remote:
    return Remote(version) if version.kind == Kind.REMOTE else Local(version)


def _runs(places: dict[int, int]) -> Iterator[list[int]]:
    """The prompts in stretches whose places follow each other: `generate` numbers its prompts from the first one on."""
    run: list[int] = []
    for pk in sorted(places, key=places.__getitem__):
        if run and places[pk] != places[run[-1]] + 1:
            yield run
            run = []
        run.append(pk)
    if run:
        yield run
