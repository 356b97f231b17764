# For bootstrap/: the project of dev, and what on GitHub may act on it.
project_id = "my-company-__SYSTEM__-dev"
location   = "EU"

github = {
  repository_id = "123456789"
  branch        = "develop"
  environment   = "dev"
}
