"""The foundation of every part of the process. Imports nothing but the settings.

clock, time_of_day   a monotonic microsecond clock; the machine's time of day, guarded against jumps
instants             instants as integers, and the texts a caller may write for one; half-open ranges of them
deadlines            many deadlines on one timer; calls that requests can do without
single_flight        equal work under way is done once
circuit_breaker      skip a dependency while it fails
imports              import what a setting names; what to say of a package that is not installed
threads              threads that do not delay the exit; how threads share one processor
memory               garbage collection and the allocators
ledger               the bytes and places that each caller holds
valkey               the client for state that instances share
"""
