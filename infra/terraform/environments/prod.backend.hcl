# Where the state of prod is: the bucket that bootstrap/ made.
bucket = "my-company-sluice-prod-terraform"
prefix = "sluice"
