"""What a process of the service takes by itself (`make bench-start`): time to start, and memory then and later.

time_to_ready  from the process's begin to its first 200 on `/health/ready`
bare           what no start can be below: the same server with an application that says 200
memory         what is held when idle, under load, and after each of eight bursts
"""
