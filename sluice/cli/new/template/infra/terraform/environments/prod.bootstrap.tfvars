# For bootstrap/: the project of prod, and what on GitHub may act on it.
project_id = "my-company-__SYSTEM__-prod"
location   = "EU"

github = {
  repository_id = "123456789"
  branch        = "main"
  environment   = "prod"
}
