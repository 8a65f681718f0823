"""A small masked network that predicts every sub-pixel from the pixels before it.

A masked convolution over the three colours (PixelCNN, van den Oord et al. 2016, type A), residual blocks, and
for every colour a small head that also sees how far the colours before it were off; each gives a mixture of
discretised logistics (PixelCNN++, Salimans et al. 2017). A linear prediction from the same window bypasses
the network and carries the means; it starts as 0.75 left + 0.75 up - 0.5 up-left, which makes training quick.

With latents, the synthesis network says a few bytes of every place, its *conditions*, known before any pixel;
this network sees those of the current place beside the window (conditional PixelCNN, arXiv:1606.05328).

A network for pairs is asked once for two pixels of a row, whose six samples are one place: convolutions are
over places, and the heads of the right pixel also see how far those of the left one were off.

Coded: by the integers that `exporting.causal` makes of it, entropy_c.h, "Causal networks".
"""

from __future__ import annotations

import math

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from fsar_lab.config.schema import CausalNetConfig
from fsar_lab.errors import ConfigError
from fsar_lab.models.rounding import Rounding, half_up, through
from fsar_lab.zoo import causal_weights_path

COLOURS = 3
FLOOR = 2.0**-16  # of every probability, as a table of 16 bits has it
GREY = 128.0  # of what lies outside the image
PIXEL = 64.0  # grey levels that the network takes for 1
STREAM_BITS = 8  # fraction of the residual stream in integers: no activation is finer
LINEAR_BITS = 14  # fraction of the linear prediction's weights
STEPS = 16  # of a mean within a grey level
NEAR = 16.0  # grey levels of a residual that a head takes for 1
LOGIT_BITS, OFFSET_BITS, SCALE_BITS = 6, 7, 4  # fraction of a head's outputs in integers
OFFSET_LEVELS = 8.0  # grey levels that a head's offset of 1 moves a mean
LOG_SCALE_MIN = -2.5  # natural log of the narrowest logistic, grey levels


class MaskedConv(nn.Conv2d):
    """Convolution over the positions before the centre in raster order; type "B" sees the centre, too."""

    mask: Tensor

    def __init__(
        self, inputs: int, outputs: int, reach: tuple[int, int], kind: str, bias: bool = True
    ) -> None:
        rows, columns = reach  # up, and to each side
        super().__init__(inputs, outputs, (2 * rows + 1, 2 * columns + 1), padding=reach, bias=bias)
        mask = torch.zeros(2 * rows + 1, 2 * columns + 1)
        mask[:rows] = 1
        mask[rows, : columns + (kind == "B")] = 1
        self.register_buffer("mask", mask, persistent=False)
        with torch.no_grad():
            self.weight.mul_(math.sqrt(mask.numel() / float(mask.sum())))

    @property
    def masked(self) -> Tensor:
        """Weights, 0 where nothing is seen."""
        return self.weight * self.mask


class Block(nn.Module):
    """Matrices of h + b(relu(a(relu(h))))."""

    def __init__(self, config: CausalNetConfig) -> None:
        super().__init__()
        a = MaskedConv(config.width, config.inner, (1, 1), "B") if config.spatial else None
        self.a = a or nn.Conv2d(config.width, config.inner, 1)
        self.b = nn.Conv2d(config.inner, config.width, 1)
        with torch.no_grad():
            self.b.weight.mul_(0.5)


class CausalNet(nn.Module):
    """See the module.

    Trained in floats until `round_from` of the training, then with every weight and activation rounded to the
    8 bits that are coded with.

    Args:
        config: sizes, and weights of the zoo to start from.
        conditioned: there is a synthesis network, which gives `config.conditions` channels.
    """

    def __init__(self, config: CausalNetConfig, conditioned: bool = False) -> None:
        super().__init__()
        self.config = config
        self.conditions = config.conditions if conditioned else 0
        if config.pair and conditioned:
            raise ConfigError("coder.pair: a network for two pixels at a time has no conditions")
        k, hidden = config.mixtures, config.hidden
        self.pixels = 2 if config.pair else 1  # of a place
        samples = self.samples = COLOURS * self.pixels
        self.reach = (config.radius, (config.radius + self.pixels - 1) // self.pixels)
        # A plane of ones for each pixel shows the border.
        self.first = MaskedConv(samples + self.pixels, config.width, self.reach, "A")
        if self.conditions:
            self.condition = nn.Conv2d(self.conditions, config.width, 1, bias=False)
        self.body = nn.ModuleList(Block(config) for _ in range(config.blocks))
        self.neck = nn.Conv2d(config.width, samples * hidden, 1)
        self.colour = nn.Parameter(torch.randn(samples, hidden, samples - 1) * 0.3)  # of residuals before
        self.heads = nn.Parameter(torch.randn(samples, 3 * k, hidden) * (0.3 / math.sqrt(hidden)))
        bias = torch.zeros(samples, 3, k)
        bias[:, 2] = torch.linspace(0.5, 2.5, k)  # log scale in grey levels
        self.bias = nn.Parameter(bias.view(samples, -1))
        self.skip = MaskedConv(samples, samples, self.reach, "A", bias=False)  # linear prediction
        self.couple = nn.Parameter(torch.zeros(samples, samples - 1))  # of the residuals
        self._start_linear()
        numbers = range(config.blocks)
        self.rounding = Rounding(
            activations={
                **({"conditions": self.conditions} if self.conditions else {}),
                **{f"stream_{b}": config.width for b in numbers},
                **{f"inner_{b}": config.inner for b in numbers},
                "stream_out": config.width,
                **{f"own_{c}": hidden for c in range(samples)},
            },
            matrices={
                "first_matrix": config.width,
                **{f"inner_matrix_{b}": config.inner for b in numbers},
                **{f"outer_matrix_{b}": config.width for b in numbers},
                "neck_matrix": samples * hidden,
                **{f"head_matrix_{c}": 3 * k for c in range(samples)},
            },
            finest=STREAM_BITS,
            words=["first_matrix"],
        )
        if config.weights is not None:
            self._load(config.weights)

    @torch.no_grad()
    def _start_linear(self) -> None:
        """0.75 left + 0.75 up - 0.5 up-left of the same colour, and shares of the residuals before."""
        rows, columns = self.reach
        weight, couple = self.skip.weight.zero_(), self.couple
        beside = torch.tensor([[0.0, 0.0, 0.0], [0.8, 0.0, 0.0], [0.2, 0.7, 0.0]])
        couple[:COLOURS, : COLOURS - 1] = beside[:, : COLOURS - 1]
        for c in range(COLOURS):
            nearest = self.samples - COLOURS + c  # of the place to the left: its right pixel
            weight[c, nearest, rows, columns - 1] = 0.75
            weight[c, c, rows - 1, columns] = 0.75
            weight[c, nearest, rows - 1, columns - 1] = -0.5
        if not self.config.pair:
            return
        # The left pixel is what was predicted of it and its residual.
        weight[COLOURS:] = 0.75 * weight[:COLOURS]
        for c in range(COLOURS):
            weight[COLOURS + c, COLOURS + c, rows - 1, columns] += 0.75
            weight[COLOURS + c, c, rows - 1, columns] -= 0.5
        couple[COLOURS:, COLOURS:] = beside[:, : COLOURS - 1]
        # Its residuals count by 0.75, less what they have moved the colours before by already.
        couple[COLOURS:, :COLOURS] = 0.75 * (torch.eye(COLOURS) - beside)

    def _load(self, name: str) -> None:
        """Weights of the zoo. More blocks, spatial ones and conditions leave the function as it was."""
        stored = load_file(causal_weights_path(name))
        blocks = sum(key.endswith(".b.weight") for key in stored)
        weights = {**self.state_dict(), **stored}
        for b in range(self.config.blocks):
            key = f"body.{b}.a.weight"
            if b >= blocks:  # adds nothing yet
                for part in (f"body.{b}.b.weight", f"body.{b}.b.bias"):
                    weights[part] = torch.zeros_like(weights[part])
            elif self.config.spatial and stored[key].shape[-1] == 1:  # sees nothing around yet
                weights[key] = functional.pad(stored[key], (1, 1, 1, 1))
        if self.conditions and "condition.weight" not in stored:  # what is said counts for nothing yet
            weights["condition.weight"] = torch.zeros_like(self.condition.weight)
        try:
            self.load_state_dict(weights)
        except RuntimeError as error:
            raise ConfigError(f"coder.weights={name}: of other sizes than coder ({error})") from error

    @property
    def out_channels(self) -> int:
        """Channels that the synthesis network must give."""
        return self.conditions

    @property
    def macs(self) -> int:
        """Multiply-adds for one pixel (all colours) when every feature is computed once."""
        c, samples = self.config, self.samples
        window = int(self.first.mask.sum()) * samples * (c.width + samples) + c.width * self.conditions
        block = c.width * c.inner * ((5 if c.spatial else 1) + 1)
        heads = samples * c.hidden * (c.width + 3 * c.mixtures + samples - 1)
        return (window + c.blocks * block + heads) // self.pixels

    def on_step(self, step: int, steps: int) -> None:
        """Begin to round when it is time."""
        if not self.rounding.active and step >= self.config.round_from * steps:
            self.start_rounding()

    def start_rounding(self) -> None:
        """Round from now on: the next pass sets the exponents."""
        self.rounding.measuring = True

    def _choose(self) -> None:
        """Exponents of the matrices, given those of the activations."""
        rounding = self.rounding
        first = (self.first.masked / PIXEL).flatten(1)
        if self.conditions:  # one exponent for both parts of an output
            units = torch.exp2(-rounding.exponents("conditions").to(first.dtype))
            first = torch.cat([first, self.condition.weight.flatten(1) * units], 1)
        rounding.choose("first_matrix", first, STREAM_BITS)
        for b, block in enumerate(self.body):
            within = rounding.exponents(f"inner_{b}")
            rounding.choose(f"inner_matrix_{b}", self.inner_weight(b), within, f"stream_{b}")
            rounding.choose(f"outer_matrix_{b}", block.b.weight, STREAM_BITS, f"inner_{b}")  # type: ignore[union-attr, arg-type]
        rounding.choose("neck_matrix", self.neck.weight, STREAM_BITS, "stream_out")
        k = self.config.mixtures
        least = torch.tensor([LOGIT_BITS] * k + [OFFSET_BITS] * k + [SCALE_BITS] * k)
        for c in range(self.samples):
            rounding.choose(f"head_matrix_{c}", self.heads[c], least, f"own_{c}")
        rounding.measuring = False
        rounding.on.fill_(1)
        rounding.active = True

    def inner_weight(self, block: int) -> Tensor:
        """Weights of a block's first matrix, [inner, width, 3, 3] or [inner, width, 1, 1]."""
        a = self.body[block].a
        weight: Tensor = a.masked if isinstance(a, MaskedConv) else a.weight  # type: ignore[union-attr, assignment]
        return weight

    def _stream(self, inputs: Tensor, theta: Tensor | None) -> Tensor:
        """Pixels and ones [N, 4 P, H, W / P], P pixels a place -> the neck's [N, 3 P hidden, H, W / P].

        theta: [N, conditions, H, W], if there are conditions.
        """
        rounding, r = self.rounding, self.reach
        first = rounding.matrix("first_matrix", self.first.masked / PIXEL) * PIXEL
        h = functional.conv2d(inputs, first, self.first.bias, padding=r)
        if self.conditions:
            assert theta is not None
            said = rounding.activation("conditions", theta)
            condition = rounding.matrix("first_matrix", self.condition.weight, "conditions")
            h = h + functional.conv2d(said, condition)
        for b, block in enumerate(self.body):
            a, out = block.a, block.b
            u = rounding.activation(f"stream_{b}", h)
            inner = rounding.matrix(f"inner_matrix_{b}", self.inner_weight(b), f"stream_{b}")
            v = functional.conv2d(u, inner, a.bias, padding=a.padding)  # type: ignore[union-attr, arg-type]
            v = rounding.activation(f"inner_{b}", v)
            outer = rounding.matrix(f"outer_matrix_{b}", out.weight, f"inner_{b}")  # type: ignore[union-attr, arg-type]
            h = h + functional.conv2d(v, outer, out.bias)  # type: ignore[union-attr, arg-type]
        u = rounding.activation("stream_out", h)
        neck = rounding.matrix("neck_matrix", self.neck.weight, "stream_out")
        return functional.conv2d(u, neck, self.neck.bias)

    def _linear(self, centred: Tensor) -> Tensor:
        """The linear prediction in grey levels, of pixels [N, 3 P, H, W / P] and like them."""
        weight = self.skip.masked
        if not self.rounding.active:
            return functional.conv2d(centred, weight, padding=self.reach) + GREY
        unit = 2.0**LINEAR_BITS
        weight = through(weight, half_up(weight * unit) / unit)
        linear = functional.conv2d(centred, weight, padding=self.reach) + GREY
        return through(linear, half_up(linear * STEPS) / STEPS)

    def _places(self, x: Tensor) -> Tensor:
        """Columns of [N, C, H, W] taken together, P to a place: [N, P C, H, W / P], outside 0."""
        n, channels, height, width = x.shape
        x = functional.pad(x, (0, -width % self.pixels))
        return x.view(n, channels, height, -1, self.pixels).permute(0, 4, 1, 2, 3).flatten(1, 2)

    def _columns(self, x: Tensor, width: int) -> Tensor:
        """What `_places` took together, taken apart: [N, P C, H, W / P] -> [N, C, H, W]."""
        n, _, height, columns = x.shape
        x = x.view(n, self.pixels, -1, height, columns).permute(0, 2, 3, 4, 1)
        return x.flatten(3)[..., :width]

    def _features(self, x: Tensor, theta: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Samples and means [N, 3 P, H, W / P], head outputs [N, 3 P, 3, K, H, W / P], see `nats`."""
        centred = x.float() - GREY
        inputs = self._places(torch.cat([centred / PIXEL, torch.ones_like(centred[:, :1])], 1))
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        centred = self._places(centred)
        value = centred + GREY
        with torch.autocast("cuda", dtype=torch.bfloat16, enabled=x.is_cuda and not self.rounding.active):
            features = self._stream(inputs, theta)
        n, _, height, width = features.shape
        own = features.float().view(n, self.samples, self.config.hidden, height, width)
        linear = self._linear(centred)
        residual = value - linear
        seen = (residual / NEAR).clamp(-8, 8)
        means, outs = [], []
        for c in range(self.samples):
            before, mean = own[:, c], linear[:, c]
            if c > 0:
                before = before + functional.conv2d(seen[:, :c], self.colour[c, :, :c, None, None])
                mean = mean + torch.einsum("b,nbyx->nyx", self.couple[c, :c], residual[:, :c])
            head = self.rounding.matrix(f"head_matrix_{c}", self.heads[c], f"own_{c}")
            out = torch.einsum("oh,nhyx->noyx", head, self.rounding.activation(f"own_{c}", before))
            out = out + self.bias[c].view(1, -1, 1, 1)
            means.append(mean)
            outs.append(out.view(n, 3, self.config.mixtures, height, width))
        return value, torch.stack(means, 1), torch.stack(outs, 1)

    def nats(self, theta: Tensor | None, x: Tensor) -> Tensor:
        """Code length of uint8 x [N, 3, H, W] in nats, [N, 3, H, W]; theta [N, conditions, H, W] if any."""
        value, means, outs = self._features(x, theta)
        if self.rounding.measuring:
            self._choose()
        bits = [mixture_bits(value[:, c : c + 1], means[:, c, None], outs[:, c]) for c in range(self.samples)]
        return self._columns(torch.stack(bits, 1), x.shape[-1]) * math.log(2)

    def fit(self, x: Tensor) -> Tensor:
        """Nothing to take from training pixels; returns the synthesis head's starting bias [conditions]."""
        del x
        return torch.ones(self.conditions)  # above 0, where bytes can say less as well as more


def mixture_bits(value: Tensor, mean: Tensor, out: Tensor) -> Tensor:
    """Cost of samples under mixtures of discretised logistics with the tails folded into 0 and 255.

    Args:
        value: float [N, 1, H, W], 0 .. 255.
        mean: [N, 1, H, W], grey levels.
        out: [N, 3, K, H, W]: logits of the weights, offsets of the means in 8 grey levels, log scales.

    Returns:
        bits [N, H, W].
    """
    inverse = torch.exp(-out[:, 2].clamp(LOG_SCALE_MIN, 5))
    means = mean + OFFSET_LEVELS * out[:, 1]
    upper, lower = (value + 0.5 - means) * inverse, (value - 0.5 - means) * inverse
    # On the side where both sigmoids are small their difference keeps its digits.
    flip = torch.where(upper + lower > 0, -1.0, 1.0)
    end = torch.where(flip > 0, 1.0, 0.0)
    high = torch.where(value == 255, end, torch.sigmoid(upper * flip))
    low = torch.where(value == 0, 1 - end, torch.sigmoid(lower * flip))
    probability = (torch.softmax(out[:, 0], 1) * (high - low).abs()).sum(1)
    return -torch.log2(probability * (1 - 256 * FLOOR) + FLOOR)
