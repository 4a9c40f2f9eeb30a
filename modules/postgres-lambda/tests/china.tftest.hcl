# What is another in China.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111111111111" }
  }

  mock_data "aws_lambda_invocation" {
    defaults = { result = "{\"problems\":[]}" }
  }

  mock_data "aws_partition" {
    defaults = { dns_suffix = "amazonaws.com.cn", partition = "aws-cn" }
  }

  mock_data "aws_region" {
    defaults = { name = "cn-north-1" }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws-cn:logs:cn-north-1:111111111111:log-group:g" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws-cn:iam::111111111111:role/sym/mock" }
  }

  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws-cn:lambda:cn-north-1:111111111111:function:f" }
  }
}

variables {
  readers         = { instance_id = "main", resource_ids = ["db-DEF"] }
  auth            = "iam"
  connection      = { host = "db.example.com", user = "sym_broker" }
  db_resource_id  = "db-ABC"
  error_topic_arn = "arn:aws-cn:sns:cn-north-1:111111111111:errors"
  name            = "sym-prod-postgres"
  # Any file does where nothing is uploaded.
  package    = "versions.tf"
  roles      = ["readonly", "readwrite"]
  subnet_ids = ["subnet-1"]
}

run "every_arn_is_of_the_partition" {
  assert {
    condition = length(regexall("arn:[a-z-]+:", jsonencode([
      aws_iam_role.this.assume_role_policy,
      aws_iam_role.sweep.assume_role_policy,
      aws_iam_role_policy.this.policy,
      aws_iam_role_policy.sweep.policy,
      aws_lambda_function.this.environment[0].variables,
      output.function_arn,
    ]))) > 0
    error_message = "There is no ARN to look at."
  }

  assert {
    condition = toset(flatten(regexall("arn:([a-z-]+):", jsonencode([
      aws_iam_role.this.assume_role_policy,
      aws_iam_role.sweep.assume_role_policy,
      aws_iam_role_policy.this.policy,
      aws_iam_role_policy.sweep.policy,
      aws_lambda_function.this.environment[0].variables,
      output.function_arn,
    ])))) == toset(["aws-cn"])
    error_message = "An ARN is of another partition."
  }
}
