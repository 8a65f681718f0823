"""The static prior, entmax and the prior with a learned number of states."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from fsar_lab.config.compose import compose
from fsar_lab.config.schema import CatReduceConfig, CodeFreqConfig, STHQConfig, VQVAEConfig
from fsar_lab.data.fake import smooth_images
from fsar_lab.models.build import build_compressor
from fsar_lab.models.priors.catreduce import DROPPED, CatReduce
from fsar_lab.models.priors.code_freq import CodeFreq
from fsar_lab.models.priors.entmax import entmax
from fsar_lab.models.quantizers.base import Quantized
from fsar_lab.models.quantizers.sthq import STHQ
from fsar_lab.models.quantizers.vqvae import VQVAE

GROUPS, K, D = 2, 6, 3


def quantized(indices: Tensor, selection: Tensor | None = None) -> Quantized:
    n, groups, h, w = indices.shape
    zero = torch.zeros(())
    samples = torch.zeros(n, groups, D, h, w, dtype=torch.float64)
    return Quantized(indices, samples.flatten(1, 2), samples, selection, zero, zero)


@pytest.mark.parametrize("detach", [True, False])
def test_static_costs_are_the_cross_entropy_and_learn_the_frequencies(detach: bool) -> None:
    torch.manual_seed(0)
    prior = CodeFreq(CodeFreqConfig(detach_posterior=detach), GROUPS, K, D)
    indices = torch.multinomial(torch.rand(GROUPS, K), 40, replacement=True).view(GROUPS, 2, 4, 5)
    indices = indices.transpose(0, 1)
    selection = torch.softmax(torch.randn(GROUPS, 40, K), -1).requires_grad_()
    with torch.no_grad():
        prior.logits.normal_()
    found = prior.nats(quantized(indices, selection), torch.empty(0))
    p = torch.softmax(prior.logits, -1)
    for group in range(GROUPS):
        torch.testing.assert_close(found[:, group], -p[group][indices[:, group]].log())
    frequencies = torch.stack([torch.bincount(g.flatten(), minlength=K) for g in indices.unbind(1)]) / 40
    to_logits, to_selection = torch.autograd.grad(found.sum(), [prior.logits, selection], allow_unused=True)
    torch.testing.assert_close(to_logits, 40 * (p - frequencies))  # zero at the frequencies
    if detach:
        assert to_selection is None
    else:
        torch.testing.assert_close(to_selection, -p.log().unsqueeze(1).expand_as(selection))


def entmax_by_bisection(theta: Tensor, alpha: float) -> Tensor:
    """The definition, METHOD 5."""
    low, high = (alpha - 1) * theta.max() - 1, (alpha - 1) * theta.max()
    for _ in range(200):
        tau = (low + high) / 2
        total = ((alpha - 1) * theta - tau).clamp_min(0).pow(1 / (alpha - 1)).sum()
        low, high = (tau, high) if total > 1 else (low, tau)
    return ((alpha - 1) * theta - low).clamp_min(0).pow(1 / (alpha - 1))


@pytest.mark.parametrize("alpha", [1.05, 1.4, 1.5, 1.8, 2.0])
@pytest.mark.parametrize("spread", [0.05, 1.0, 30.0])
def test_entmax(alpha: float, spread: float) -> None:
    torch.manual_seed(3)
    theta = (torch.randn(50, dtype=torch.float64) * spread).requires_grad_()
    given = torch.tensor(alpha, dtype=torch.float64, requires_grad=True)
    weights = entmax(theta, given)
    torch.testing.assert_close(weights, entmax_by_bisection(theta.detach(), alpha), rtol=1e-9, atol=1e-12)
    assert float(weights.detach().sum()) == pytest.approx(1)
    upwards = torch.rand(50, dtype=torch.float64)
    to_theta, to_alpha = torch.autograd.grad((weights * upwards).sum(), [theta, given])
    step = 1e-6
    for k in (int(theta.argmax()), int(theta.argmin()), 7):
        shift = torch.zeros(50, dtype=torch.float64)
        shift[k] = step
        ahead, behind = (entmax_by_bisection(theta.detach() + s, alpha) for s in (shift, -shift))
        slope = float(((ahead - behind) * upwards).sum()) / (2 * step)
        assert float(to_theta[k]) == pytest.approx(slope, rel=1e-3, abs=1e-6)
    if alpha < 2:
        ahead, behind = (entmax_by_bisection(theta.detach(), alpha + s) for s in (step, -step))
        slope = float(((ahead - behind) * upwards).sum()) / (2 * step)
        assert float(to_alpha) == pytest.approx(slope, rel=1e-3, abs=1e-6)


def reducing(mode: str = "fixed", dropped: int = 2) -> CatReduce:
    """A prior that drops the last `dropped` codes."""
    torch.manual_seed(1)
    config = CatReduceConfig(alpha_mode=mode, detach_posterior=False, detach_context=True)
    prior = CatReduce(config, GROUPS, K, D).double()
    with torch.no_grad():
        prior.theta.copy_(torch.tensor([0.3, -0.2, 0.1, 0.0, 0.2, -0.1]))
        prior.theta[K - dropped :] = -50.0
    return prior


def test_probabilities_are_those_of_the_kept_states() -> None:
    prior = reducing()
    weights = entmax(prior.theta, prior.alpha())
    assert prior.kept().tolist() == [0, 1, 2, 3] and float(weights[-2:].detach().abs().sum()) == 0
    logits = torch.randn(9, K, dtype=torch.float64)
    p = torch.softmax(logits, -1)
    expected = p * weights / (p * weights).sum(-1, keepdim=True)
    torch.testing.assert_close(prior.log_probabilities(logits).exp(), expected)
    log_weights = prior.log_weights()
    assert log_weights.shape == (GROUPS, K)
    torch.testing.assert_close(log_weights[:, :4], weights[:4].log().expand(GROUPS, 4))
    assert (log_weights[:, 4:] == DROPPED).all()


def test_gradient_reaches_theta_from_prior_and_posterior_and_is_finite() -> None:
    prior = reducing("trained")
    indices = torch.randint(0, 4, (2, GROUPS, 3, 3))
    codebooks = torch.randn(GROUPS, K, D, dtype=torch.float64)
    weighted = torch.randn(GROUPS, 18, K, dtype=torch.float64) + prior.log_weights().unsqueeze(1)
    selection = torch.softmax(weighted, -1)
    nats = prior.nats(quantized(indices, selection), codebooks)
    parameters = [prior.theta, prior.alpha_logit]
    both = torch.autograd.grad(nats.sum(), parameters, retain_graph=True)
    alone = torch.autograd.grad(prior.nats(quantized(indices), codebooks).sum(), parameters)
    for one, other in zip(both, alone, strict=True):
        assert torch.isfinite(one).all() and one.abs().max() > 0
        assert other.abs().max() > 0 and not torch.equal(one, other)
    assert both[0][4:].tolist() == [0, 0], "nothing brings a dropped state back"


@pytest.mark.parametrize(("mode", "start", "end"), [("fixed", 1.5, 1.5), ("annealed", 1.1, 1.4875)])
def test_alpha(mode: str, start: float, end: float) -> None:
    prior = reducing(mode)
    assert float(prior.alpha()) == pytest.approx(start)
    prior.on_step(99, 100)
    assert float(prior.alpha()) == pytest.approx(end)  # five half-lives: 1.5 - 0.4 / 32
    trained = reducing("trained")
    with torch.no_grad():
        trained.alpha_logit.fill_(math.log(3))
    assert float(trained.alpha().detach()) == pytest.approx(1.1 + 0.75 * 0.4)


@pytest.mark.parametrize("kind", ["sthq", "vqvae"])
@pytest.mark.parametrize("training", [True, False])
def test_the_choice_is_the_weighted_one_and_never_a_dropped_state(kind: str, training: bool) -> None:
    torch.manual_seed(2)
    sizes = {"groups": GROUPS, "codebook_size": K, "dim": D}
    quantizer: STHQ | VQVAE
    quantizer = STHQ(STHQConfig(**sizes)) if kind == "sthq" else VQVAE(VQVAEConfig(**sizes))
    quantizer.double().train(training)
    prior = reducing()
    with torch.no_grad():
        quantizer.codebooks.normal_()
    y = torch.randn(3, GROUPS * D, 4, 5, dtype=torch.float64) * 3
    found = quantizer(y, log_weights=prior.log_weights()).indices
    distances = (quantizer.rows(y).unsqueeze(2) - quantizer.codebooks.unsqueeze(1)).square().sum(-1)
    weights = entmax(prior.theta, prior.alpha())
    expected = (torch.softmax(-distances / 2, -1) * weights).argmax(-1)
    assert torch.equal(found, quantizer.index_images(expected, y))
    assert int(found.max()) < 4
    plain = quantizer(y).indices
    assert not torch.equal(plain.clamp_max(3), found), "the weights, not only the mask, decide"


def test_a_whole_model_learns_its_number_of_states() -> None:
    """The weights of codes that are not used go to zero, and those codes are dropped."""
    torch.manual_seed(0)
    sizes = ["backbone.width=8", "quantizer.dim=4", "quantizer.groups=2", "quantizer.codebook_size=32"]
    config = compose(["dataset=fake", "prior=fsar_o2s_catreduce15", *sizes])
    model = build_compressor(config)
    x = smooth_images(4, 16, seed=1)
    model.initialise(x)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    before = len(model.prior.kept())
    for step in range(30):
        model.on_step(step, 30)
        optimizer.zero_grad()
        model(x).loss.backward()
        optimizer.step()
    kept = model.prior.kept()
    assert 1 <= len(kept) < before
    indices = model.eval()(x).indices
    assert torch.isin(indices, kept).all()
