"""A BigQueryWrite server that misbehaves on purpose, over real sockets.

    the client -- Wire (a TCP relay: cut, frozen, refusing) -- gRPC -- MisbehavingServer -- Shelf (the stored rows)

What goes wrong is decided apart from the I/O that carries it out. A test gives the server a function from an Arrival
(which request of which connection, with which rows) to a Fault, which is a small value (faults.py).
Time is the test's clock, so a commit that lands 15 s late lands when the test says that 15 s have passed. What a
client of BigQuery must never do, such as leaving out the stream's name, is noted in `violations`.

server        MisbehavingServer, behind a wire (wire: the relay); stream: one AppendRows call of it
faults        what can befall an append, as values; answers: what the server says then
rows          reads what was appended, and keeps it
waiting       waits for what sockets bring
"""
