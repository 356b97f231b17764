# For bootstrap/: the project of staging, and what on GitHub may act on it.
project_id = "my-company-sluice-staging"
location   = "EU"

github = {
  repository_id = "123456789"
  branch        = "staging"
  environment   = "staging"
}
