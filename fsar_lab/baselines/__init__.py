"""Classical lossless codecs behind one small interface, and the measurement that puts them beside ours."""

from fsar_lab.baselines.base import Baseline
from fsar_lab.baselines.measure import DEFAULT, Row, measure
from fsar_lab.baselines.registry import available, get, names

__all__ = ["DEFAULT", "Baseline", "Row", "available", "get", "measure", "names"]
