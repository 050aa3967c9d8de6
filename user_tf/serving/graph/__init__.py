"""The path from raw strings to a Batch, inside the exported graph."""
