"""The joined model: which gradients reach what, and how the terms of the loss are scaled."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fsar_lab.config.compose import compose
from fsar_lab.data.fake import smooth_images
from fsar_lab.models.build import build_compressor
from fsar_lab.models.compressor import Compressor

SMALL = [
    "dataset=fake",
    "backbone=shallow_c32",
    "coder=gaussian_linear_ar",
    "backbone.width=8",
    "quantizer.dim=4",
    "quantizer.groups=2",
    "quantizer.codebook_size=16",
]
PARTS = ("analysis", "codebooks", "prior", "synthesis", "coder")


def make(*overrides: str) -> Compressor:
    torch.manual_seed(0)
    return build_compressor(compose([*SMALL, *overrides]))


def images(count: int = 4) -> Tensor:
    return smooth_images(count, 16, seed=1)


def reached(model: Compressor, loss: Tensor) -> set[str]:
    """Parts of the model to which a gradient of `loss` flows."""
    model.zero_grad(set_to_none=True)
    loss.backward(retain_graph=True)
    parameters = {
        "analysis": list(model.backbone.analysis.parameters()),
        "codebooks": [model.quantizer.codebooks],
        "prior": list(model.prior.parameters()),
        "synthesis": list(model.backbone.synthesis.parameters()),
        "coder": list(model.coder.parameters()),
    }
    return {
        part
        for part in PARTS
        if any(p.grad is not None and bool((p.grad != 0).any()) for p in parameters[part])
    }


@pytest.mark.parametrize(
    ("overrides", "pixels", "latents"),
    [
        ([], {"analysis", "synthesis", "coder"}, {"prior"}),
        (
            ["prior.detach_context=false"],
            {"analysis", "synthesis", "coder"},
            {"analysis", "codebooks", "prior"},
        ),
        (
            ["prior.detach_posterior=false"],
            {"analysis", "synthesis", "coder"},
            {"analysis", "codebooks", "prior"},
        ),
        (["coder=gaussian"], {"analysis", "synthesis"}, {"prior"}),
        (["quantizer=vqvae"], {"analysis", "synthesis", "coder"}, {"prior"}),
        (["prior=uniform"], {"analysis", "synthesis", "coder"}, None),
    ],
    ids=["default", "contexts", "rate_aware", "gaussian", "vqvae", "uniform"],  # sets have no fixed order
)
def test_gradients_reach_what_the_method_says(
    overrides: list[str], pixels: set[str], latents: set[str]
) -> None:
    model = make(*overrides)
    model.initialise(images())
    output = model(images())
    assert reached(model, output.pixel_nats.sum()) == pixels
    if latents is None:
        assert not output.latent_nats.requires_grad
    else:
        assert reached(model, output.latent_nats.sum()) == latents
    # Every trained number learns from the loss as a whole.
    assert reached(model, output.loss) == {
        p for p in PARTS if p in pixels | (latents or set()) | {"codebooks"}
    }


@pytest.mark.parametrize("quantizer", ["v2dvq", "vqvae"])
def test_latent_terms_are_divided_by_the_sub_pixels_of_an_image(quantizer: str) -> None:
    model = make(f"quantizer={quantizer}").eval()  # evaluation: an image's cost is its own
    x = images(3)
    whole = model(x)
    each = []
    for i in range(3):
        one = model(x[i : i + 1])
        sub_pixels = 3 * 16 * 16
        quantized = model.quantizer(one.y)
        nats = one.pixel_nats.sum() + one.latent_nats.sum() + quantized.loss
        each.append(nats / sub_pixels + quantized.loss_per_element)
        assert (quantized.loss > 0) == (quantizer == "v2dvq")
        assert (quantized.loss_per_element > 0) == (quantizer == "vqvae")
    torch.testing.assert_close(whole.loss, torch.stack(each).mean(), rtol=1e-5, atol=0)
    assert whole.pixel_nats.shape == (3, 3, 16, 16)
    assert whole.latent_nats.shape == whole.indices.shape == (3, 2, 8, 8)


def test_hard_codes_share_the_distortion() -> None:
    """METHOD 3, softvq-gapcontrol: distortion = share * soft + (1 - share) * hard, a second pass."""
    model, x = make("quantizer=softvq_gapcontrol", "prior=uniform"), images()
    for norm in model.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.eval()  # so that passes can be repeated
    model.on_step(700, 1000)
    torch.manual_seed(1)
    output = model(x)
    torch.manual_seed(1)
    quantized = model.quantizer(model.backbone.analysis(model.centred(x)))
    soft, hard = (
        model.coder.nats(model.backbone.synthesis(z), x).mean() for z in (quantized.vectors, quantized.hard)
    )
    assert quantized.soft_share == pytest.approx(0.5) and abs(soft - hard) > 1e-4
    latent = (output.latent_nats.sum() + quantized.loss) / x.numel()
    torch.testing.assert_close(output.loss, 0.5 * soft + 0.5 * hard + latent, rtol=1e-5, atol=0)
    torch.testing.assert_close(output.pixel_nats.mean(), soft, rtol=1e-5, atol=0)


def test_e_steps_leave_the_prior_out_and_m_steps_the_encoder() -> None:
    for step, silent in ((0, "prior"), (1, "analysis")):
        model = make("quantizer=v2dvq_em")
        model.initialise(images())
        model.on_step(step, 10)
        loss = model(images()).loss
        assert reached(model, loss) == {part for part in PARTS if part != silent}
        assert all(p.grad is not None for p in model.parameters())  # zeros: DDP waits for every one


def test_networks_see_images_between_minus_one_half_and_one_half() -> None:
    levels = torch.tensor([0, 51, 255], dtype=torch.uint8)
    torch.testing.assert_close(Compressor.centred(levels), torch.tensor([-0.5, -0.3, 0.5]))


@pytest.mark.parametrize("coder", ["gaussian", "gaussian_linear_ar"])
def test_a_fitted_start_is_cheaper_than_a_random_one(coder: str) -> None:
    model, x = make(f"coder={coder}"), images(32)
    before = model(x).pixel_nats.mean()
    model.initialise(x)
    assert model(x).pixel_nats.mean() < before - 0.5


def test_the_same_seed_gives_the_same_model() -> None:
    one, other = make().state_dict(), make().state_dict()
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
