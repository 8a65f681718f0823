"""Contexts merged into few tables, and the tables as a product of thin integer matrices.

Contexts whose distributions are alike share a table (`entropy.merge_contexts`), weighted by how often they
occur. The tables are then fitted anew: to what the images say about all contexts of a table together, with
the trained network's distributions as a prior, by logits of low rank. (Few free numbers also learn better
from the images than a histogram for each table.) Then every context goes to the table that suits it best,
of all, and the fit is repeated. The factors are rounded to integers whenever they were fitted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fsar_lab import entropy
from fsar_lab.errors import ExportError

MAX_TABLES = 10240  # of 256 symbols: 5.7 MB held for coding
UNMERGED = 1024  # contexts up to which each keeps a table of its own: few bytes, and none of the latents lost
MAX_COUNTS = 1 << 24  # of all tables; with larger alphabets there are fewer of them
RANK = 24
STRENGTH = 3000.0  # the network's distribution counts like so many symbols seen in a table, or in a context
ROUNDS = 2  # of moving contexts and fitting again
CHUNK_CONTEXTS = 4096
FIT_STEPS = 200
FIT_RATE = 0.03
LOGIT_STEP = 0.2  # nats: features are rounded so that a logit moves as if rounded to multiples of this


Factors = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
IntegerFactors = tuple[NDArray[np.int16], NDArray[np.int16], NDArray[np.int32]]


@dataclass(frozen=True)
class Compact:
    """Tables T of rank r for C contexts; what each is stands in `codec.prior.PriorTables`.

    Attributes:
        features: int16 [T, r]. basis: int16 [r, K]. bias: int32 [K].
        context_map: uint16 [C].
        merge_loss_ppm: divergence of the contexts' distributions from their merged table's, in millionths
            of their entropy, before fitting.
    """

    features: NDArray[np.int16]
    basis: NDArray[np.int16]
    bias: NDArray[np.int32]
    context_map: NDArray[np.uint16]
    merge_loss_ppm: int


def compact_tables(
    counts: NDArray[np.uint32],
    contexts: NDArray[np.int64],
    symbols: NDArray[np.integer],
    loss_ppm: int,
    fraction_bits: int,
) -> Compact:
    """Few tables for many contexts.

    Args:
        counts: uint32 [C, K], the trained distribution of every context.
        contexts, symbols: training symbols and the context of each, of any but the same shape.
        loss_ppm: what merging may lose, in millionths of the entropy; more where that asks for more than
            MAX_TABLES tables, or MAX_COUNTS counts; nothing where there are but UNMERGED contexts.
        fraction_bits: fractional bits of a logit (to base 2) in the integer product.

    Raises:
        ExportError: factors too large for int16.
    """
    size = counts.shape[1]
    occurrences = np.bincount(contexts.ravel(), minlength=len(counts)).astype(np.uint64)
    most = max(1, min(MAX_TABLES, MAX_COUNTS // size))
    table, merge_loss = np.arange(len(counts)), 0
    if len(counts) > min(UNMERGED, most):
        merged = entropy.merge_contexts(counts, occurrences, loss_ppm, most)
        table, merge_loss = merged.context_map.astype(np.int64), merged.loss_ppm
    flat = np.bincount(contexts.ravel() * size + symbols.ravel(), minlength=counts.size)
    seen = flat.reshape(counts.shape).astype(np.float32)
    trained = counts.astype(np.float32) / np.float32(counts[0].sum())
    # A context that never occurred still has a say in a table of its own.
    weighted = trained * (occurrences[:, None] + np.float32(1e-3)).astype(np.float32)
    for number in range(ROUNDS + 1):
        mean = _sums(weighted, table)
        mean = np.maximum(mean / mean.sum(1, keepdims=True), 2.0**-24)
        factors = _rounded(*_fit(_sums(seen, table) + STRENGTH * mean, mean, min(RANK, size)), fraction_bits)
        if number < ROUNDS:
            best = best_tables(seen + np.float32(STRENGTH) * trained, factors, fraction_bits)
            table = np.unique(best, return_inverse=True)[1].reshape(-1)  # what nobody takes drops out
    features, basis, bias = factors
    return Compact(features, basis, bias, table.astype(np.uint16), merge_loss)


def _sums(rows: NDArray[np.float32], table: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sums of the contexts' rows [C, K] by table: [T, K]; every table must have a context."""
    order = np.argsort(table, kind="stable")
    starts = np.searchsorted(table[order], np.arange(table.max() + 1))
    result: NDArray[np.float64] = np.add.reduceat(rows[order], starts, axis=0).astype(np.float64)
    return result


def best_tables(
    weights: NDArray[np.float32], factors: IntegerFactors, fraction_bits: int
) -> NDArray[np.int64]:
    """The table that codes each context's symbols, `weights` [C, K], with fewest bits: int64 [C].

    In logits of low rank a pair takes r products, not K.
    """
    nat = np.float32(np.log(2) / (1 << fraction_bits))
    features, basis, bias = (part.astype(np.float32) for part in factors)
    logits = (features @ basis + bias) * nat
    total = np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1)) + logits.max(1)
    best = np.empty(len(weights), np.int64)
    for start in range(0, len(weights), CHUNK_CONTEXTS):
        part = weights[start : start + CHUNK_CONTEXTS]
        gain = (part @ basis.T * nat) @ features.T - part.sum(1, keepdims=True) * total
        best[start : start + CHUNK_CONTEXTS] = gain.argmax(1)
    return best


def _fit(weights: NDArray[np.float64], trained: NDArray[np.float64], rank: int) -> Factors:
    """Features [T, r], basis [r, K] and bias [K] whose softmax codes `weights` [T, K] with fewest nats.

    Starts from the weighted principal components of the trained logits.
    """
    import torch

    logits = np.log(trained)
    logits -= logits.mean(1, keepdims=True)
    share = weights / weights.sum()
    rows, columns = share.sum(1, keepdims=True), share.sum(0, keepdims=True)
    mean = (rows * logits).sum(0)
    centred = (logits - mean) * np.sqrt(rows * columns)
    # The smaller Gram matrix has the same right singular vectors and is quick to decompose.
    _, vectors = np.linalg.eigh(centred.T @ centred)
    start = vectors[:, ::-1][:, :rank]
    scores = (centred @ start) / np.sqrt(rows)
    spread = np.sqrt((scores**2).mean(0)) + 1e-9
    target = torch.from_numpy(share).float()
    parameters = [
        torch.from_numpy(np.ascontiguousarray(part)).float().requires_grad_()
        for part in (scores / spread, (start / np.sqrt(columns.T)).T * spread[:, None], mean)
    ]
    features, basis, bias = parameters
    optimizer = torch.optim.Adam(parameters, lr=FIT_RATE)
    with torch.enable_grad():
        for step in range(FIT_STEPS):
            optimizer.param_groups[0]["lr"] = FIT_RATE * (1 - step / FIT_STEPS)
            optimizer.zero_grad()
            cost = -(target * torch.log_softmax(features @ basis + bias, 1)).sum()
            cost.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return tuple(part.detach().double().numpy() for part in parameters)  # type: ignore[return-value]


def _rounded(
    features: NDArray[np.float64], basis: NDArray[np.float64], bias: NDArray[np.float64], fraction_bits: int
) -> IntegerFactors:
    """The factors as integers whose product has logits to base 2 with so many fractional bits.

    The basis is made orthonormal first, so that one step of any feature costs the same.
    """
    centred = basis - basis.mean(1, keepdims=True)  # a constant in a row of logits changes nothing
    product = features @ centred
    _, vectors = np.linalg.eigh(product.T @ product)
    directions = vectors[:, ::-1][:, : len(basis)].T
    along = features @ (centred @ directions.T)
    # Rank many errors reach each of the K logits; a step of one nat still lets any direction fit 16 bits.
    step = min(1.0, LOGIT_STEP * np.sqrt(basis.shape[1] / len(basis)))
    unit = step / np.log(2) * (1 << fraction_bits)
    whole = np.rint(along / step), np.rint(directions * unit)
    fixed_bias = np.rint((bias - bias.mean()) / np.log(2) * (1 << fraction_bits))
    if (
        not all(np.isfinite(part).all() for part in (*whole, fixed_bias))
        or max(float(np.abs(part).max()) for part in whole) > 32767
    ):
        raise ExportError("the prior's tables do not fit 16-bit factors; train with another seed")
    return whole[0].astype(np.int16), whole[1].astype(np.int16), fixed_bias.astype(np.int32)
