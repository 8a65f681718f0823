"""Parts of scripts/bench_codec.py: images, coders, measurement, report."""
