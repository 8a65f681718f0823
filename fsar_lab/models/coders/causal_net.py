"""A small masked network that predicts every sub-pixel from the pixels before it: the float model.

A masked convolution over the three colours (PixelCNN, van den Oord et al. 2016, type A), residual blocks, and
for every colour a small head that also sees how far the colours before it were off; each gives a mixture of
discretised logistics (PixelCNN++, Salimans et al. 2017). A linear prediction from the same window bypasses
the network and carries the means; it starts as 0.75 left + 0.75 up - 0.5 up-left, which makes training quick.
Nothing here is integer or exported yet (docs/FRONTIER.md).
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

COLOURS = 3
FLOOR = 2.0**-16  # of every probability, as a table of 16 bits has it


@dataclass(frozen=True)
class CausalNetShape:
    """Sizes of a `CausalNet`.

    Attributes:
        r: radius of the window; it holds the 2 r (r + 1) pixels before the current one.
        width: channels of the residual stream.
        blocks: residual blocks.
        inner: channels inside a block.
        spatial: blocks begin with a masked 3x3 convolution (type B) instead of a 1x1 one.
        hidden: units of each colour's head.
        mixtures: logistics of each mixture.
    """

    r: int = 3
    width: int = 48
    blocks: int = 2
    inner: int = 48
    spatial: bool = False
    hidden: int = 16
    mixtures: int = 3

    @property
    def macs(self) -> int:
        """Multiply-adds for one pixel (all colours) when every feature is computed once."""
        window = 2 * self.r * (self.r + 1) * COLOURS * (self.width + COLOURS)
        block = self.width * self.inner * ((5 if self.spatial else 1) + 1)
        heads = COLOURS * self.hidden * (self.width + COLOURS * self.mixtures + 2)
        return window + self.blocks * block + heads


class MaskedConv(nn.Conv2d):
    """Convolution over the positions before the centre in raster order; type "B" sees the centre, too."""

    mask: Tensor

    def __init__(self, inputs: int, outputs: int, r: int, kind: str, bias: bool = True) -> None:
        super().__init__(inputs, outputs, 2 * r + 1, padding=r, bias=bias)
        mask = torch.zeros(2 * r + 1, 2 * r + 1)
        mask[:r] = 1
        mask[r, : r + (kind == "B")] = 1
        self.register_buffer("mask", mask, persistent=False)
        with torch.no_grad():
            self.weight.mul_(math.sqrt(mask.numel() / float(mask.sum())))

    def forward(self, x: Tensor) -> Tensor:
        """[N, inputs, H, W] -> [N, outputs, H, W]; zeros outside."""
        return functional.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)


class Block(nn.Module):
    """h + b(relu(a(relu(h))))."""

    def __init__(self, shape: CausalNetShape) -> None:
        super().__init__()
        a = MaskedConv(shape.width, shape.inner, 1, "B") if shape.spatial else None
        self.a = a or nn.Conv2d(shape.width, shape.inner, 1)
        self.b = nn.Conv2d(shape.inner, shape.width, 1)
        with torch.no_grad():
            self.b.weight.mul_(0.5)

    def forward(self, h: Tensor) -> Tensor:
        """[N, width, H, W] -> the same."""
        out: Tensor = h + self.b(functional.relu(self.a(functional.relu(h))))
        return out


class CausalNet(nn.Module):
    """See the module. `forward` gives the cost of every sub-pixel."""

    def __init__(self, shape: CausalNetShape) -> None:
        super().__init__()
        self.shape = shape
        k, hidden = shape.mixtures, shape.hidden
        self.first = MaskedConv(COLOURS + 1, shape.width, shape.r, "A")  # a plane of ones shows the border
        self.body = nn.ModuleList(Block(shape) for _ in range(shape.blocks))
        self.neck = nn.Conv2d(shape.width, COLOURS * hidden, 1)
        self.colour = nn.Parameter(torch.randn(COLOURS, hidden, 2) * 0.3)  # of the residuals before
        self.heads = nn.Parameter(torch.randn(COLOURS, 3 * k, hidden) * (0.3 / math.sqrt(hidden)))
        bias = torch.zeros(COLOURS, 3, k)
        bias[:, 2] = torch.linspace(0.5, 2.5, k)  # log scale in grey levels
        self.bias = nn.Parameter(bias.view(COLOURS, -1))
        self.skip = MaskedConv(COLOURS, COLOURS, shape.r, "A", bias=False)  # linear prediction
        self.couple = nn.Parameter(torch.tensor([[0.0, 0.0], [0.8, 0.0], [0.2, 0.7]]))  # of the residuals
        with torch.no_grad():
            self.skip.weight.zero_()
            for c in range(COLOURS):
                self.skip.weight[c, c, shape.r, shape.r - 1] = 0.75
                self.skip.weight[c, c, shape.r - 1, shape.r] = 0.75
                self.skip.weight[c, c, shape.r - 1, shape.r - 1] = -0.5

    def forward(self, x: Tensor) -> Tensor:
        """uint8 [N, 3, H, W] -> bits, float [N, 3, H, W]."""
        value = x.float()
        centred = value - 127.5
        inputs = torch.cat([centred / 64, torch.ones_like(centred[:, :1])], 1)
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cuda", dtype=torch.bfloat16, enabled=x.is_cuda):
            h = self.first(inputs)
            for block in self.body:
                h = block(h)
            features = self.neck(functional.relu(h))
        n, _, height, width = features.shape
        hidden = features.float().view(n, COLOURS, self.shape.hidden, height, width)
        linear = self.skip(centred) + 127.5
        residual = value - linear  # grey levels
        seen = (residual / 16).clamp(-8, 8)
        bits = []
        for c in range(COLOURS):
            own, mean = hidden[:, c], linear[:, c]
            for before in range(c):
                weight = self.colour[c, :, before].view(1, -1, 1, 1)
                own = own + weight * seen[:, before : before + 1]
                mean = mean + self.couple[c, before] * residual[:, before]
            out = torch.einsum("oh,nhyx->noyx", self.heads[c], functional.relu(own))
            out = (out + self.bias[c].view(1, -1, 1, 1)).view(n, 3, self.shape.mixtures, height, width)
            bits.append(mixture_bits(value[:, c : c + 1], mean[:, None], out))
        return torch.stack(bits, 1)


def mixture_bits(value: Tensor, mean: Tensor, out: Tensor) -> Tensor:
    """Cost of samples under mixtures of discretised logistics with the tails folded into 0 and 255.

    Args:
        value: float [N, 1, H, W], 0 .. 255.
        mean: [N, 1, H, W], grey levels.
        out: [N, 3, K, H, W]: logits of the weights, offsets of the means in 8 grey levels, log scales.

    Returns:
        bits [N, H, W].
    """
    inverse = torch.exp(-out[:, 2].clamp(-2.5, 5))
    means = mean + 8 * out[:, 1]
    upper, lower = (value + 0.5 - means) * inverse, (value - 0.5 - means) * inverse
    # On the side where both sigmoids are small their difference keeps its digits.
    flip = torch.where(upper + lower > 0, -1.0, 1.0)
    end = torch.where(flip > 0, 1.0, 0.0)
    high = torch.where(value == 255, end, torch.sigmoid(upper * flip))
    low = torch.where(value == 0, 1 - end, torch.sigmoid(lower * flip))
    probability = (torch.softmax(out[:, 0], 1) * (high - low).abs()).sum(1)
    return -torch.log2(probability * (1 - 256 * FLOOR) + FLOOR)


def save(net: CausalNet, path: Path, facts: dict[str, Any]) -> None:
    """Write shape, weights and plain facts about the training."""
    state = {name: value.detach().cpu().contiguous() for name, value in net.state_dict().items()}
    meta = {"shape": json.dumps(asdict(net.shape)), "facts": json.dumps(facts)}
    save_file(state, path, metadata=meta)


def load(path: Path) -> tuple[CausalNet, dict[str, Any]]:
    """What `save` wrote."""
    with safe_open(path, "pt") as file:
        meta = file.metadata() or {}
    net = CausalNet(CausalNetShape(**json.loads(meta["shape"])))
    net.load_state_dict(load_file(path))
    facts: dict[str, Any] = json.loads(meta["facts"])
    return net.eval(), facts
