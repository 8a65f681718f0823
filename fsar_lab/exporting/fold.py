"""Float networks as a chain of convolutions with batch normalisation folded in: the start of quantisation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fsar_lab.errors import ExportError
from fsar_lab.models.backbones.shallow import LongSkip, ResidualBlock


@dataclass
class FoldedLayer:
    """A float convolution as `integer_network.Layer` has it.

    Attributes:
        kind: as `Layer` has it.
        weight: float64 [out, in, k, k] for every kind.
        bias: float64 [out].
        relu: whether the output passes a ReLU before anyone sees it.
        skip: number of the activation that is added before the ReLU, or None.
    """

    name: str
    kind: str
    weight: Tensor
    bias: Tensor
    stride: int
    padding: int
    relu: bool = False
    skip: int | None = None

    def __call__(self, x: Tensor, skip: Tensor | None) -> Tensor:
        """What the float network computes before ReLU and shuffling: [N, in, H, W] -> [N, out, H', W']."""
        weight, bias = self.weight.to(x.dtype), self.bias.to(x.dtype)
        if self.kind == "transposed":
            out = nn.functional.conv_transpose2d(x, weight.transpose(0, 1), bias, self.stride, self.padding)
        else:
            out = nn.functional.conv2d(x, weight, bias, self.stride, self.padding)
        return out if skip is None else out + skip

    def shuffled(self, x: Tensor) -> Tensor:
        """An output as the next layer sees it: four channels of a "shuffle" layer are one of four pixels."""
        return nn.functional.pixel_shuffle(x, 2) if self.kind == "shuffle" else x


def fold(network: nn.Sequential) -> list[FoldedLayer]:
    """Convolutions of `network` (evaluation mode), in order.

    Raises:
        ExportError: a module that has no integer counterpart.
    """
    chain: list[FoldedLayer] = []
    _append(chain, network, "")
    return chain


def _append(chain: list[FoldedLayer], network: nn.Sequential, prefix: str) -> None:
    for name, module in network.named_children():
        path = prefix + name
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            chain.append(_convolution(path, module))
        elif isinstance(module, nn.BatchNorm2d) and chain:
            _fold_normalisation(chain[-1], module)
        elif isinstance(module, nn.ReLU) and chain:
            chain[-1].relu = True
        elif isinstance(module, ResidualBlock) and chain:
            chain[-1].relu = True  # the block begins with a ReLU that its skip carries, too
            skip = len(chain)
            _append(chain, module.body, f"{path}.body.")
            chain[-1].skip = skip
        elif isinstance(module, LongSkip) and chain:
            chain[-1].relu = True
            skip = len(chain)
            _append(chain, module.blocks, f"{path}.blocks.")
            chain.append(_sum(path, len(chain[-1].bias), skip))
        elif isinstance(module, nn.PixelShuffle) and chain and _shuffles(chain[-1], module):
            chain[-1].kind = "shuffle"
        else:
            raise ExportError(f"layer {path}: {type(module).__name__} has no integer counterpart here")


def _convolution(path: str, module: nn.Conv2d | nn.ConvTranspose2d) -> FoldedLayer:
    transposed = isinstance(module, nn.ConvTranspose2d)
    weight = module.weight.detach().double().cpu()
    weight = weight.transpose(0, 1).contiguous() if transposed else weight
    bias = torch.zeros(weight.shape[0], dtype=torch.float64)
    if module.bias is not None:
        bias = module.bias.detach().double().cpu()
    padding = module.padding[0]
    if isinstance(padding, str) or module.groups != 1 or module.padding_mode != "zeros":
        raise ExportError(f"layer {path}: only plain zero-padded convolutions have an integer counterpart")
    kind = "transposed" if transposed else "conv"
    return FoldedLayer(path, kind, weight, bias.clone(), module.stride[0], padding)


def _sum(path: str, width: int, skip: int) -> FoldedLayer:
    """The last activation plus another: a 1x1 convolution with the identity, whose layer can have a skip.

    The sum of the last block has a skip of its own already.
    """
    weight = torch.eye(width, dtype=torch.float64).view(width, width, 1, 1)
    bias = torch.zeros(width, dtype=torch.float64)
    return FoldedLayer(f"{path}.sum", "conv", weight, bias, 1, 0, skip=skip)


def _shuffles(layer: FoldedLayer, module: nn.PixelShuffle) -> bool:
    """Whether the two together are a layer that there is."""
    plain = layer.kind == "conv" and layer.stride == 1 and not layer.relu and layer.skip is None
    return plain and module.upscale_factor == 2


def _fold_normalisation(layer: FoldedLayer, norm: nn.BatchNorm2d) -> None:
    if norm.running_mean is None or norm.running_var is None:
        raise ExportError(
            f"layer {layer.name}: batch normalisation without running statistics cannot be folded"
        )
    gain = (norm.running_var.double().cpu() + norm.eps).rsqrt()
    offset = torch.zeros_like(gain)
    if norm.affine:
        gain, offset = gain * norm.weight.detach().double().cpu(), norm.bias.detach().double().cpu()
    mean = norm.running_mean.double().cpu()
    if layer.kind == "shuffle":  # four of its channels are one of the normalisation
        gain, offset, mean = (values.repeat_interleave(4) for values in (gain, offset, mean))
    layer.bias = (layer.bias - mean) * gain + offset
    layer.weight = layer.weight * gain.view(-1, 1, 1, 1)
