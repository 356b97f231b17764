# Where the state of prod is: the bucket that bootstrap/ makes.
bucket = "my-company-__SYSTEM__-prod-terraform"
prefix = "__SYSTEM__"
