"""Reports and explanations of results: tables, figures, pages."""
