# What is refused of the variable that is an object, and what is left out of it.

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

  mock_resource "aws_apigatewayv2_api" {
    defaults = {
      api_endpoint  = "https://api.example.com"
      execution_arn = "arn:aws:execute-api:eu-west-1:111111111111:api"
    }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:111111111111:log-group:g" }
  }

  mock_resource "aws_dynamodb_table" {
    defaults = { arn = "arn:aws:dynamodb:eu-west-1:111111111111:table/t" }
  }

  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-west-1:111111111111:key/k" }
  }

  mock_resource "aws_lambda_function" {
    defaults = {
      arn        = "arn:aws:lambda:eu-west-1:111111111111:function:f"
      invoke_arn = "arn:aws:apigateway:eu-west-1:lambda:path/f/invocations"
    }
  }

  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::audit" }
  }

  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-west-1:111111111111:errors" }
  }
}

override_resource {
  target = aws_iam_role.reconcile
  values = { arn = "arn:aws:iam::111111111111:role/sym/sym-my-team-reconcile" }
}

override_resource {
  target = aws_iam_role.runtime
  values = { arn = "arn:aws:iam::111111111111:role/sym/sym-my-team-runtime" }
}

override_resource {
  target = aws_iam_role.runtime_connector
  values = { arn = "arn:aws:iam::111111111111:role/sym/SymRuntimeMyTeam" }
}

variables {
  # Any file does where nothing is uploaded.
  package      = "versions.tf"
  runtime_name = "my-team"
  sym_org_slug = "acme"
}

run "what_is_left_out_is_its_default" {
  variables {
    audit_bucket = { retention_days = "30", mode = null }
  }

  assert {
    condition = jsonencode(local.audit_buckets) == jsonencode([{
      mode           = "GOVERNANCE"
      retention_days = 30
    }])
    error_message = "Another bucket: ${jsonencode(local.audit_buckets)}"
  }
}

run "a_misspelt_field" {
  command = plan

  variables {
    audit_bucket = { mod = "COMPLIANCE", retention_days = 30 }
  }

  expect_failures = [var.audit_bucket]
}

run "a_bucket_without_days" {
  command = plan

  variables {
    audit_bucket = { mode = "COMPLIANCE" }
  }

  expect_failures = [var.audit_bucket]
}

run "days_in_words" {
  command = plan

  variables {
    audit_bucket = { retention_days = "a year" }
  }

  expect_failures = [var.audit_bucket]
}

run "half_a_day" {
  command = plan

  variables {
    audit_bucket = { retention_days = 0.5 }
  }

  expect_failures = [var.audit_bucket]
}

run "a_bucket_by_its_name" {
  command = plan

  variables {
    audit_bucket = "my-bucket"
  }

  expect_failures = [var.audit_bucket]
}

run "a_mode_that_is_a_list" {
  command = plan

  variables {
    audit_bucket = { mode = ["COMPLIANCE"], retention_days = 30 }
  }

  expect_failures = [var.audit_bucket]
}
