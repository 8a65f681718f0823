"""Pixels without any network: linear prediction and an activity context, fitted and counted, not trained.

docs/ROADMAP.md's cheap floor: what a network must beat to have paid for itself. Prediction from causal
neighbours with an error-energy context is that of CALIC (Wu and Memon 1997, 10.1109/26.585919), here with
static weights and tables.
"""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor, nn

from fsar_lab.config.schema import ContextConfig

Tap = tuple[int, int, int]
COLOURS = 3
OWN = ((0, 0, -1), (0, -1, 0), (0, -1, -1), (0, -1, 1))  # (colour, row, column)
SHARED = ((0, 0), *((row, column) for _, row, column in OWN))  # in every colour before
PLACES = 6  # 3 * (not the first row) + 0 in the first column, 2 in the last, else 1
ROWS, COLUMNS = (slice(1), slice(1, None)), (slice(1), slice(1, -1), slice(-1, None))
ONE = 1 << 12  # fixed point of weights
MOST = 2**15 - 1  # weights are int16
WEIGHED = 1024  # images, at most, to which weights and thresholds are fitted; tables are counted in all
CHUNK = 128  # images at a time: bounds the memory
RIDGE = 1e-6  # of the mean diagonal: places where a tap is always zero have singular equations


def taps_of(colour: int) -> tuple[Tap, ...]:
    """The neighbours that predict `colour`: around it, and there and here in the colours before."""
    before = [(-back, row, column) for back in range(1, colour + 1) for row, column in SHARED]
    return (*OWN, *before)


TAPS = len(taps_of(COLOURS - 1))


def places(height: int, width: int, device: torch.device | None = None) -> Tensor:
    """Which weights a position has: int64 [height, width] below PLACES."""
    column = torch.ones(width, dtype=torch.int64, device=device)
    column[-1], column[0] = 2, 0
    row = (torch.arange(height, device=device) > 0).long()
    return 3 * row[:, None] + column


def neighbours(planes: Tensor, colour: int) -> Tensor:
    """Values of the taps of `colour` in planes [N, C, H, W], zero outside: [T, N, H, W]."""
    height, width = planes.shape[2:]
    padded = nn.functional.pad(planes, (1, 1, 1, 0))
    return torch.stack(
        [
            padded[:, colour + dc, 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
            for dc, dy, dx in taps_of(colour)
        ]
    )


class Context(nn.Module):
    """p(x) = a table of the prediction's error, chosen by how large the errors around it were.

    In integers, colour after colour, x_t being the values at the taps and e_t the errors there (zero
    outside), w, b, v and d depending on colour and place, which is whether the position is in the first row
    and in the first or last column:

        prediction p = clamp((sum_t w_t x_t + b + 2^11) >> 12, 0, 255), error e = x - p
        activity a = sum_t v_t |e_t| + d, context = how many of the colour's thresholds are at most a

    Coded: e mod 256 with the table of colour and context. All is fitted: w and v by least squares, the first
    weighed by 1 / max(a, 1)^2 the second time, so that edges do not decide it; the thresholds so that
    contexts are evenly used; the tables by counting.

    Args:
        config: contexts of each colour.
    """

    weight: Tensor
    bias: Tensor
    energy: Tensor
    base: Tensor
    thresholds: Tensor
    counts: Tensor

    def __init__(self, config: ContextConfig) -> None:
        super().__init__()
        self.config = config
        shape = (COLOURS, PLACES)
        self.register_buffer("weight", torch.zeros(*shape, TAPS, dtype=torch.int64))
        self.register_buffer("bias", torch.zeros(shape, dtype=torch.int64))
        self.register_buffer("energy", torch.zeros(*shape, TAPS, dtype=torch.int64))
        self.register_buffer("base", torch.zeros(shape, dtype=torch.int64))
        self.register_buffer("thresholds", torch.zeros(COLOURS, config.states - 1, dtype=torch.int64))
        self.register_buffer("counts", torch.zeros(COLOURS, config.states, 256, dtype=torch.int64))

    @property
    def out_channels(self) -> int:
        """Nothing is wanted of a synthesis network."""
        return 0

    def predict(self, x: Tensor, colour: int) -> Tensor:
        """Predictions of one colour of uint8 x [N, 3, H, W]: int32 [N, H, W]."""
        total = _weighted(x, colour, self.weight[colour], self.bias[colour])
        return (total + ONE // 2 >> 12).clamp(0, 255)

    def activity(self, errors: Tensor, colour: int) -> Tensor:
        """Expected |error| of one colour, 2^-12 grey levels, from the errors [N, 3, H, W]: [N, H, W]."""
        return _weighted(errors.abs(), colour, self.energy[colour], self.base[colour])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 x [N, 3, H, W] -> contexts and symbols, int64 [N, 3, H, W]."""
        errors = torch.stack([x[:, c].int() - self.predict(x, c) for c in range(COLOURS)], 1)
        contexts = [
            torch.bucketize(self.activity(errors, c).long(), self.thresholds[c], right=True)
            for c in range(COLOURS)
        ]
        return torch.stack(contexts, 1), (errors % 256).long()

    def nats(self, theta: Tensor | None, x: Tensor) -> Tensor:
        """Code length of uint8 x [N, 3, H, W], [N, 3, H, W]; theta is not used."""
        del theta
        contexts, symbols = self(x)
        smooth = self.counts.double() + 0.5
        table = torch.log(smooth.sum(-1, keepdim=True)) - torch.log(smooth)
        colour = torch.arange(COLOURS, device=x.device).view(1, -1, 1, 1)
        return table[colour, contexts, symbols].float()

    @torch.no_grad()
    def fit(self, x: Tensor) -> Tensor:
        """Fit everything to training images, uint8 [N, 3, H, W]; returns no values for a head."""
        few = x[:WEIGHED]
        errors = torch.zeros(few.shape, dtype=torch.int16)
        for c in range(COLOURS):
            self._fit_weights(few, c, None)
            for last in (False, True):
                for at in _chunks(few):
                    errors[at, c] = (few[at, c].int() - self.predict(few[at], c)).short()
                solution = _least_squares(errors.abs(), errors[:, c].abs(), c, None)
                self.energy[c], self.base[c] = _split(solution)
                activity = torch.cat([self.activity(errors[at], c) for at in _chunks(few)])
                if not last:
                    self._fit_weights(few, c, (activity.double() / ONE).clamp(min=1.0) ** -2)
            states = self.config.states
            ranked = activity.flatten().sort().values
            self.thresholds[c] = ranked[torch.arange(1, states) * (len(ranked) - 1) // states]
        self.counts.zero_()
        for at in _chunks(x):
            contexts, symbols = self(x[at])
            colour = torch.arange(COLOURS).view(1, -1, 1, 1)
            rows = (colour * self.config.states + contexts) * 256 + symbols
            self.counts += torch.bincount(rows.flatten(), minlength=self.counts.numel()).view_as(self.counts)
        return torch.zeros(0)

    def _fit_weights(self, x: Tensor, colour: int, importance: Tensor | None) -> None:
        solution = _least_squares(x, x[:, colour], colour, importance)
        self.weight[colour], self.bias[colour] = _split(solution)


def _weighted(values: Tensor, colour: int, weight: Tensor, bias: Tensor) -> Tensor:
    """sum_t w_t values_t + b with weights [PLACES, TAPS] of each position's place: int32 [N, H, W]."""
    height, width = values.shape[2:]
    place = places(height, width, values.device)
    weight, bias = weight.int(), bias.int()  # sums are below 2^31: 255 * 14 weights of 2^15
    total = bias[place].expand(len(values), -1, -1).clone()
    for tap, plane in enumerate(neighbours(values.int(), colour)):
        total += weight[place, tap] * plane
    return total


def _chunks(x: Tensor) -> list[slice]:
    return [slice(start, start + CHUNK) for start in range(0, len(x), CHUNK)]


def _least_squares(values: Tensor, target: Tensor, colour: int, importance: Tensor | None) -> Tensor:
    """Weights and bias of every place from [N, 3, H, W] to [N, H, W]: float64 [PLACES, taps + 1]."""
    size = len(taps_of(colour)) + 1
    matrix, vector = torch.zeros(PLACES, size, size).double(), torch.zeros(PLACES, size).double()
    for at in _chunks(target):
        inputs = neighbours(values[at], colour).double()
        inputs = torch.cat([inputs, torch.ones_like(inputs[:1])])
        for p, (rows, columns) in enumerate(product(ROWS, COLUMNS)):
            known, wanted = (part[..., rows, columns].flatten(-3) for part in (inputs, target[at].double()))
            weighed = known if importance is None else known * importance[at][:, rows, columns].flatten()
            matrix[p] += weighed @ known.T
            vector[p] += weighed @ wanted
    diagonal = matrix.diagonal(dim1=1, dim2=2).mean(1).clamp(min=1.0)
    matrix += RIDGE * diagonal[:, None, None] * torch.eye(size)
    solution: Tensor = torch.linalg.solve(matrix, vector)
    return solution


def _split(solution: Tensor) -> tuple[Tensor, Tensor]:
    """Float weights and bias [PLACES, taps + 1] as fixed point: int64 [PLACES, TAPS] and [PLACES]."""
    fixed = torch.round(solution * ONE).long()
    weight = fixed[:, :-1].clamp(-MOST, MOST)
    return nn.functional.pad(weight, (0, TAPS - weight.shape[1])), fixed[:, -1].clamp(-(2**30), 2**30)
