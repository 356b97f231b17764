"""How many pushed messages one core takes in, and what it costs: the service, and the ceilings of the machine.

measured             compare         `make bench-ingest`: messages a second of every contender, and under other loads
                     latency         … what is added to the store's acknowledgement, at half and nine tenths of the load
                     heavy_messages  `make bench-heavy`: what one heavy message costs (heavy_cases: which)
who is measured      contenders      each as a process of its own on one core, and the null store
                     ceilings        what no service can exceed
what they are given  messages        the pushes: their size, how many records, how many at once
                     load            the load: plain sockets and epoll, closed or open
in which order       rounds          contender after contender, in turn
what came of it      cells           figures of rounds, their medians and ratios
"""
