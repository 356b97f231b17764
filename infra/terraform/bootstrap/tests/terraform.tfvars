project_id = "my-project"

github = {
  repository_id = "987654321"
  branch        = "main"
  environment   = "prod"
}
