"""Studies and timings; each file names its command and the JSON it writes."""
