# What a plan asks the function, and what comes of it.

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

run "a_bad_entry_alarms" {
  assert {
    condition = (
      aws_cloudwatch_metric_alarm.configuration.metric_name ==
      aws_cloudwatch_log_metric_filter.configuration.metric_transformation[0].name
    )
    error_message = "the alarm counts what the filter finds"
  }
}

# The settings are a change of the function, and the plan asks all the same.
run "settings_that_cannot_be_used" {
  command = plan

  variables {
    callers = { "arn:aws:iam::111111111111:group/x" = "ann@example.com" }
  }

  override_data {
    target = module.check.data.aws_lambda_invocation.this
    values = { result = "{\"problems\":[\"No.\"]}" }
  }

  expect_failures = [output.function_arn]
}

run "another_answer" {
  command = plan

  override_data {
    target = module.check.data.aws_lambda_invocation.this
    values = { result = "{}" }
  }

  expect_failures = [output.function_arn]
}
