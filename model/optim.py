"""What moves the weights, and how far at each step."""

import math
from collections.abc import Sequence

import torch
from torch import nn

from model.config import TrainConfig
from model.gpt import GPT


def learning_rate_factor(config: TrainConfig, step: int) -> float:
    """The learning rate of `step` (counted from 0) over its peak."""
    if step < config.warmup_iters:
        return (step + 1) / config.warmup_iters
    rest = max(1, config.max_iters - config.warmup_iters)
    done = (step - config.warmup_iters) / rest  # 0 to 1
    match config.schedule:
        case "constant":
            return 1.0
        case "linear":
            fall = done
        case "cosine":
            fall = (1 - math.cos(math.pi * done)) / 2
        case "wsd":  # warm-up, stable, decay (Hu et al. 2024, MiniCPM)
            fall = max(0.0, 1 - (1 - done) / config.decay_fraction)
    return 1 - fall * (1 - config.final_lr_ratio)


def build_optimizers(model: nn.Module, config: TrainConfig) -> Sequence[torch.optim.Optimizer]:
    """AdamW for all parameters; with Muon, that takes the matrices inside the blocks instead.

    Muon (Jordan et al. 2024) orthogonalises each matrix's momentum before stepping along it.
    """
    matrices = []
    if config.optimizer == "muon" and isinstance(model, GPT):
        matrices = [m.weight for m in model.blocks.modules() if isinstance(m, nn.Linear)]
    rest = [p for p in model.parameters() if all(p is not matrix for matrix in matrices)]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(
            rest,
            lr=config.learning_rate,
            betas=(config.beta1, config.beta2),
            weight_decay=config.weight_decay,
            fused=True,
        )
    ]
    if matrices:
        optimizers.append(
            torch.optim.Muon(
                matrices, lr=config.muon_learning_rate, weight_decay=config.weight_decay
            )
        )
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak_lr"] = group["lr"]
    return optimizers


def set_learning_rate(optimizers: Sequence[torch.optim.Optimizer], factor: float) -> None:
    """Give every group `factor` times its peak learning rate."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["peak_lr"] * factor
