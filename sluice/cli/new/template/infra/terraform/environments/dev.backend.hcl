# Where the state of dev is: the bucket that bootstrap/ makes.
bucket = "my-company-__SYSTEM__-dev-terraform"
prefix = "__SYSTEM__"
