"""How well a language model foretells texts: nats, tokens and bytes of each.

The same pieces as in training (packing.Corpus): every token but the first is foretold; what is longer than the context goes on in pieces, a
completion that does not fit loses its end.
"""

from collections.abc import Sequence
from typing import Any

import torch

from models_registry.lm.chain import Loaded
from models_registry.lm.generate import positions
from models_registry.lm.score import padded, token_logprobs
from models_registry.lm.text import encode_completions, encode_documents, encode_pairs, encode_prompt

from ..data import SftRow, as_prompt
from ..messages import Message, _
from ..packing import Text
from .figures import Options

LOGITS = 1 << 26  # numbers of logits in one forward pass, at most
Piece = tuple[Sequence[int], int]  # tokens, of which the first `prompt` are given and the others foretold


class Judge:
    """rows → {"nats", "tokens", "bytes"}; tokens 0 where nothing of a row could be foretold."""

    def __init__(self, loaded: Loaded, options: Options) -> None:
        self.loaded, self.options = loaded, options
        self.cut = self.left_out = 0

    def __call__(self, rows: Sequence[Any]) -> list[dict[str, Any]]:
        texts = self._texts(rows)
        limit = self.loaded.context_length or 4096
        pieces: list[Piece] = []
        owner: list[int] = []
        for number, text in enumerate(texts):
            found = pieces_of(text, limit)
            self.left_out += not found
            self.cut += bool(found) and not text.splits and len(text.ids) - 1 > limit
            pieces += found
            owner += [number] * len(found)
        nats = [0.0] * len(rows)
        tokens = [0] * len(rows)
        for number, (ids, prompt), value in zip(
            owner, pieces, nats_of(self.loaded, pieces, self.options), strict=True
        ):
            nats[number] += value
            tokens[number] += len(ids) - prompt
        return [
            {"nats": nats[i], "tokens": tokens[i], "bytes": text.bytes if tokens[i] else 0}
            for i, text in enumerate(texts)
        ]

    def _texts(self, rows: Sequence[Any]) -> list[Text]:
        loaded = self.loaded
        if isinstance(rows[0], SftRow):
            pairs = [(as_prompt(row.prompt), as_prompt(row.completion)) for row in rows]
            return [
                Text([*prompt, *answer], prompt=len(prompt), bytes=size_of(completion), splits=False)
                for (_prompt, completion), (prompt, answer) in zip(pairs, encode_pairs(loaded, pairs), strict=True)
            ]
        texts = [row.text for row in rows]
        if loaded.hard_prompt is None:
            documents = encode_documents(loaded, texts)
            return [Text(ids, bytes=len(text.encode())) for ids, text in zip(documents, texts, strict=True)]
        # A hard prompt stands in front of whole texts as it stands in front of an answer to nothing.
        start = encode_prompt(loaded, "")
        return [
            Text([*start, *ids], prompt=len(start), bytes=len(text.encode()))
            for ids, text in zip(encode_completions(loaded, texts), texts, strict=True)
        ]

    def notes(self) -> list[Message]:
        found = []
        if self.cut:
            text = _("%(number)s rows are longer than the model's context; what lies beyond is not judged.")
            found.append(Message("rows-cut-judged", text, {"number": self.cut}))
        if self.left_out:
            text = _("%(number)s rows are left out: they are empty, or their prompt alone fills the model's context.")
            found.append(Message("rows-left-out", text, {"number": self.left_out}))
        return found

    def extra(self, _examples: list[dict[str, Any]]) -> dict[str, Any]:
        return {}


def size_of(part: str | list[dict[str, str]]) -> int:
    """UTF-8 bytes of a text, or of the content of messages."""
    return len((part if isinstance(part, str) else "".join(message["content"] for message in part)).encode())


def pieces_of(text: Text, limit: int) -> list[Piece]:
    """Runs of tokens of which the model reads at most `limit`, the last one of each only foretold. Empty if nothing can be foretold."""
    ids = text.ids
    if not text.splits:
        whole = ids[: limit + 1]
        return [(whole, text.prompt)] if len(whole) > text.prompt else []
    prompt = ids[: text.prompt]
    if text.prompt > 1:
        # The prompt stands before every piece: without it the text would not be what is asked about.
        room = limit + 1 - text.prompt
        return (
            [([*prompt, *ids[begin : begin + room]], text.prompt) for begin in range(text.prompt, len(ids), room)]
            if room > 0
            else []
        )
    return [(ids[begin : begin + limit + 1], 1) for begin in range(0, len(ids) - 1, limit)]


@torch.inference_mode()
def nats_of(loaded: Loaded, pieces: Sequence[Piece], options: Options) -> list[float]:
    """Summed negative log-likelihood in nats of what is foretold of each piece; 0 where nothing is."""
    found = [0.0] * len(pieces)
    told = [i for i, (ids, prompt) in enumerate(pieces) if len(ids) > prompt]
    for batch in batches([len(pieces[i][0]) for i in told], loaded, options.batch_size):
        places = [told[i] for i in batch]
        some = [pieces[i] for i in places]
        both = padded([ids[:prompt] for ids, prompt in some], [ids[prompt:] for ids, prompt in some], loaded.device)
        # The last column is foretold and not read: it may lie beyond the model's positions.
        mask = both.mask[:, :-1]
        logits = loaded.model(
            input_ids=both.ids[:, :-1],
            attention_mask=mask,
            position_ids=positions(mask),
            use_cache=False,
            logits_to_keep=both.completion_length,
        ).logits
        targets = both.ids[:, -both.completion_length :]
        values = token_logprobs(logits, targets) * both.completion_mask
        for i, value in zip(places, values.double().sum(1).tolist(), strict=True):
            found[i] = -value
    return found


def batches(lengths: Sequence[int], loaded: Loaded, most: int) -> list[list[int]]:
    """Places 0..n−1 in batches of like length, as many at once as their logits have room."""
    order = sorted(range(len(lengths)), key=lambda i: lengths[i])
    vocabulary = loaded.model.config.get_text_config().vocab_size
    found: list[list[int]] = []
    for place in order:
        fits = found and len(found[-1]) < most and (len(found[-1]) + 1) * lengths[place] * vocabulary <= LOGITS
        if fits:
            found[-1].append(place)
        else:
            found.append([place])
    return found
