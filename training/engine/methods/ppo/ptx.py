"""PPO-ptx: texts that the policy keeps predicting while it learns from rewards (Ouyang et al. 2022, equation 2)."""

from collections.abc import Iterator
from functools import cached_property

import torch
from torch import Tensor

from models_registry.lm.chain import Loaded
from models_registry.lm.text import encode_documents

from ... import packing
from ...context import Context
from ...data import rows
from ...language import LONGEST, batched, watched
from ...loop import Shuffle
from ...messages import Message, Refused, _
from ...moving import room
from ...packing import Corpus, Text, Way
from .config import METHOD, Config

ENCODED_AT_ONCE = 512
NAME = "pretraining"  # of the input, and of its tokens in the cache


class Pretraining:
    """The texts of the input as pieces of tokens. Make it before the model is given its Tune. Refused where there is no text to learn from.

    Which pieces an optimizer step takes depends on (seed, number of the step) alone, so a resumed run goes on exactly.
    """

    def __init__(self, ctx: Context, loaded: Loaded) -> None:
        config: Config = ctx.config
        self._ctx, self._loaded = ctx, loaded
        limit = min(room(loaded, config.tune) or LONGEST, config.ptx_tokens)
        self._corpus = ctx.processes.main_first(lambda: self._opened(limit))
        if not len(self._corpus.lengths):
            raise Refused(Message("no-pretraining-texts", _("The pretraining texts have no training rows.")))
        self._pieces = Shuffle(len(self._corpus.lengths), config.ptx_batch, ctx.seed)

    def _opened(self, limit: int) -> Corpus:
        try:
            return Corpus.open(self._ctx.cache, NAME)
        except FileNotFoundError:
            return Corpus.build(self._ctx.cache, NAME, self._texts(self._loaded), limit)

    def _texts(self, loaded: Loaded) -> Iterator[Text]:
        watch = watched(self._ctx, Message("encoding", _("Turning the texts into tokens")))
        found = rows(self._ctx.inputs[NAME], METHOD.inputs[NAME].accepts, split="train", watch=watch)
        for some in batched(found, ENCODED_AT_ONCE):
            texts = [row.text for row in some]
            for ids, text in zip(encode_documents(loaded, texts), texts, strict=True):
                yield Text(ids, bytes=len(text.encode()))

    @cached_property
    def _way(self) -> Way:
        return packing.probe(self._loaded.model, int(self._corpus.lengths.max()))

    def backward(self, step: int) -> Tensor:
        """Add the gradients of ptx_coef times the mean loss over the texts of optimizer step `step` (from 1); of several processes each adds its
        share. Returns that mean, in nats a token, at temperature 1."""
        config: Config = self._ctx.config
        processes = self._ctx.processes
        pieces = self._pieces(step)[processes.share]
        at_once = config.micro_batch or config.ptx_batch
        parts = [
            packing.batch(self._corpus, pieces[begin : begin + at_once]) for begin in range(0, len(pieces), at_once)
        ]
        targets = sum(processes.every(lambda: sum(part.weight for part in parts)))
        total = torch.zeros((), device=self._ctx.device)
        for part in parts:
            with self._ctx.autocast():
                loss = packing.summed_loss(self._loaded.model, part, self._way) / targets
            (config.ptx_coef * loss).backward()
            total += loss.detach()
        processes.add_up([total])
        return total
