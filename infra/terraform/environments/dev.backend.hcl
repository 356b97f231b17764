# Where the state of dev is: the bucket that bootstrap/ made.
bucket = "my-company-sluice-dev-terraform"
prefix = "sluice"
