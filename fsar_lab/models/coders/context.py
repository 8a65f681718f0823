"""Pixels without any network: linear prediction and an activity context, fitted and counted, not trained.

docs/ROADMAP.md's cheap floor: what a network must beat to have paid for itself. Prediction from causal
neighbours with an error-energy context is that of CALIC (Wu and Memon 1997, 10.1109/26.585919), predictors
chosen by a classification of the neighbourhood that of TMW (Meyer and Tischer 1997), here with static weights
and tables.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fsar_lab.config.schema import ContextConfig

Tap = tuple[int, int, int]
COLOURS = 3
NEAR = ((0, -1), (-1, 0), (-1, -1), (-1, 1))  # (row, column)
WIDE = (*NEAR, (0, -2), (-2, 0), (-2, 1), (-1, -2), (-1, 2), (-2, -1))
PLACES = 2  # in the first row or not
LEVELS = DIRECTIONS = 4
TEXTURES = LEVELS * DIRECTIONS
GREY, ERROR = 128, 24  # outside the image where there is nothing to repeat: samples and errors
ONE = 1 << 12  # fixed point of weights
SLOPE = 64  # fixed point of slopes
CALM = 8  # grey levels added to a sum of differences: small ones have no direction
MOST = 2**15 - 1  # weights are int16
WEIGHED = 4096  # images, at most, to which weights and thresholds are fitted; tables are counted in all
CHUNK = 128  # images at a time: bounds the memory
POOLED = 300  # positions of a place, all textures together, that count in every texture
FLOOR = 0.3  # of an occurrence, added to every symbol of a table
RIDGE = 1e-6  # of the mean diagonal: places where a tap never changes have singular equations


def taps_of(
    colour: int, own: tuple[tuple[int, int], ...] = WIDE, before: tuple[tuple[int, int], ...] = WIDE
) -> tuple[Tap, ...]:
    """Neighbours (colour, row, column): around a sample, and there and here in the colours before."""
    shared = ((0, 0), *before)
    return (
        *((colour, *at) for at in own),
        *((colour - back, *at) for back in range(1, colour + 1) for at in shared),
    )


def error_taps_of(colour: int) -> tuple[Tap, ...]:
    """Those whose errors say how large the next one is."""
    return taps_of(colour, WIDE[:7], NEAR)


TAPS, ERRORS = len(taps_of(COLOURS - 1)), len(error_taps_of(COLOURS - 1))


def neighbours(planes: Tensor, taps: tuple[Tap, ...], outside: int) -> Tensor:
    """Values at the taps of every position of planes [N, 3, H, W]: [T, N, H, W].

    Outside the image: right of a row its last column; left of it the first column of the row above; above it,
    seen from the second row, the first row; else `outside`.
    """
    height, width = planes.shape[2:]
    framed = nn.functional.pad(planes, (2, 2, 2, 0), value=outside)
    framed[:, :, 2:, -2:] = planes[..., -1:]
    framed[:, :, 3:, :2] = planes[:, :, :-1, :1]
    framed[:, :, 1] = framed[:, :, 2]
    values = torch.stack(
        [framed[:, c, 2 + dy : 2 + dy + height, 2 + dx : 2 + dx + width] for c, dy, dx in taps]
    )
    above = torch.tensor([dy < 0 for _, dy, _ in taps], device=planes.device)
    values[above, :, 0] = outside
    return values


def differences(x: Tensor, colour: int) -> tuple[Tensor, Tensor]:
    """How much integers x [N, 3, H, W] change around a sample across and down: [N, H, W] each."""
    here = neighbours(x, taps_of(colour), GREY)
    left, above, above_left, above_right, left_2, above_2, above_2_right = here[:7]
    across = (left - left_2).abs() + (above - above_left).abs() + (above_right - above).abs()
    down = (left - above_left).abs() + (above - above_2).abs() + (above_right - above_2_right).abs()
    if colour > 0:
        same, same_left, same_above = here[len(WIDE) : len(WIDE) + 3]
        across, down = across + 2 * (same - same_left).abs(), down + 2 * (same - same_above).abs()
    return across, down


class Context(nn.Module):
    """p(x) = a table of the prediction's error, chosen by how large the errors around it were.

    In integers, colour after colour, x_t being the values at the taps and e_t the errors at those of
    `error_taps_of`; w, b, v and d depend on colour, on whether the position is in the first row, and on the
    texture: how large the differences around are (four levels), and whether rather across or down (four):

        s = sum_t w_t x_t + b + 2^11, prediction p = clamp(s >> 12, 0, 255), error e = x - p
        activity a = sum_t v_t |e_t| + d, context = how many of the colour's thresholds are at most a

    Coded: e mod 256 if the prediction was rounded down, else -e mod 256, with the table of colour and
    context, so that errors towards what it was before are one side of a table. All is fitted: w and v by
    least squares, the first weighed by 1 / max(a, 1)^2 the second time, so that edges do not decide it; the
    thresholds so that contexts and textures are evenly used; the tables by counting.

    Args:
        config: contexts of each colour.
    """

    weight: Tensor
    bias: Tensor
    energy: Tensor
    base: Tensor
    levels: Tensor
    slopes: Tensor
    thresholds: Tensor
    counts: Tensor

    def __init__(self, config: ContextConfig) -> None:
        super().__init__()
        self.config = config
        shape = (COLOURS, PLACES, TEXTURES)
        sizes = {
            "weight": (*shape, TAPS),
            "bias": shape,
            "energy": (*shape, ERRORS),
            "base": shape,
            "levels": (COLOURS, LEVELS - 1),
            "slopes": (COLOURS, DIRECTIONS - 1),
            "thresholds": (COLOURS, config.states - 1),
            "counts": (COLOURS, config.states, 256),
        }
        for name, size in sizes.items():
            self.register_buffer(name, torch.zeros(size, dtype=torch.int64))

    @property
    def out_channels(self) -> int:
        """Nothing is wanted of a synthesis network."""
        return 0

    def rows(self, x: Tensor, colour: int) -> Tensor:
        """Which weights of a colour uint8 x [N, 3, H, W] has: int64 [N, H, W], place * TEXTURES + texture."""
        across, down = differences(x.int(), colour)
        total, lean = across + down, SLOPE * (down - across)
        rows = TEXTURES * (torch.arange(x.shape[2], device=x.device) > 0).long()[:, None].expand_as(total)
        for level in self.levels[colour]:
            rows = rows + DIRECTIONS * (level <= total)
        for slope in self.slopes[colour]:
            rows = rows + (slope * (total + CALM) <= lean)
        return rows

    def predict(self, x: Tensor, colour: int, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Predictions of one colour of uint8 x [N, 3, H, W], int32 [N, H, W]; where they are rounded up."""
        inputs = neighbours(x.int(), taps_of(colour), GREY)
        total = _weighted(inputs, rows, self.weight[colour], self.bias[colour]) + ONE // 2
        return (total >> 12).clamp(0, 255), total & ONE // 2 == 0

    def activity(self, errors: Tensor, colour: int, rows: Tensor) -> Tensor:
        """Expected |error| of one colour, 2^-12 grey levels, from the errors [N, 3, H, W]: [N, H, W]."""
        inputs = neighbours(errors.abs().int(), error_taps_of(colour), ERROR)
        return _weighted(inputs, rows, self.energy[colour], self.base[colour])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 x [N, 3, H, W] -> contexts and symbols, int64 [N, 3, H, W]."""
        rows = [self.rows(x, c) for c in range(COLOURS)]
        predictions, rounded_up = zip(*(self.predict(x, c, rows[c]) for c in range(COLOURS)), strict=True)
        errors = x.int() - torch.stack(predictions, 1)
        contexts = [
            torch.bucketize(self.activity(errors, c, rows[c]).long(), self.thresholds[c], right=True)
            for c in range(COLOURS)
        ]
        symbols = torch.where(torch.stack(rounded_up, 1), -errors, errors) % 256
        return torch.stack(contexts, 1), symbols.long()

    def nats(self, theta: Tensor | None, x: Tensor) -> Tensor:
        """Code length of uint8 x [N, 3, H, W], [N, 3, H, W]; theta is not used."""
        del theta
        contexts, symbols = self(x)
        smooth = self.counts.double() + FLOOR
        table = torch.log(smooth.sum(-1, keepdim=True)) - torch.log(smooth)
        colour = torch.arange(COLOURS, device=x.device).view(1, -1, 1, 1)
        return table[colour, contexts, symbols].float()

    @torch.no_grad()
    def fit(self, x: Tensor) -> Tensor:
        """Fit everything to training images, uint8 [N, 3, H, W]; returns no values for a head."""
        few = x[:WEIGHED]
        errors = torch.zeros(few.shape, dtype=torch.int16)
        for c in range(COLOURS):
            self._fit_textures(few, c)
            rows = torch.cat([self.rows(few[at], c) for at in _chunks(few)])
            self._fit_weights(few, c, rows, None)
            for last in (False, True):
                for at in _chunks(few):
                    errors[at, c] = (few[at, c].int() - self.predict(few[at], c, rows[at])[0]).short()
                size = errors.abs()
                solution = _least_squares(size, size[:, c], error_taps_of(c), ERROR, rows, None)
                self.energy[c], self.base[c] = _split(solution, ERRORS)
                activity = torch.cat([self.activity(errors[at], c, rows[at]) for at in _chunks(few)])
                if not last:
                    self._fit_weights(few, c, rows, (activity.double() / ONE).clamp(min=1.0) ** -2)
            self.thresholds[c] = _evenly(activity, self.config.states)
        self.counts.zero_()
        for at in _chunks(x):
            contexts, symbols = self(x[at])
            colour = torch.arange(COLOURS).view(1, -1, 1, 1)
            cells = (colour * self.config.states + contexts) * 256 + symbols
            self.counts += torch.bincount(cells.flatten(), minlength=self.counts.numel()).view_as(self.counts)
        return torch.zeros(0)

    def _fit_textures(self, x: Tensor, colour: int) -> None:
        around = [differences(x[at].int(), colour) for at in _chunks(x)]
        across, down = (torch.cat(parts) for parts in zip(*around, strict=True))
        self.levels[colour] = _evenly(across + down, LEVELS)
        slope = SLOPE * (down - across) / (across + down + CALM)
        self.slopes[colour] = _evenly(slope, DIRECTIONS).round().long()

    def _fit_weights(self, x: Tensor, colour: int, rows: Tensor, importance: Tensor | None) -> None:
        solution = _least_squares(x, x[:, colour], taps_of(colour), GREY, rows, importance)
        self.weight[colour], self.bias[colour] = _split(solution, TAPS)


def _weighted(inputs: Tensor, rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """sum_t w_t inputs_t + b, weights [PLACES, TEXTURES, taps] by each position's row: int32 [N, H, W]."""
    weight, bias = weight.int().flatten(0, 1), bias.int().flatten()  # below 2^31: 255 * 32 weights of 2^15
    total = bias[rows]
    for tap, plane in enumerate(inputs):
        total += weight[:, tap][rows] * plane
    return total


def _chunks(x: Tensor) -> list[slice]:
    return [slice(start, start + CHUNK) for start in range(0, len(x), CHUNK)]


def _evenly(values: Tensor, parts: int) -> Tensor:
    """The values that begin all but the first of `parts` equal parts: [parts - 1]."""
    ranked = values.flatten().sort().values
    return ranked[torch.arange(1, parts) * (len(ranked) - 1) // parts]


def _least_squares(
    values: Tensor,
    target: Tensor,
    taps: tuple[Tap, ...],
    outside: int,
    rows: Tensor,
    importance: Tensor | None,
) -> Tensor:
    """Weights and bias of every row from [N, 3, H, W] to [N, H, W]: float64 [PLACES, TEXTURES, taps + 1].

    Each texture sees its own positions, and all others of its place with the weight of `POOLED` of them.
    """
    size = len(taps) + 1
    matrix = torch.zeros(PLACES * TEXTURES, size, size, dtype=torch.float64)
    vector = torch.zeros(PLACES * TEXTURES, size, dtype=torch.float64)
    for at in _chunks(target):
        inputs = neighbours(values[at].double(), taps, outside).flatten(1)
        inputs, wanted = torch.cat([inputs, torch.ones_like(inputs[:1])]), target[at].double().flatten()
        weighed = inputs if importance is None else inputs * importance[at].flatten()
        order = rows[at].flatten().argsort()
        counts = rows[at].flatten().bincount(minlength=len(matrix)).tolist()
        for row, part in enumerate(torch.split(order, counts)):
            matrix[row] += weighed[:, part] @ inputs[:, part].T
            vector[row] += weighed[:, part] @ wanted[part]
    matrix, vector = (part.view(PLACES, TEXTURES, *part.shape[1:]) for part in (matrix, vector))
    positions = rows.flatten().bincount(minlength=PLACES * TEXTURES).view(PLACES, TEXTURES).sum(1)
    share = POOLED / positions.clamp(min=1).double()
    matrix = matrix + matrix.sum(1, keepdim=True) * share.view(-1, 1, 1, 1)
    vector = vector + vector.sum(1, keepdim=True) * share.view(-1, 1, 1)
    diagonal = matrix.diagonal(dim1=2, dim2=3).mean(2).clamp(min=1.0)
    matrix = matrix + RIDGE * diagonal[..., None, None] * torch.eye(size)
    solution: Tensor = torch.linalg.solve(matrix, vector)
    return solution


def _split(solution: Tensor, taps: int) -> tuple[Tensor, Tensor]:
    """Float weights and bias [PLACES, TEXTURES, n + 1] as fixed point: int64 [..., taps] and [...]."""
    fixed = torch.round(solution * ONE).long()
    weight = fixed[..., :-1].clamp(-MOST, MOST)
    return nn.functional.pad(weight, (0, taps - weight.shape[-1])), fixed[..., -1].clamp(-(2**30), 2**30)
