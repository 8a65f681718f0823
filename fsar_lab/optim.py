"""Optimizers, learning-rate schedules and the weight average."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.optimizer import ParamsT

from fsar_lab.config.schema import AdamConfig, AdamWConfig, ConstantConfig, WarmupCosineConfig


def adam(config: AdamConfig, parameters: ParamsT) -> torch.optim.Optimizer:
    """torch.optim.Adam over `parameters`, or groups of them."""
    betas = (config.betas[0], config.betas[1])
    return torch.optim.Adam(parameters, config.lr, betas, weight_decay=config.weight_decay, fused=True)


def adamw(config: AdamWConfig, parameters: ParamsT) -> torch.optim.Optimizer:
    """torch.optim.AdamW over `parameters`, or groups of them."""
    betas = (config.betas[0], config.betas[1])
    return torch.optim.AdamW(parameters, config.lr, betas, weight_decay=config.weight_decay, fused=True)


def constant(config: ConstantConfig, optimizer: torch.optim.Optimizer, steps: int) -> LambdaLR:
    """The same learning rate throughout."""
    del config, steps
    return LambdaLR(optimizer, lambda step: 1.0)


def warmup_cosine(config: WarmupCosineConfig, optimizer: torch.optim.Optimizer, steps: int) -> LambdaLR:
    """Linear warm-up over `warmup * steps`, then a half cosine down to `final` of the peak at `steps`."""
    warmup = max(1, round(config.warmup * steps))

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        done = min(1.0, (step - warmup) / max(1, steps - warmup))
        return config.final + (1 - config.final) * 0.5 * (1 + math.cos(math.pi * done))

    return LambdaLR(optimizer, factor)


def ema_update(decay: float) -> Any:
    """Update of an exponential moving average that forgets its start quickly.

    After n updates the weight of the past is min(decay, (1 + n) / (10 + n)), so that short trainings
    are averaged over their own end and not over their beginning. For `torch.optim.swa_utils.AveragedModel`
    (`multi_avg_fn`): tensors in, updated in place, no host synchronisation.
    """

    def update(averaged: list[Tensor], current: list[Tensor], count: Tensor) -> None:
        # AveragedModel calls this once for each dtype; batch-norm counters are integers.
        past = torch.clamp((1.0 + count) / (10.0 + count), max=decay)
        if not averaged[0].is_floating_point():
            torch._foreach_copy_(averaged, current)
        elif past.is_cuda:  # a tensor as weight: the host need not wait for the count
            for mean, value in zip(averaged, current, strict=True):
                mean.lerp_(value, (1.0 - past).to(mean))
        else:
            torch._foreach_lerp_(averaged, current, float(1.0 - past))

    return update
