# What belongs to the deploy workflow is left alone by every apply after the first.

mock_provider "google" {
  source = "./tests/mocks"
}

run "the_first_apply" {
  command = apply

  # terraform test wants ephemeral variables to be said when it applies.
  variables {
    slack_token   = ""
    pagerduty_key = ""
  }

  assert {
    condition     = google_cloud_run_v2_service.main["main"].template[0].containers[0].image == var.first_image
    error_message = "The first image is the variable's."
  }
}

run "a_later_apply_leaves_the_image_to_the_deploy_workflow" {
  command = plan

  variables {
    first_image = "us-docker.pkg.dev/cloudrun/container/hello"
  }

  assert {
    condition     = startswith(google_cloud_run_v2_service.main["main"].template[0].containers[0].image, "europe-west1-docker.pkg.dev/")
    error_message = "An apply must not bring another image back than the one that runs."
  }
}
