"""List prices of Google Cloud, in US dollars, without free amounts and discounts. Pure data.

Of November 2026, for regions of the first tier (`us-central1`, `europe-west1`). They change: compare before you promise
anybody a figure. https://cloud.google.com/run/pricing (billed by instance), https://cloud.google.com/pubsub/pricing and
https://cloud.google.com/bigquery/pricing have them.
"""

_GIB, _TIB = 1024**3, 1024**4

PUBSUB_BYTE = 40 / _TIB
"""A byte published, and a byte delivered."""
APPENDED_BYTE = 0.025 / _GIB
"""A byte appended by the Storage Write API."""
STORED_BYTE_MONTH = 0.02 / _GIB
QUERIED_BYTE = 6.25 / _TIB
"""A byte read by a query, at least 10 MB a table."""
INSTANCE_S = 0.000018 + 0.000002
"""A second of an instance of 1 vCPU and 1 GiB."""
