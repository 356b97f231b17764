"""`sluice preflight`: ask Google what a successful `terraform apply` does not tell.

- command.py: the options, and the report
- deployment.py: the names of a stream's resources from a tfvars file, and the service that runs
- google.py: Google's REST APIs
- checks.py: the checks that only read; each held, failed with the cure, or could not be made
"""
