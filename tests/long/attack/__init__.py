"""The attacks: small inputs, slow readers and idle sockets, and what the neighbours of each one feel.

plan        each attack as data: what it sends, on how many connections, for how long
payloads    bodies inside every documented limit that become something large
openings    what a connection says that is then held open
client      sends one attack, in a process of its own
neighbours  a liveness probe, a producer, a reader and a follower, timed while the attack goes on
run         a service before, during and after one attack
verdict     figures against what must hold: pure
"""
