"""What the speed of the adapters is measured with: `python -m benchmarks`."""
