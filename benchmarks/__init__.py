"""Benchmarks against peers, interleaved in the same run; ``python -m benchmarks`` runs them."""
