"""The foundation of every part of the process. Imports nothing but the settings.

clock, time_of_day   a monotonic microsecond clock; the machine's time of day, guarded against jumps
instants             instants as integers, and the texts a caller may write for one
deadlines            many deadlines on one timer
compression          gzip, with a limit
circuit_breaker      skip a dependency while it fails; best_effort: calls that requests can do without
declarations         import what a setting names, from the working folder too
threads              threads that do not delay the exit; how threads share one processor
memory               garbage collection and the allocators
ledger               the bytes and places that each caller holds
packages             what to say of a package that is not installed
valkey               the client for state that instances share
"""
