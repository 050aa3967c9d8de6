"""Studies and timings whose JSON README quotes; each file says its command."""
