"""Coders from PyPI, each in its fastest mode that works. Imported only in their own processes."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from entropy_bench.coder import Facts, Size
from entropy_bench.sources import Array
from entropy_bench.workloads import IndexedWorkload, Workload


class Constriction:
    """What the ways to use constriction share: the coded form, uint32 words that end in the state."""

    def __init__(self, workload: Workload, mode: str) -> None:
        import constriction

        assert isinstance(workload, IndexedWorkload)
        self.stream = constriction.stream
        self.models = [self.stream.model.Categorical(row, perfect=False) for row in workload.tables]
        self.facts = Facts(None, 1, 24, mode)

    def fresh(self, coded: Array) -> Array:
        """The same: the decoder copies it."""
        return coded

    def size(self, coded: Array) -> Size:
        """Two words of state."""
        return Size(coded.nbytes - 8, 8, None)


class ConstrictionStatic(Constriction):
    """One Categorical model for all symbols, in one call."""

    def __init__(self, workload: Workload) -> None:
        super().__init__(workload, "AnsCoder, one call")
        self._symbols = workload.symbols.ravel().astype(np.int32)

    def encode(self) -> Any:
        """Words."""
        coder = self.stream.stack.AnsCoder()
        coder.encode_reverse(self._symbols, self.models[0])
        return coder.get_compressed()

    def decode(self, coded: Array) -> Any:
        """Symbols, int32."""
        return self.stream.stack.AnsCoder(coded).decode(self.models[0], len(self._symbols))

    def same(self, decoded: Array) -> bool:
        """Exact comparison."""
        return np.array_equal(decoded, self._symbols)


class ConstrictionIndexed(Constriction):
    """Symbols in their order: one call a symbol, with the ready-made model of its table.

    The alternative is one call with a row of probabilities for each symbol; it makes a model for every
    symbol and takes three times as long. Symbol by symbol the range coder is a little faster than AnsCoder.
    """

    def __init__(self, workload: Workload) -> None:
        super().__init__(workload, "RangeEncoder, one call a symbol")
        assert isinstance(workload, IndexedWorkload)
        self._symbols: list[int] = workload.symbols.ravel().tolist()
        self._models = [self.models[table] for table in workload.index.ravel().tolist()]

    def encode(self) -> Any:
        """Words."""
        coder = self.stream.queue.RangeEncoder()
        deque(map(coder.encode, self._symbols, self._models), maxlen=0)
        return coder.get_compressed()

    def decode(self, coded: Array) -> list[int]:
        """Symbols."""
        return list(map(self.stream.queue.RangeDecoder(coded).decode, self._models))

    def same(self, decoded: list[int]) -> bool:
        """Exact comparison."""
        return decoded == self._symbols


class ConstrictionSorted(Constriction):
    """Symbols sorted by table: one call a table. Sorting and putting back in order are not timed.

    Possible only where all table indices are known before decoding starts.
    """

    def __init__(self, workload: Workload) -> None:
        super().__init__(workload, "AnsCoder, one call a table, symbols sorted by table beforehand")
        assert isinstance(workload, IndexedWorkload)
        index = workload.index.ravel()
        self._symbols = workload.symbols.ravel()[np.argsort(index, kind="stable")].astype(np.int32)
        counts = np.bincount(index, minlength=len(workload.tables))
        self._runs = np.split(self._symbols, np.cumsum(counts)[:-1])
        self._counts: list[int] = counts.tolist()

    def encode(self) -> Any:
        """Words."""
        coder = self.stream.stack.AnsCoder()
        for run, model in zip(reversed(self._runs), reversed(self.models), strict=True):
            coder.encode_reverse(run, model)
        return coder.get_compressed()

    def decode(self, coded: Array) -> list[Array]:
        """Symbols of every table."""
        decode = self.stream.stack.AnsCoder(coded).decode
        return [decode(model, count) for model, count in zip(self.models, self._counts, strict=True)]

    def same(self, decoded: list[Array]) -> bool:
        """Exact comparison."""
        return np.array_equal(np.concatenate(decoded), self._symbols)


class TorchANS:
    """torch_ans: rans64, four interleaved states in each of 32 streams, decoding by an inverse-cdf table.

    The fastest of its modes by experiment (docs/BENCHMARKS.md). At 16 bits its quantised cdf is not
    monotone and encoding never returns, so 15 bits. Streams stay tensors: its conversion to bytes, which
    takes longer than coding, is left out.
    """

    BITS, STREAMS, INTERLEAVES = 15, 32, 4

    def __init__(self, workload: Workload) -> None:
        import torch
        from torch_ans.utils import TorchANSInterface

        assert isinstance(workload, IndexedWorkload)
        torch.set_num_threads(1)
        self._coder = TorchANSInterface(
            impl="rans64",
            freq_precision=self.BITS,
            num_interleaves=self.INTERLEAVES,
            inverse_cdf_precision="auto",
            bypass_coding=False,
            device="cpu",
        )
        tables, symbols = workload.tables.shape
        sizes = torch.full((tables,), symbols, dtype=torch.int32)
        self._coder.init_params(torch.from_numpy(workload.tables), sizes, torch.zeros_like(sizes))
        self._symbols = torch.from_numpy(workload.symbols.reshape(self.STREAMS, -1).astype(np.int32))
        self._index = torch.from_numpy(workload.index.reshape(self.STREAMS, -1).astype(np.int32))
        lanes = self.STREAMS * self.INTERLEAVES
        mode = f"rans64, {self.STREAMS} streams of {self.INTERLEAVES} states, inverse-cdf table, tensors"
        self.facts = Facts(None, lanes, self.BITS, mode)

    def encode(self) -> Any:
        """Tensor of streams."""
        return self._coder.encode(self._symbols, dist_indexes=self._index)

    def decode(self, coded: Any) -> Any:
        """Tensor of symbols."""
        return self._coder.decode(coded, dist_indexes=self._index)

    def fresh(self, coded: Any) -> Any:
        """A copy: decoding consumes a stream."""
        return coded.clone()

    def same(self, decoded: Any) -> bool:
        """Exact comparison."""
        return bool((decoded == self._symbols).all())

    def size(self, coded: Any) -> Size:
        """The first element of a stream is its length in bytes, states included."""
        states = 8 * self.INTERLEAVES * self.STREAMS
        return Size(int(coded[:, 0].sum()) - states, states + 4 * self.STREAMS, None)
