"""What records cost on Google Cloud: ingest by list prices, reading by the model of tests/support/billing.

readers    those whose bill is compared: followers, a dashboard, a walk of a day, look-ups by id
ingest     what records cost on their way into the table
prices     Google's list prices
freshness  how old the feed is
fresh      that age, and what it costs
"""
