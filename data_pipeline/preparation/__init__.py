"""The steps from a behavior log to a dataset; front door: `pipeline.prepare_dataset`."""
