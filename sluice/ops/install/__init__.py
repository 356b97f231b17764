"""`sluice install` and `destroy`: from an empty project to records that are pushed, as recorded steps.

- command.py: the options; the steps in order
- names.py: what a person decided, read from the files of the environment
- shell.py: the one seam to terraform, gcloud, gh and git; `--plan` shows the commands instead
- state.py: which steps are done, in a file that survives an interruption
- google.py, github.py, rollout.py: the steps
- destroy.py: the way back

A step is repeated as a whole if it was interrupted, so each command either may be repeated or first asks what is there.
"""
