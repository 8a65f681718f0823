"""McQuic's quantizer: selection, residuals, synthesis from the coarsest level, and the gradients of all."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from fsar_lab.config.compose import compose
from fsar_lab.config.schema import McQuicConfig
from fsar_lab.data.fake import smooth_images
from fsar_lab.errors import ConfigError
from fsar_lab.models.build import build_compressor
from fsar_lab.models.quantizers import mcquic
from fsar_lab.models.quantizers.mcquic import McQuic, MultiCodebook, fold_levels

GROUPS, K, D = 2, 7, 3


def make_book() -> MultiCodebook:
    torch.manual_seed(3)
    book = MultiCodebook(GROUPS, K, D).double()
    book.log_temperature.data.copy_(torch.tensor([0.4, 1.5]).view(2, 1, 1))
    return book


def make_z(scale: float = 1.0) -> Tensor:
    torch.manual_seed(5)
    return (scale * torch.randn(2, GROUPS * D, 4, 4, dtype=torch.float64)).requires_grad_()


def make_quantizer() -> McQuic:
    torch.manual_seed(1)
    return McQuic(McQuicConfig(groups=GROUPS, dim=4, codebook_sizes=[32, 16, 8])).double()


def make_y() -> Tensor:
    torch.manual_seed(2)
    return torch.randn(3, 8, 16, 16, dtype=torch.float64).requires_grad_()


def split(z: Tensor) -> Tensor:
    """[N, G*D, h, w] -> [N, G, h, w, D]."""
    return torch.stack([z[:, g * D : (g + 1) * D].movedim(1, -1) for g in range(GROUPS)], 1)


@pytest.fixture
def noise(monkeypatch: pytest.MonkeyPatch) -> Iterator[Tensor]:
    """Fixed Gumbel variates, as [N, G, h, w, K], in place of random ones."""
    torch.manual_seed(11)
    drawn = -torch.log(-torch.log(torch.rand(2, GROUPS, 4, 4, K, dtype=torch.float64)))

    def patched(like: Tensor, temperature: float) -> Tensor:
        rows = drawn.transpose(0, 1).reshape(GROUPS, -1, K)
        assert rows.shape == like.shape and temperature == 1.0
        return rows

    monkeypatch.setattr(mcquic, "gumbel_noise", patched)
    yield drawn


def distances(z: Tensor, book: Tensor) -> Tensor:
    """Squared distances [N, G, h, w, K]."""
    return (split(z).unsqueeze(-2) - book.view(1, GROUPS, 1, 1, K, D)).square().sum(-1)


def test_evaluation_takes_the_nearest_codeword() -> None:
    book, z = make_book().eval(), make_z()
    words, indices = book(z)
    nearest = distances(z, book.codebooks).argmin(-1)
    assert torch.equal(indices, nearest) and len(nearest.unique()) > 3
    expected = torch.stack([book.codebooks[g][nearest[:, g]] for g in range(GROUPS)], 1)
    torch.testing.assert_close(split(words), expected, rtol=0, atol=1e-12)


def test_training_takes_hard_gumbel_samples_with_the_soft_ones_gradient(noise: Tensor) -> None:
    book, z = make_book().train(), make_z()
    words, indices = book(z)
    temperature = book.log_temperature.exp().view(1, GROUPS, 1, 1, 1)
    logits = -distances(z, book.codebooks) / math.sqrt(K) * temperature
    soft = torch.softmax(logits + noise, -1)
    hard = torch.nn.functional.one_hot(soft.argmax(-1), K).double()
    assert torch.equal(indices, soft.argmax(-1))
    assert not torch.equal(indices, distances(z, book.codebooks).argmin(-1))  # the noise does something

    sample = hard + soft - soft.detach()
    # E times the sample: to E as if the sample were hard, to the sample as if E were constant.
    expected = torch.einsum("nghwk,gkd->nghwd", hard, book.codebooks) + torch.einsum(
        "nghwk,gkd->nghwd", sample - sample.detach(), book.codebooks
    )
    torch.testing.assert_close(split(words), expected, rtol=0, atol=1e-12)
    incoming = torch.randn_like(expected)
    inputs = [z, book.codebooks, book.log_temperature]
    found = torch.autograd.grad((split(words) * incoming).sum(), inputs)
    formula = torch.autograd.grad((expected * incoming).sum(), inputs)
    for one, other in zip(found, formula, strict=True):
        assert other.abs().max() > 0
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_levels_quantize_what_is_left_and_add_up_from_the_coarsest() -> None:
    quantizer, y = make_quantizer().eval(), make_y()
    found = quantizer(y)
    rest, words, indices = y, [], []
    for down, book in zip(quantizer.down, quantizer.books, strict=True):
        z = down(rest)
        word, index = book(z)
        rest = z - word
        words.append(word)
        indices.append(index)
    assert [tuple(index.shape) for index in indices] == [(3, 2, 8, 8), (3, 2, 4, 4), (3, 2, 2, 2)]
    third = quantizer.up[2](quantizer.head[2](words[2]).clamp_min(0))
    second = quantizer.up[1]((quantizer.head[1](words[1]) + third).clamp_min(0))
    first = quantizer.up[0]((quantizer.head[0](words[0]) + second).clamp_min(0))
    torch.testing.assert_close(found.vectors, first, rtol=0, atol=1e-12)
    assert found.vectors.shape == y.shape
    assert found.loss.item() == found.loss_per_element.item() == 0
    assert found.indices.shape == (3, 2 * (16 + 4 + 1), 2, 2)
    assert torch.equal(found.indices, fold_levels(indices))


def test_the_cost_is_log_k_for_each_code() -> None:
    nats = make_quantizer()(make_y()).nats
    assert nats is not None and nats.shape == (3, 42, 2, 2)
    expected = 2 * (64 * math.log(32) + 16 * math.log(16) + 4 * math.log(8))
    torch.testing.assert_close(nats.sum((1, 2, 3)), torch.full((3,), expected).double())
    assert not nats.requires_grad


def test_symbols_of_all_levels_are_folded_onto_the_coarsest_grid() -> None:
    torch.manual_seed(0)
    levels = [torch.randint(100, (2, GROUPS, 3 * 2**j, 2 * 2**j)) for j in (2, 1, 0)]
    folded = fold_levels(levels)
    assert folded.shape == (2, GROUPS * 21, 3, 2)
    channel = 0
    for level, size in zip(levels, (4, 2, 1), strict=True):
        for group in range(GROUPS):
            for row in range(size):
                for column in range(size):
                    assert torch.equal(folded[:, channel], level[:, group, row::size, column::size])
                    channel += 1


def test_gradients_reach_every_weight() -> None:
    quantizer, y = make_quantizer().train(), make_y()
    quantizer(y).vectors.square().sum().backward()
    assert y.grad is not None and y.grad.abs().max() > 0
    for name, parameter in quantizer.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


def test_evaluation_is_not_random() -> None:
    quantizer, y = make_quantizer(), make_y()
    one, other = quantizer.eval()(y), quantizer(y)
    assert torch.equal(one.indices, other.indices) and torch.equal(one.vectors, other.vectors)
    torch.manual_seed(0)
    assert not torch.equal(quantizer.train()(y).indices, one.indices)


def test_a_compressor_learns_with_it() -> None:
    overrides = ["quantizer=mcquic", "prior=none", "quantizer.codebook_sizes=[32,16,8]", "dataset=fake"]
    overrides += ["backbone=shallow_c32", "coder=gaussian_linear_ar"]
    overrides += ["backbone.width=8", "quantizer.groups=1", "quantizer.dim=8", "coder.fit_images=16"]
    config = compose(overrides)
    torch.manual_seed(0)
    model, x = build_compressor(config), smooth_images(16, 16, seed=1)
    model.initialise(x)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for step in range(30):
        model.on_step(step, 30)
        loss = model(x).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert min(losses[-5:]) < losses[0] - 0.1
    assert model.codebooks is None
    output = model.eval()(x)
    assert output.latent_nats.shape == output.indices.shape == (16, 21, 1, 1)


def test_mistakes_name_the_override() -> None:
    with pytest.raises(ConfigError) as caught:
        compose(["quantizer=mcquic", "backbone=shallow_c32"])
    prior, width = str(caught.value).splitlines()
    assert prior.endswith("-> prior=none") and width.endswith("-> quantizer.groups=1")
    mcquic = ["quantizer=mcquic", "backbone=shallow", "prior=none"]
    with pytest.raises(ConfigError, match=r"halved 4 times \(.*3 levels.*-> dataset.tile=32"):
        compose([*mcquic, "dataset.tile=40"])
    with pytest.raises(ConfigError, match=r"at most 4 can be -> quantizer.groups=4, or fewer"):
        compose([*mcquic, "quantizer.codebook_sizes=[4,4,4,4]", "quantizer.groups=8", "quantizer.dim=8"])
    with pytest.raises(ConfigError, match="must have 1 to 4 elements"):
        compose([*mcquic, "quantizer.codebook_sizes=[]"])
    with pytest.raises(ConfigError, match="each element must be between 2 and 32768"):
        compose([*mcquic, "quantizer.codebook_sizes=[65536]"])
