"""Parse text into values, or a helpful 400: parameters, filters, cursors, and the scan they ask for. Pure."""
