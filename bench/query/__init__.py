"""What reading over HTTP costs: the whole service as a process, over the embedded store with a million rows.

measured, one at a time   api                 `make bench-query`: the parts below, and where they stand in the results
                          pages               pages, look-ups, statistics and 304, over one connection
                          exports             `limit=all`, with the memory that the service holds meanwhile
measured, many at once    load                `make load`: 50, 200 and 500 clients
                          load_users          who they are, in an environment of their own (Locust)
what is read              rows                a million records of the last thirty days
who is asked              served              the service, and what stands in for it, as processes
                          constant            the ceiling: a bare application whose answers are ready
who asks                  keep_alive          one connection, one request after the other
                          export_client       a reader of exports in a process of its own
"""
