"""Priors that are one convolution over codebook vectors: masked in raster order, or on a checkerboard.

METHOD 4.2 names a masked convolution in three dimensions, (c, h, w), without more. It is here what the field
has (arXiv:1801.04260, and its many successors): groups are planes in depth, coded one after the other, each
in raster order; the vectors' D numbers are the input channels and K logits the output channels; weights,
bias and vectors are shared by all groups; the mask is of type A in the order (c, h, w), so that whole windows
of the planes before are seen, and zeros lie around the planes as around the image.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fsar_lab.config.schema import ConvolutionConfig
from fsar_lab.models.quantizers.base import Quantized
from fsar_lab.tables.masks import CHECKERBOARD, RASTER_3D, Tap, mask_taps


def anchors(height: int, width: int, device: torch.device | None = None) -> Tensor:
    """Where a checkerboard's first pass codes, row + column odd: bool [height, width]."""
    rows, columns = torch.arange(height, device=device), torch.arange(width, device=device)
    return (rows[:, None] + columns) % 2 == 1


class Convolution(nn.Module):
    """p(k_g | neighbours) = softmax of one convolution, METHOD 4.2.

    The codebook vectors of all groups, zero outside the image, enter one convolution C*D -> C*K with bias.
    Groups at one position are independent given the neighbours. Weights outside the mask stay zero.
    In three dimensions (raster3d) it is a convolution D -> K over the groups as planes, coded one by one.
    On a checkerboard, anchors (row + column odd) have learned logits of their own, without any neighbour,
    and the others see the anchors in their window. Coded: the symbols of each group, position by position
    (raster) or in two passes (checkerboard).

    Args:
        config: window, mask and which gradients are cut.
        groups: C. codebook_size: K. dim: D.
    """

    used: Tensor

    def __init__(self, config: ConvolutionConfig, groups: int, codebook_size: int, dim: int) -> None:
        super().__init__()
        self.groups, self.codebook_size, self.dim = groups, codebook_size, dim
        self.mask, self.kernel = config.mask, config.kernel
        self.detach_context, self.detach_posterior = config.detach_context, config.detach_posterior
        half, side = config.kernel // 2, config.kernel
        self.convolution: nn.Conv2d | nn.Conv3d
        if self.mask == RASTER_3D:  # no weights at all for the planes behind the coded one
            self.convolution = nn.Conv3d(dim, codebook_size, (half + 1, side, side))
        else:
            self.convolution = nn.Conv2d(groups * dim, groups * codebook_size, side, padding="same")
        used = torch.zeros(self.convolution.kernel_size)
        for tap in self.taps:
            used[tuple(half + step for step in tap[-used.ndim :])] = 1.0
        self.register_buffer("used", used, persistent=False)
        with torch.no_grad():
            self.convolution.weight *= used
        self.static = nn.Parameter(torch.zeros(groups, codebook_size)) if self.two_passes else None

    @property
    def taps(self) -> tuple[Tap, ...]:
        """The neighbours that enter, as (plane, row, column) offsets."""
        return mask_taps(self.mask, self.kernel)

    @property
    def two_passes(self) -> bool:
        """Whether anchors are coded before all others."""
        return self.mask == CHECKERBOARD

    def logits(self, samples: Tensor) -> Tensor:
        """Codebook vectors [N, C, D, h, w] -> [N, C, K, h, w], the logits at every position."""
        weight, bias, half = self.convolution.weight * self.used, self.convolution.bias, self.kernel // 2
        if self.mask == RASTER_3D:
            planes = nn.functional.pad(samples.transpose(1, 2), (0, 0, 0, 0, half, 0))
            return nn.functional.conv3d(planes, weight, bias, padding=(0, half, half)).transpose(1, 2)
        flat = nn.functional.conv2d(samples.flatten(1, 2), weight, bias, padding=half)
        n, _, h, w = flat.shape
        found = flat.view(n, self.groups, self.codebook_size, h, w)
        if self.static is None:
            return found
        first = anchors(h, w, samples.device)
        return torch.where(first, self.static[:, :, None, None], found)

    def nats(self, quantized: Quantized, codebooks: Tensor) -> Tensor:
        """Code length per symbol, [N, C, h, w], with the gradients that the flags leave."""
        samples = quantized.samples
        if self.detach_context:  # what is coded, also where the quantizer's samples are soft
            rows = [
                nn.functional.embedding(quantized.indices[:, group], codebooks[group].detach())
                for group in range(self.groups)
            ]
            samples = torch.stack(rows, 1).movedim(-1, 2)
        log_p = torch.log_softmax(self.logits(samples), 2)
        cost = -log_p.gather(2, quantized.indices.unsqueeze(2)).squeeze(2)
        if quantized.selection is not None and not self.detach_posterior:
            n, _, h, w = quantized.indices.shape
            selection = quantized.selection.view(self.groups, n, h, w, -1).permute(1, 0, 4, 2, 3)
            relaxed = (selection * log_p.detach()).sum(2)
            cost = cost - (relaxed - relaxed.detach())  # zero in value: carries the rate to the posterior
        return cost
