"""Preflight: ask Google itself whether a deployment can work (`before`), and whether it does (`after`).

    __main__      the command: options, report, exit status
    plan          names -> deployment: from a tfvars file and from the service that runs
    catalogue     every check, in order
    runner        asks each check's questions, judges the answers
    google        one REST client; a question and its answer, as data
    canaries      the message that the journey follows, for each stream
    finding       held, failed with the cure, or not looked at and why
    transcript    what may be attached to an issue

before   project, policies, locations, quotas
after    service, tables, statements, subscription, access, monitoring; append, journey (these two do more than ask)

Most checks are data: the questions that a deployment raises, and a pure function that judges the answers.
"""
