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

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws-us-gov:logs:us-gov-west-1:111111111111:log-group:g" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws-us-gov:iam::111111111111:role/sym/mock" }
  }

  mock_resource "aws_sfn_state_machine" {
    defaults = { arn = "arn:aws-us-gov:states:us-gov-west-1:111111111111:stateMachine:m" }
  }
}

variables {
  flow_vars = {
    approvers       = " Ann@Example.com,, ben@example.com ,ann@example.com"
    request_channel = "#access"
  }
  function_arn = "arn:aws-us-gov:lambda:us-gov-west-1:111111111111:function:postgres"
  runtime = {
    check_alias           = "check"
    code_version          = "2026-11-24T12:00:00.000+0000"
    connector_account_ids = ["111111111111", "222222222222"]
    connector_role_arn    = "arn:aws-us-gov:iam::111111111111:role/sym/SymRuntimeProd"
    error_topic_arn       = "arn:aws-us-gov:sns:us-gov-west-1:111111111111:errors"
    flows_path            = "/sym/prod/flows"
    function_arn          = "arn:aws-us-gov:lambda:us-gov-west-1:111111111111:function:rt"
    function_name         = "rt"
    runtime_name          = "prod"
  }
  targets = [
    { role_name = "read_only", label = "Read only", max_duration = 600 },
    { role_name = "readwrite", default_duration = 60 },
  ]
}

run "every_arn_is_of_the_partition" {
  assert {
    condition = length(regexall("arn:[a-z-]+:", jsonencode([
      aws_sfn_state_machine.this.definition,
      aws_ssm_parameter.flow.insecure_value,
      aws_iam_role.state_machine.assume_role_policy,
      aws_iam_role_policy.state_machine.policy,
      values(aws_ssm_parameter.target)[*].insecure_value,
    ]))) > 0
    error_message = "There is no ARN to look at."
  }

  assert {
    condition = toset(flatten(regexall("arn:([a-z-]+):", jsonencode([
      aws_sfn_state_machine.this.definition,
      aws_ssm_parameter.flow.insecure_value,
      aws_iam_role.state_machine.assume_role_policy,
      aws_iam_role_policy.state_machine.policy,
      values(aws_ssm_parameter.target)[*].insecure_value,
    ])))) == toset(["aws-us-gov"])
    error_message = "An ARN is of another partition."
  }
}
