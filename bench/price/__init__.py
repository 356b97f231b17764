"""What reading costs on BigQuery, by the model of tests/support/billing.

readers    those whose bill is compared: followers, a dashboard, a walk of a day, look-ups by id
at_hand    how long a page takes from a chunk at hand
freshness  how old the feed is, with watermarks and without
fresh      that age, and what it costs
"""
