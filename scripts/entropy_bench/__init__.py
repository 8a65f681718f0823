"""The benchmark of the entropy coder: workloads, coders, the processes they run in, tables of results.

scripts/bench_entropy.py is the entry; every file here has one part of it.
"""
