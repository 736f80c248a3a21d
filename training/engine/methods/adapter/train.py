"""Adapters: finetuning with a base that stays as it is. See methods/finetune/train.py."""

from ..finetune.train import run

__all__ = ["run"]
