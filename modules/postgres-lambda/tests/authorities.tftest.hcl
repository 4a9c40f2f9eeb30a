# Certificate authorities of one's own: where they are kept, and what is refused.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111111111111" }
  }

  mock_data "aws_lambda_invocation" {
    defaults = { result = "{\"problems\":[]}" }
  }

  mock_data "aws_partition" {
    defaults = { dns_suffix = "amazonaws.com", partition = "aws" }
  }

  mock_data "aws_region" {
    defaults = { name = "eu-west-1" }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:111111111111:log-group:g" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111111111111:role/sym/mock" }
  }

  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:eu-west-1:111111111111:function:f" }
  }
}

variables {
  connection      = { host = "db.example.com", user = "sym_broker" }
  error_topic_arn = "arn:aws:sns:eu-west-1:111111111111:errors"
  name            = "sym-prod-postgres"
  # Any file does where nothing is uploaded.
  package    = "versions.tf"
  roles      = ["readonly", "readwrite"]
  subnet_ids = ["subnet-1"]
}

run "none" {
  command = plan

  assert {
    condition     = length(aws_secretsmanager_secret.authorities) == 0
    error_message = "There is a secret for nothing."
  }

  assert {
    condition = !contains(keys(
      aws_lambda_function.this.environment[0].variables
    ), "PG_CERTIFICATE_AUTHORITIES_ARN")
    error_message = "The function looks for authorities."
  }
}

run "in_a_secret" {
  variables {
    certificate_authorities = <<-EOT
      # Ours.
      -----BEGIN CERTIFICATE-----
      MIIB+w==
      -----END CERTIFICATE-----
      -----BEGIN CERTIFICATE-----
      MIIB/g==
      -----END CERTIFICATE-----
    EOT
  }

  assert {
    condition = (
      aws_secretsmanager_secret_version.authorities[0].secret_string ==
      var.certificate_authorities
    )
    error_message = "The secret has something else."
  }

  assert {
    condition = (
      aws_lambda_function.this.environment[0].variables[
        "PG_CERTIFICATE_AUTHORITIES_ARN"
      ] == aws_secretsmanager_secret.authorities[0].arn
    )
    error_message = "The function does not know the secret."
  }

  # Another text starts the function anew.
  assert {
    condition = (
      aws_lambda_function.this.environment[0].variables[
        "PG_CERTIFICATE_AUTHORITIES_SHA256"
      ] == sha256(var.certificate_authorities)
    )
    error_message = "The function does not see that they have changed."
  }

  assert {
    condition = one([
      for statement in jsondecode(aws_iam_role_policy.this.policy).Statement :
      [statement.Action, statement.Resource]
      if statement.Sid == "ReadAuthorities"
      ]) == [
      "secretsmanager:GetSecretValue",
      aws_secretsmanager_secret.authorities[0].arn,
    ]
    error_message = "The function may not read the secret."
  }

  # What is measured before the apply has the same settings.
  assert {
    condition = toset(keys(local._measured)) == toset(keys(
      aws_lambda_function.this.environment[0].variables
    ))
    error_message = "Another environment is measured."
  }
}

run "the_path_of_a_file" {
  command = plan

  variables {
    certificate_authorities = "/etc/ssl/authorities.pem"
  }

  expect_failures = [aws_secretsmanager_secret.authorities]
}

run "cut_off" {
  command = plan

  variables {
    certificate_authorities = <<-EOT
      -----BEGIN CERTIFICATE-----
      MIIB+w==
      -----END CERTIFICATE-----
      -----BEGIN CERTIFICATE-----
      MIIB
    EOT
  }

  expect_failures = [aws_secretsmanager_secret.authorities]
}

run "with_a_key" {
  command = plan

  variables {
    certificate_authorities = <<-EOT
      -----BEGIN CERTIFICATE-----
      MIIB+w==
      -----END CERTIFICATE-----
      -----BEGIN PRIVATE KEY-----
      MIIB
      -----END PRIVATE KEY-----
    EOT
  }

  expect_failures = [aws_secretsmanager_secret.authorities]
}

run "longer_than_a_secret" {
  command = plan

  variables {
    certificate_authorities = join("\n", [
      for n in range(1000) :
      "-----BEGIN CERTIFICATE-----\nMIIB+wMIIB+w==\n-----END CERTIFICATE-----"
    ])
  }

  expect_failures = [aws_secretsmanager_secret.authorities]
}
