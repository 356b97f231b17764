"""`sluice new`: a project that is a record type and the version of Sluice that serves it.

command   `sluice new`: the options, and what to do next
origin    where this installation comes from, so that a project refers to the same one
project   the files of a project, as texts; pure
template  those files as they are in a project, with names such as __SYSTEM__ to be filled in
"""
