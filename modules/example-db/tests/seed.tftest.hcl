# A seed function that answers with errors fails the apply.

mock_provider "aws" {
  source = "./tests/mocks"

  override_resource {
    target = aws_lambda_invocation.seed
    values = { result = "{\"body\":{},\"errors\":[\"No such role.\"]}" }
  }
}

variables {
  # Any file does where nothing is uploaded.
  package = "versions.tf"
}

run "a_seed_that_failed" {
  expect_failures = [aws_lambda_invocation.seed]
}
