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


  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:111111111111:log-group:g" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111111111111:role/sym/mock" }
  }

  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:eu-west-1:111111111111:function:f" }
  }

  mock_resource "aws_secretsmanager_secret" {
    defaults = {
      arn = "arn:aws:secretsmanager:eu-west-1:111111111111:secret:s"
    }
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
    usernames = { "ann@example.com" = "" }
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
