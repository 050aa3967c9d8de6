"""Call a served model from an application: history, masking, deadlines, retries."""
