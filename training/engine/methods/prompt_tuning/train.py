"""Prompt tuning: finetuning in which nothing moves but embeddings in front of the text. See methods/finetune/train.py."""

from ..finetune.train import run

__all__ = ["run"]
