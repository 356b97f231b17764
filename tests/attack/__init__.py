"""The attacks: small inputs, slow readers and idle sockets, and what the neighbours of each one feel.

    plan        each attack as data: what it sends, on how many connections, for how long
    payloads    bodies inside every documented limit that become something large
    openings    what a connection says that is then held open
    h2          as much of HTTP/2 as an attacker needs
    client      sends one attack, in a process of its own
    neighbours  a liveness probe, a producer, a reader and a follower, timed while the attack goes on
    scene       the service under attack: started for it, or one that runs already
    run         before, during and after one attack
    verdict     figures against what must hold: pure
    report      the figures as a table, JSON and Markdown

`python -m tests.attack --help` (or `make attack`) runs them.
"""
