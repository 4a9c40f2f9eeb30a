# What validate cannot see: what the role is called, who may assume it, what it
# may do.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "222222222222" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::222222222222:role/sym/mock" }
  }
}

variables {
  flow_name    = "postgres"
  function_arn = "arn:aws:lambda:eu-west-1:222222222222:function:postgres"
  runtime = {
    connector_role_arn = "arn:aws:iam::111111111111:role/sym/SymRuntimeProd"
  }
}

run "name" {
  assert {
    condition = (
      aws_iam_role.this.name == "SymLambdaPostgres" &&
      aws_iam_role.this.path == "/sym/"
    )
    error_message = "The Lambda Connector is /sym/SymLambda and the flow."
  }

  assert {
    condition     = output.account_id == "222222222222"
    error_message = "The flow has to know which account the role is in."
  }
}

run "a_flow_of_two_words" {
  variables {
    flow_name = "on-call"
  }

  assert {
    condition     = aws_iam_role.this.name == "SymLambdaOnCall"
    error_message = "Each word of the flow's name has its capital."
  }
}

run "a_second_region" {
  variables {
    runtime = {
      connector_role_arn = "arn:aws:iam::111111111111:role/sym/SymRuntimeProd"
      global_suffix      = "-eu-west-1"
    }
  }

  assert {
    condition     = aws_iam_role.this.name == "SymLambdaPostgres-eu-west-1"
    error_message = "IAM's names are one region's as well as the other's."
  }
}

run "only_the_runtime_connector_is_trusted" {
  assert {
    condition = [
      for statement in jsondecode(aws_iam_role.this.assume_role_policy).Statement :
      statement.Principal
    ] == [{ AWS = "arn:aws:iam::111111111111:role/sym/SymRuntimeProd" }]
    error_message = "The Lambda Connector trusts someone else."
  }

  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.this.policy).Statement :
      [statement.Action, statement.Resource]
    ] == [["lambda:InvokeFunction", var.function_arn]]
    error_message = "The Lambda Connector may do something else."
  }
}

run "a_flow_of_another_form" {
  command = plan

  variables {
    flow_name = "Postgres"
  }

  expect_failures = [var.flow_name]
}
