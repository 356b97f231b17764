"""Preflight: ask Google itself whether a deployment works, as far as `terraform apply` does not tell.

    __main__      the command: options, report, exit status
    plan          names -> deployment: from a tfvars file and from the service that runs
    check         a check, as data: its questions, and a pure function that judges the answers
    catalogue     every check, in order
    runner        asks each check's questions, judges the answers
    google        one REST client; a question and its answer, as data
    finding       held, failed with the cure, or not looked at and why

The checks: service, subscription, access; and the journey, which publishes (canaries makes its messages).
"""
