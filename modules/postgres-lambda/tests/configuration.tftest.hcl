# What a plan asks the function, and what comes of it.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111111111111" }
  }

  mock_data "aws_lambda_invocation" {
    defaults = { result = "{\"problems\":[]}" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_data "aws_region" {
    defaults = { name = "eu-west-1" }
  }

  mock_data "aws_subnet" {
    defaults = { vpc_id = "vpc-1" }
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

run "settings_are_checked_by_the_alias_and_bad_ones_alarm" {
  assert {
    condition = (
      data.aws_lambda_invocation.check_settings.qualifier == "check" &&
      jsondecode(data.aws_lambda_invocation.check_settings.input).settings
      == local._settings
    )
    error_message = "the function is asked about what it will be given"
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.configuration.namespace == "Sym" &&
      aws_cloudwatch_metric_alarm.configuration.metric_name ==
      aws_cloudwatch_log_metric_filter.configuration.metric_transformation[0].name
    )
    error_message = "the alarm counts what the filter finds"
  }
}

run "settings_that_cannot_be_used" {
  command = plan

  override_data {
    target = data.aws_lambda_invocation.check_settings
    values = { result = "{\"problems\":[\"PG_USERNAMES: no\"]}" }
  }

  expect_failures = [data.aws_lambda_invocation.check_settings]
}
