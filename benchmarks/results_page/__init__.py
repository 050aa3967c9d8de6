"""Write README's results, RESULTS.md and the flagfiles' results from `benchmarks/results`."""
