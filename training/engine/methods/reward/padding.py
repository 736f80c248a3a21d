"""What is said of a base without a pad token, by the form before the run and by the run. Light: loads no torch."""

from ...messages import Message, _


def becomes_padding(token: str | None) -> Message:
    """Which token it gets for it."""
    if token is not None:
        text = _("The base has no pad token. %(token)s becomes it in what is saved, so that other programs score several texts at once.")  # fmt: skip
        return Message("pad-token-set", text, {"token": token})
    text = _("The base has no pad token, and of its special tokens EOS alone could be one, which ends every text: none is set. Here nothing needs one; transformers by itself scores one text at a time.")  # fmt: skip
    return Message("pad-token-none", text)


def nothing_pads() -> Message:
    """Why it is refused."""
    text = _("The model's tokenizer has no pad token and no other special token that could be one (unknown, BOS, EOS), so no program could score several texts with the reward model at once. Give it a pad token.")  # fmt: skip
    return Message("no-pad-token", text)
