# Where the state of staging is: the bucket that bootstrap/ made.
bucket = "my-company-sluice-staging-terraform"
prefix = "sluice"
