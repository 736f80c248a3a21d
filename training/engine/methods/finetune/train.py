"""Finetuning: prompts with completions (the loss on the completions only), or whole texts. All weights, or an adapter."""

from collections.abc import Iterator, Sequence

import numpy as np

from models_registry.lm import chain
from models_registry.lm.text import encode_documents, encode_pairs

from ... import language, loop
from ...context import Context
from ...data import SftRow, TextRow, as_prompt
from ...moving import room
from ...packing import Corpus, Text
from .config import Config


def run(ctx: Context) -> None:
    config: Config = ctx.config
    loaded = chain.load(ctx.inputs["base"], device=ctx.device)
    length = room(loaded, config.tune) or language.LONGEST
    if config.max_length:
        length = min(length, config.max_length - 1)  # of a text, the last token is only predicted and not read

    def encode(rows: Sequence[SftRow | TextRow]) -> Iterator[Text]:
        texts = [row.text for row in rows if isinstance(row, TextRow)]
        if texts:
            for ids, text in zip(encode_documents(loaded, texts), texts, strict=True):
                yield Text(ids, bytes=len(text.encode()))
            return
        pairs = [(as_prompt(row.prompt), as_prompt(row.completion)) for row in rows if isinstance(row, SftRow)]
        for (prompt, answer), (prompt_ids, answer_ids) in zip(pairs, encode_pairs(loaded, pairs), strict=True):
            parts = (prompt, answer) if config.learn_prompts else (answer,)
            yield Text(
                [*prompt_ids, *answer_ids],
                prompt=1 if config.learn_prompts else len(prompt_ids),
                bytes=sum(map(_size, parts)),
                splits=False,
            )

    corpus, heldout = language.corpora(ctx, ("sft", "text"), encode, length)
    at_once = config.micro_batch or config.batch_size

    def parts(_some: Corpus, pieces: np.ndarray) -> list[np.ndarray]:
        """As many examples as go through the model at once."""
        return [pieces[begin : begin + at_once] for begin in range(0, len(pieces), at_once)]

    language.train(
        ctx,
        loaded,
        corpus,
        heldout,
        steps=loop.updates(config, len(corpus.lengths)),
        pieces_of=loop.Shuffle(len(corpus.lengths), config.batch_size, ctx.seed),
        parts=parts,
    )


def _size(part: str | list[dict[str, str]]) -> int:
    """UTF-8 bytes of a prompt or a completion."""
    return len((part if isinstance(part, str) else "".join(message["content"] for message in part)).encode())
