"""What people do today to get pushed messages into BigQuery from Python: the contenders of `bench.ingest`.

    flask_insert_rows    the tutorial: Flask under gunicorn, one `insert_rows_json` a message
    fastapi_append_rows  the next step: FastAPI under uvicorn, one `AppendRowsStream.send` a message
    append_stream        … and how it waits for the answer
    id_token             how both verify Pub/Sub's token

No straw men: each is written as its documentation has it, with the workers, threads and ways to wait that suit one core
best, and measured once more with what only those know who have looked into it: a tuned client, tokens remembered. Where
the documentation leaves a choice, it is the faster one, and the docstring says what it was chosen from.
"""
