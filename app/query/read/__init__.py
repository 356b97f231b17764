"""Read what a scan asks for: slices of the table, each row once; and measure the queries."""
