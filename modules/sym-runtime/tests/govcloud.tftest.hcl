# What is another in GovCloud.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111111111111" }
  }

  mock_data "aws_lambda_invocation" {
    defaults = { result = "{\"problems\":[]}" }
  }

  mock_data "aws_partition" {
    defaults = { dns_suffix = "amazonaws.com", partition = "aws-us-gov" }
  }

  mock_data "aws_region" {
    defaults = { name = "us-gov-west-1" }
  }

  mock_resource "aws_apigatewayv2_api" {
    defaults = {
      api_endpoint  = "https://api.example.com"
      execution_arn = "arn:aws-us-gov:execute-api:us-gov-west-1:111111111111:api"
    }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws-us-gov:logs:us-gov-west-1:111111111111:log-group:g" }
  }

  mock_resource "aws_dynamodb_table" {
    defaults = { arn = "arn:aws-us-gov:dynamodb:us-gov-west-1:111111111111:table/t" }
  }

  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws-us-gov:kms:us-gov-west-1:111111111111:key/k" }
  }

  mock_resource "aws_lambda_function" {
    defaults = {
      arn        = "arn:aws-us-gov:lambda:us-gov-west-1:111111111111:function:f"
      invoke_arn = "arn:aws-us-gov:apigateway:us-gov-west-1:lambda:path/f/invocations"
    }
  }

  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws-us-gov:s3:::audit" }
  }

  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws-us-gov:sns:us-gov-west-1:111111111111:errors" }
  }
}

override_resource {
  target = aws_iam_role.reconcile
  values = { arn = "arn:aws-us-gov:iam::111111111111:role/sym/sym-my-team-reconcile" }
}

override_resource {
  target = aws_iam_role.runtime
  values = { arn = "arn:aws-us-gov:iam::111111111111:role/sym/sym-my-team-runtime" }
}

override_resource {
  target = aws_iam_role.runtime_connector
  values = { arn = "arn:aws-us-gov:iam::111111111111:role/sym/SymRuntimeMyTeam" }
}

variables {
  audit_bucket         = { retention_days = 1 }
  safelist_account_ids = ["222222222222"]
  sym_account_ids      = ["333333333333"]
  # Any file does where nothing is uploaded.
  package      = "versions.tf"
  runtime_name = "my-team"
  sym_org_slug = "acme"
}

run "every_arn_is_of_the_partition" {
  assert {
    condition = length(regexall("arn:[a-z-]+:", jsonencode([
      aws_iam_role.reconcile.assume_role_policy,
      aws_iam_role.runtime.assume_role_policy,
      aws_iam_role.runtime_connector.assume_role_policy,
      aws_iam_role_policy.reconcile.policy,
      aws_iam_role_policy.runtime.policy,
      aws_iam_role_policy.runtime_connector.policy,
      aws_kms_key.errors.policy,
      aws_sns_topic_policy.errors.policy,
      aws_s3_bucket_policy.audit[0].policy,
      aws_lambda_function.runtime.environment[0].variables,
      output.error_topic_arn,
    ]))) > 0
    error_message = "There is no ARN to look at."
  }

  assert {
    condition = toset(flatten(regexall("arn:([a-z-]+):", jsonencode([
      aws_iam_role.reconcile.assume_role_policy,
      aws_iam_role.runtime.assume_role_policy,
      aws_iam_role.runtime_connector.assume_role_policy,
      aws_iam_role_policy.reconcile.policy,
      aws_iam_role_policy.runtime.policy,
      aws_iam_role_policy.runtime_connector.policy,
      aws_kms_key.errors.policy,
      aws_sns_topic_policy.errors.policy,
      aws_s3_bucket_policy.audit[0].policy,
      aws_lambda_function.runtime.environment[0].variables,
      output.error_topic_arn,
    ])))) == toset(["aws-us-gov"])
    error_message = "An ARN is of another partition."
  }
}

run "services_and_conditions" {
  assert {
    condition = toset(flatten([
      for policy in [
        aws_iam_role.reconcile.assume_role_policy,
        aws_iam_role.runtime.assume_role_policy,
        aws_kms_key.errors.policy,
        aws_sns_topic_policy.errors.policy,
      ] : regexall("\"Service\":\"([^\"]+)\"", policy)
      ])) == toset([
      "cloudwatch.amazonaws.com", "lambda.amazonaws.com",
      "scheduler.amazonaws.com",
    ])
    error_message = "Services are called the same in every partition."
  }

  assert {
    condition = one([
      for statement in jsondecode(aws_kms_key.errors.policy).Statement :
      statement.Condition.StringEquals["kms:ViaService"]
      if statement.Sid == "PublishersThroughSns"
    ]) == "sns.us-gov-west-1.amazonaws.com"
    error_message = "KMS is called by a host of the partition."
  }
}
