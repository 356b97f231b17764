"""What every part of the process runs on. Imports nothing but the settings.

clock, time_of_day   a monotone microsecond clock; the machine's time of day, whose jumps are not believed at once
epoch, instants      instants as integers, and the texts a caller may write for one
deadlines            many deadlines on one timer
daemon, threads      threads that hold up no exit; how threads share one processor
memory               garbage collection and the allocators
ledger               who holds how many bytes and places
valkey               the client of what instances share
"""
