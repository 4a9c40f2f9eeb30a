# What validate cannot see: who is trusted, what may be done, what is refused.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111111111111" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_data "aws_region" {
    defaults = { name = "eu-west-1" }
  }

  mock_resource "aws_apigatewayv2_api" {
    defaults = {
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

run "names" {
  assert {
    condition     = aws_iam_role.runtime_connector.name == "SymRuntimeMyTeam"
    error_message = "The Runtime Connector is SymRuntime and the name's words."
  }

  assert {
    condition = alltrue([
      for role in [
        aws_iam_role.reconcile,
        aws_iam_role.runtime,
        aws_iam_role.runtime_connector,
      ] : role.path == "/sym/"
    ])
    error_message = "Roles live under /sym/."
  }

  assert {
    condition     = output.flows_path == "/sym/my-team/flows"
    error_message = "Flows are written below the runtime's own path."
  }

  assert {
    condition     = aws_dynamodb_table.requests.name == "sym-my-team-requests"
    error_message = "The table is named after the runtime."
  }
}

run "only_the_function_is_trusted_by_default" {
  assert {
    condition = [
      for statement in jsondecode(
        aws_iam_role.runtime_connector.assume_role_policy
      ).Statement : statement.Principal.AWS
    ] == [aws_iam_role.runtime.arn]
    error_message = "By default nobody but the Runtime function is trusted."
  }
}

run "everyone_needs_the_external_id" {
  variables {
    sym_account_ids = ["222222222222", "333333333333"]
  }

  assert {
    condition = [
      for statement in jsondecode(
        aws_iam_role.runtime_connector.assume_role_policy
      ).Statement : statement.Principal.AWS
      ] == [
      aws_iam_role.runtime.arn,
      "arn:aws:iam::222222222222:root",
      "arn:aws:iam::333333333333:root",
    ]
    error_message = "The outside accounts are trusted beside the function."
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(
        aws_iam_role.runtime_connector.assume_role_policy
      ).Statement :
      statement.Condition == {
        StringEquals = { "sts:ExternalId" = output.external_id }
      }
    ])
    error_message = "Nobody assumes the Runtime Connector without the id."
  }

  assert {
    condition = can(regex(
      "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", output.external_id
    ))
    error_message = "The external id is a UUID."
  }
}

run "the_external_id_stays" {
  assert {
    condition     = output.external_id == run.names.external_id
    error_message = "A second apply made another external id."
  }
}

run "connector_reaches_sym_roles_and_tagged_secrets_only" {
  variables {
    safelist_account_ids = ["444444444444"]
  }

  assert {
    condition = {
      for statement in jsondecode(
        aws_iam_role_policy.runtime_connector.policy
      ).Statement : statement.Sid => statement
      } == {
      AssumeConnectors = {
        Sid    = "AssumeConnectors"
        Effect = "Allow"
        Action = "sts:AssumeRole"
        Resource = [
          "arn:aws:iam::111111111111:role/sym/*",
          "arn:aws:iam::444444444444:role/sym/*",
        ]
      }
      ReadTaggedSecrets = {
        Sid      = "ReadTaggedSecrets"
        Effect   = "Allow"
        Action   = "secretsmanager:GetSecretValue"
        Resource = "arn:aws:secretsmanager:eu-west-1:111111111111:secret:*"
        Condition = {
          StringEquals = { "secretsmanager:ResourceTag/SymEnv" = "my-team" }
        }
      }
    }
    error_message = "The Runtime Connector may do something else."
  }

  assert {
    condition     = aws_secretsmanager_secret.shared.tags.SymEnv == "my-team"
    error_message = "The shared secret lacks the tag that it is read by."
  }
}

run "function_assumes_the_connector_and_nothing_else" {
  assert {
    condition = flatten([
      for statement in jsondecode(
        aws_iam_role_policy.runtime.policy
      ).Statement :
      statement.Resource
      if contains(flatten([statement.Action]), "sts:AssumeRole")
    ]) == [aws_iam_role.runtime_connector.arn]
    error_message = "The Runtime function may assume another role."
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(
        aws_iam_role_policy.runtime.policy
      ).Statement :
      !contains(flatten([statement.Resource]), "*")
    ])
    error_message = "A statement of the Runtime function's holds everywhere."
  }
}

run "function_has_the_rights_that_it_uses" {
  assert {
    condition = toset(flatten([
      for statement in jsondecode(
        aws_iam_role_policy.runtime.policy
      ).Statement : statement.Action
      ])) == toset([
      "dynamodb:GetItem",
      "dynamodb:PutItem",
      "dynamodb:Query",
      "dynamodb:UpdateItem",
      "iam:GetRole",
      "logs:CreateLogStream",
      "logs:PutLogEvents",
      "ssm:GetParametersByPath",
      "states:DescribeExecution",
      "states:SendTaskSuccess",
      "states:StartExecution",
      "sts:AssumeRole",
    ])
    error_message = "The Runtime function has other rights."
  }

  assert {
    condition = [
      for statement in jsondecode(
        aws_iam_role_policy.runtime.policy
      ).Statement : statement.Resource if statement.Action == "iam:GetRole"
      ] == [
      "arn:aws:iam::111111111111:role/aws-reserved/sso.amazonaws.com/*",
    ]
    error_message = "The Runtime function reads other roles."
  }
}

run "every_route_is_signed" {
  assert {
    condition = toset(keys(aws_apigatewayv2_route.this)) == toset([
      "$default",
      "GET /flows",
      "GET /requests",
      "GET /requests/{id}",
      "POST /requests",
      "POST /requests/{id}/approve",
      "POST /requests/{id}/deny",
      "POST /requests/{id}/revoke",
    ])
    error_message = "The API has other routes."
  }

  assert {
    condition = alltrue([
      for route in aws_apigatewayv2_route.this :
      route.authorization_type == "AWS_IAM"
    ])
    error_message = "A route can be called without a signature."
  }
}

run "overdue_requests_are_looked_for_every_minute" {
  assert {
    condition = {
      for index in aws_dynamodb_table.requests.global_secondary_index :
      index.name => [index.hash_key, index.range_key, index.projection_type]
      } == {
      by_created  = ["kind", "created_at", "ALL"]
      by_deadline = ["open", "deadline", "ALL"]
    }
    error_message = "The table lacks an index that the function reads."
  }

  assert {
    condition = (
      aws_scheduler_schedule.reconcile.schedule_expression == "rate(1 minute)"
      && aws_scheduler_schedule.reconcile.target[0].arn
      == aws_lambda_function.runtime.arn
      && jsondecode(aws_scheduler_schedule.reconcile.target[0].input)
      == { step = "reconcile" }
    )
    error_message = "The Runtime function is not asked every minute."
  }

  assert {
    condition = [
      for statement in jsondecode(
        aws_iam_role_policy.reconcile.policy
      ).Statement : [statement.Action, statement.Resource]
    ] == [["lambda:InvokeFunction", aws_lambda_function.runtime.arn]]
    error_message = "The schedule may do something else."
  }
}

run "failed_calls_reach_the_error_topic" {
  assert {
    condition = alltrue([
      for alarm in [
        aws_cloudwatch_metric_alarm.api_errors,
        aws_cloudwatch_metric_alarm.runtime_errors,
      ] : alarm.alarm_actions == toset([aws_sns_topic.errors.arn])
    ])
    error_message = "An alarm is told to nobody."
  }

  assert {
    condition = aws_cloudwatch_metric_alarm.api_errors.dimensions == tomap({
      ApiId = aws_apigatewayv2_api.this.id
    })
    error_message = "The alarm watches another API."
  }
}

run "a_name_that_fits_nowhere" {
  command = plan

  variables {
    runtime_name = "my team!"
  }

  expect_failures = [var.runtime_name]
}

run "a_name_in_capitals" {
  command = plan

  variables {
    runtime_name = "MyTeam"
  }

  expect_failures = [var.runtime_name]
}

run "a_name_with_an_underscore" {
  command = plan

  variables {
    runtime_name = "my_team"
  }

  expect_failures = [var.runtime_name]
}

run "a_name_too_long_for_a_role" {
  command = plan

  variables {
    runtime_name = "abcdefghijklmnopqrstuvwxyz-abcdef"
  }

  expect_failures = [var.runtime_name]
}

run "account_ids_that_are_none" {
  command = plan

  variables {
    safelist_account_ids = ["1234"]
    sym_account_ids      = ["arn:aws:iam::222222222222:root"]
  }

  expect_failures = [var.safelist_account_ids, var.sym_account_ids]
}

run "a_caller_without_an_address" {
  command = plan

  variables {
    callers = { "arn:aws:iam::111111111111:user/ann" = "ann" }
  }

  expect_failures = [var.callers]
}

run "a_package_that_was_not_built" {
  command = plan

  variables {
    package = "no-such.zip"
  }

  expect_failures = [var.package]
}

run "an_unknown_architecture" {
  command = plan

  variables {
    architecture = "sparc"
  }

  expect_failures = [var.architecture]
}
