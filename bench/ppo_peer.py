"""The peer's side of bench.ppo: TRL's PPOTrainer. Runs in the environment that bench.ppo makes; takes a Task as JSON."""

import os
import sys
import tempfile
from typing import Any

import torch
from torch import nn

from bench.peer import quiet
from bench.ppo_task import (
    ALPHA,
    ANSWER,
    EPISODES,
    EPOCHS,
    EPSILON,
    KL_COEF,
    PROMPT,
    RANK,
    SIZES,
    Meter,
    Size,
    Task,
    make_model,
    make_tokenizer,
    prompts,
    static_megabytes,
)


class Scripted(nn.Module):
    """The reward as the trainer wants it: a model whose score at an answer's last token is the share of wanted tokens."""

    base_model_prefix = "backbone"

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size
        self.backbone, self.score = self.so_far, nn.Identity()

    def so_far(self, input_ids: torch.Tensor, **_others: Any) -> Any:
        from transformers.modeling_outputs import BaseModelOutput

        wanted = (input_ids[:, PROMPT:] < self.size.wanted).float()
        share = wanted.cumsum(1) / torch.arange(1, wanted.shape[1] + 1)
        states = nn.functional.pad(share, (PROMPT, 0))[:, :, None]
        return BaseModelOutput(hidden_states=(states,))


def main() -> None:
    task = Task.read(sys.argv[1])
    torch.set_num_threads(task.threads)
    # The trainer takes no precision from its own settings; accelerate does from here.
    os.environ["ACCELERATE_MIXED_PRECISION"] = task.precision
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import LlamaForCausalLM, LlamaForSequenceClassification, TrainerCallback
    from trl.experimental.ppo import PPOConfig, PPOTrainer

    meter = Meter(task.warm)
    size = SIZES[task.size]

    class Watch(TrainerCallback):
        def on_step_end(self, *_args: object, **_others: object) -> None:
            meter.mark()

    with tempfile.TemporaryDirectory() as folder, quiet():
        arguments = PPOConfig(
            output_dir=folder,
            per_device_train_batch_size=task.at_once,
            gradient_accumulation_steps=max(1, EPISODES // task.minibatches // task.at_once) * task.minibatches,
            num_mini_batches=task.minibatches,
            total_episodes=EPISODES * task.updates,
            num_ppo_epochs=EPOCHS,
            local_rollout_forward_batch_size=task.at_once,
            response_length=ANSWER,
            temperature=1.0,
            kl_coef=KL_COEF,
            learning_rate=task.lr,
            lr_scheduler_type="constant",
            optim="adamw_torch_fused",
            adam_epsilon=EPSILON,
            seed=task.seed,
            num_sample_generations=0,
            gradient_checkpointing=False,
            bf16=False,
            use_cpu=True,
            report_to="none",
            save_strategy="no",
            logging_steps=1,
            disable_tqdm=True,
        )
        lora = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear", task_type="CAUSAL_LM")
        policy = make_model(size, kind=LlamaForCausalLM)
        tokenizer = make_tokenizer(size)
        tokenizer.eos_token = tokenizer.pad_token  # the trainer looks for one in the answers
        trainer = PPOTrainer(
            args=arguments,
            processing_class=tokenizer,
            model=policy,
            ref_model=None,
            reward_model=Scripted(size),
            value_model=make_model(size, kind=LlamaForSequenceClassification, num_labels=1),
            train_dataset=Dataset.from_dict({"input_ids": prompts(size, 8 * EPISODES)}),
            callbacks=[Watch()],
            peft_config=lora if task.tune == "lora" else None,
        )
        trainer.train()
    told = [entry for entry in trainer.state.log_history if "objective/scores" in entry]
    models = [trainer.model, trainer.ref_model] if trainer.ref_model is not None else [trainer.model]
    weights = [tensor for model in models for tensor in [*model.parameters(), *model.buffers()]]
    meter.report(
        static=static_megabytes(weights, trainer.optimizer),
        reward=[entry["objective/scores"] for entry in told],
        kl=[entry["objective/kl"] for entry in told],
    )


if __name__ == "__main__":
    main()
