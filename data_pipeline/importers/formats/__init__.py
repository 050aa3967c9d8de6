"""File formats that importers share."""
