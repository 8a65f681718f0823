from __future__ import annotations

import fsar_lab._torchvision_guard  # noqa: F401  isort: skip

import itertools
from types import SimpleNamespace

import lightning
import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from fsar_lab.callbacks.averaging import Averaging
from fsar_lab.config.compose import compose
from fsar_lab.config.schema import AdamConfig, AdamWConfig, ConstantConfig, WarmupCosineConfig
from fsar_lab.lit import Lit
from fsar_lab.optim import adam, adamw, constant, ema_update, warmup_cosine

STEPS, PEAK = 200, 0.5


def rates(schedule: object, config: object) -> list[float]:
    """Learning rate of every step."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(()))], PEAK)
    scheduler = schedule(config, optimizer, STEPS)  # type: ignore[operator]
    seen = []
    for _ in range(STEPS):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return [*seen, optimizer.param_groups[0]["lr"]]


@pytest.mark.parametrize("others", [[], ["backbone=none", "quantizer=none", "prior=none"]])
def test_a_coder_that_has_learned_already_learns_slower(others: list[str]) -> None:
    """By its share of the learning rate, through the whole schedule; the other parts do not."""
    lit = Lit(compose(["dataset=fake", *others]), STEPS)
    configured = lit.configure_optimizers()
    optimizer, scheduler = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
    *rest, coder = optimizer.param_groups
    assert {id(weight) for weight in coder["params"]} == {
        id(weight) for weight in lit.model.coder.parameters()
    }
    assert len(rest) == (0 if others else 1)
    for _ in range(STEPS // 2):
        assert all(coder["lr"] == pytest.approx(0.1 * group["lr"]) for group in rest)
        optimizer.step()
        scheduler.step()
    assert 0 < coder["lr"] < 0.1 * lit.config.optimizer.lr
    (together,) = Lit(compose(["coder.lr_share=1"]), STEPS).configure_optimizers()["optimizer"].param_groups
    assert len(together["params"]) == len(list(Lit(compose([]), STEPS).model.parameters()))


def test_constant() -> None:
    assert set(rates(constant, ConstantConfig())) == {PEAK}


def test_warmup_then_cosine_down_to_the_final_share() -> None:
    lr = rates(warmup_cosine, WarmupCosineConfig(warmup=0.1, final=0.05))
    warm = lr[:20]
    assert warm == pytest.approx([PEAK * (i + 1) / 20 for i in range(20)])  # linear, and never zero
    assert lr[20] == pytest.approx(PEAK)
    assert all(a > b for a, b in itertools.pairwise(lr[20:]))
    assert lr[110] == pytest.approx(PEAK * (0.05 + 1) / 2)  # half way down in the middle
    assert lr[STEPS] == pytest.approx(PEAK * 0.05)


def test_short_trainings_have_a_schedule_too() -> None:
    global_steps = 3
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(()))], PEAK)
    scheduler = warmup_cosine(WarmupCosineConfig(), optimizer, global_steps)
    seen = []
    for _ in range(global_steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert all(0 < rate <= PEAK for rate in seen)


def test_optimizers_take_their_settings() -> None:
    weights = [nn.Parameter(torch.ones(2))]
    plain = adam(AdamConfig(lr=0.1, betas=[0.8, 0.9], weight_decay=0.2), weights)
    decoupled = adamw(AdamWConfig(lr=0.3, betas=[0.7, 0.95], weight_decay=0.4), weights)
    for optimizer, kind, expected in (
        (plain, torch.optim.Adam, (0.1, (0.8, 0.9), 0.2)),
        (decoupled, torch.optim.AdamW, (0.3, (0.7, 0.95), 0.4)),
    ):
        assert type(optimizer) is kind
        group = optimizer.param_groups[0]
        assert (group["lr"], group["betas"], group["weight_decay"]) == expected


def test_the_average_follows_its_formula_and_copies_integers() -> None:
    decay = 0.6
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    averaged = AveragedModel(model, multi_avg_fn=ema_update(decay), use_buffers=True)
    generator = torch.Generator().manual_seed(0)
    expected: dict[str, torch.Tensor] = {}
    for update in range(12):
        with torch.no_grad():
            for tensor in (*model.parameters(), *model.buffers()):
                if tensor.is_floating_point():
                    tensor.copy_(torch.randn(tensor.shape, generator=generator))
                else:
                    tensor.fill_(update)
        averaged.update_parameters(model)
        past = min(decay, (1 + update) / (10 + update))
        for name, value in model.state_dict().items():
            if update == 0 or not value.is_floating_point():
                expected[name] = value.clone()
            else:
                expected[name] = past * expected[name] + (1 - past) * value
    found = averaged.module.state_dict()
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-6)
    assert found["1.num_batches_tracked"] == 11


def test_the_average_is_where_the_training_is() -> None:
    """Lightning asks for it before the module is on its device; the count stays on the host."""
    averaging, module = Averaging(0.9), lightning.LightningModule()
    module.weight = nn.Parameter(torch.ones(3))
    trainer = SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device("meta")))
    averaging.setup(trainer, module, "fit")  # type: ignore[arg-type]
    average = averaging._average_model
    assert average is not None
    assert [p.device.type for p in average.parameters()] == ["meta"]
    assert average.n_averaged.device.type == "cpu"
