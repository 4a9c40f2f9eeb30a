# What validate cannot see: who is trusted, what may be done, what is refused.

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
      ["arn:aws:iam::222222222222:root", "arn:aws:iam::333333333333:root"],
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
      "lambda:InvokeFunction",
      "logs:CreateLogStream",
      "logs:GetLogEvents",
      "logs:PutLogEvents",
      "sns:Publish",
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

  assert {
    condition = flatten([
      for statement in jsondecode(
        aws_iam_role_policy.runtime.policy
      ).Statement : statement.Resource
      if contains(
        ["lambda:InvokeFunction", "sns:Publish"], try(statement.Action, "")
      )
      ]) == [
      "arn:aws:lambda:eu-west-1:111111111111:function:sym-my-team-runtime",
      "arn:aws:sns:eu-west-1:111111111111:errors",
    ]
    error_message = "The Runtime function invokes or publishes elsewhere."
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(
        aws_iam_role_policy.runtime.policy
        ).Statement : !contains(
        flatten([statement.Action]), "dynamodb:DeleteItem"
      )
    ])
    error_message = "The Runtime function deletes what it has written."
  }
}

run "every_route_is_signed" {
  assert {
    condition = toset(keys(aws_apigatewayv2_route.this)) == toset([
      "$default",
      "GET /flows",
      "GET /me",
      "GET /requests",
      "GET /requests/{id}",
      "POST /requests",
      "POST /requests/{id}/approve",
      "POST /requests/{id}/deny",
      "POST /requests/{id}/extend",
      "POST /requests/{id}/review",
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

run "without_a_workspace_there_is_no_slack" {
  variables {
    error_channel = "#errors"
    slack_users   = { U012AB3CD = "ann@example.com" }
  }

  assert {
    condition = (
      length(aws_apigatewayv2_route.slack) == 0
      && output.slack_commands_url == null
      && output.slack_interactions_url == null
    )
    error_message = "Somebody can call the Slack routes."
  }

  assert {
    condition = alltrue([
      for name in keys(
        aws_lambda_function.runtime.environment[0].variables
      ) : !strcontains(name, "SLACK") && name != "SYM_ERROR_CHANNEL"
    ])
    error_message = "The function is told of Slack."
  }

  assert {
    condition     = length(aws_sns_topic_subscription.error_channel) == 0
    error_message = "Errors go to a channel that does not exist."
  }
}

run "slack_in_a_workspace" {
  variables {
    error_channel      = "#errors"
    slack_users        = { U012AB3CD = "ann@example.com" }
    slack_workspace_id = "T0123456789"
  }

  assert {
    condition = {
      for key, route in aws_apigatewayv2_route.slack :
      key => route.authorization_type
      } == {
      "POST /slack/commands"     = "NONE"
      "POST /slack/interactions" = "NONE"
    }
    error_message = "Slack cannot call, or something else can."
  }

  assert {
    condition = (
      output.slack_commands_url == "https://api.example.com/slack/commands"
      && output.slack_interactions_url
      == "https://api.example.com/slack/interactions"
    )
    error_message = "The outputs do not say what to tell Slack."
  }

  assert {
    condition = {
      for name, value in aws_lambda_function.runtime.environment[0].variables :
      name => value if strcontains(name, "SLACK") || name == "SYM_ERROR_CHANNEL"
      } == {
      SYM_ERROR_CHANNEL      = "#errors"
      SYM_SLACK_USERS        = "{\"U012AB3CD\":\"ann@example.com\"}"
      SYM_SLACK_WORKSPACE_ID = "T0123456789"
    }
    error_message = "The function does not know what it has to of Slack."
  }

  assert {
    condition = (
      aws_sns_topic_subscription.error_channel[0].endpoint
      == aws_lambda_function.runtime.arn
      && aws_lambda_permission.error_topic[0].source_arn
      == aws_sns_topic.errors.arn
    )
    error_message = "Errors that others publish do not reach the channel."
  }
}

run "slack_without_an_error_channel" {
  variables {
    slack_workspace_id = "T0123456789"
  }

  assert {
    condition = !contains(keys(
      aws_lambda_function.runtime.environment[0].variables
    ), "SYM_ERROR_CHANNEL")
    error_message = "There is a channel that nobody has named."
  }

  assert {
    condition     = length(aws_sns_topic_subscription.error_channel) == 0
    error_message = "Errors go to a channel that is not set."
  }
}

run "the_audit_has_a_log_of_its_own" {
  assert {
    condition = (
      aws_cloudwatch_log_group.audit.name == "/sym/my-team/audit"
      && aws_cloudwatch_log_group.audit.retention_in_days == 400
      && aws_cloudwatch_log_group.audit.skip_destroy
      && output.audit_log_group_name == aws_cloudwatch_log_group.audit.name
    )
    error_message = "The audit log is elsewhere, or goes too early."
  }

  assert {
    condition = {
      for name, value in aws_lambda_function.runtime.environment[0].variables :
      name => value if strcontains(name, "AUDIT")
    } == { SYM_AUDIT_LOG_GROUP = "/sym/my-team/audit" }
    error_message = "The function does not know the audit log, or more."
  }

  assert {
    condition = (
      length(aws_s3_bucket.audit) == 0 && output.audit_bucket_name == null
    )
    error_message = "There is a bucket that nobody asked for."
  }
}

run "the_audit_in_a_bucket" {
  variables {
    audit_bucket = { retention_days = 365 }
  }

  assert {
    condition = (
      aws_s3_bucket.audit[0].bucket == "sym-my-team-audit-111111111111"
      && aws_s3_bucket.audit[0].object_lock_enabled
      && !aws_s3_bucket.audit[0].force_destroy
      && output.audit_bucket_name == aws_s3_bucket.audit[0].bucket
    )
    error_message = "The bucket is another one, or can be emptied."
  }

  assert {
    condition = (
      aws_s3_bucket_versioning.audit[0].versioning_configuration[0].status
      == "Enabled"
      && one(
        aws_s3_bucket_object_lock_configuration.audit[0].rule
      ).default_retention[0].mode == "GOVERNANCE"
      && one(
        aws_s3_bucket_object_lock_configuration.audit[0].rule
      ).default_retention[0].days == 365
    )
    error_message = "A record in the bucket can be changed."
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.audit[0].block_public_acls,
      aws_s3_bucket_public_access_block.audit[0].block_public_policy,
      aws_s3_bucket_public_access_block.audit[0].ignore_public_acls,
      aws_s3_bucket_public_access_block.audit[0].restrict_public_buckets,
    ])
    error_message = "The bucket could be made public."
  }

  assert {
    condition = [
      for statement in jsondecode(
        aws_s3_bucket_policy.audit[0].policy
      ).Statement : [statement.Effect, statement.Condition]
    ] == [["Deny", { Bool = { "aws:SecureTransport" = "false" } }]]
    error_message = "The bucket can be read over an open line."
  }

  assert {
    condition = [
      for statement in jsondecode(
        aws_iam_role_policy.runtime.policy
      ).Statement : [statement.Action, statement.Resource]
      if strcontains(jsonencode(statement.Action), "s3:")
    ] == [[["s3:PutObject"], ["arn:aws:s3:::audit/audit/*"]]]
    error_message = "The function may do something else in the bucket."
  }

  assert {
    condition = contains(keys(
      aws_lambda_function.runtime.environment[0].variables
    ), "SYM_AUDIT_BUCKET")
    error_message = "The function does not know the bucket."
  }
}

run "what_comes_after_a_reply_is_tried_twice" {
  assert {
    condition = [
      for config in [aws_lambda_function_event_invoke_config.runtime] :
      [config.maximum_retry_attempts, config.maximum_event_age_in_seconds]
    ] == [[1, 300]]
    error_message = "What the function does later is tried more or less often."
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
      by_outbox   = ["outbox", "at", "KEYS_ONLY"]
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

run "an_audit_bucket_that_locks_nothing" {
  command = plan

  variables {
    audit_bucket = { mode = "NONE", retention_days = 0 }
  }

  expect_failures = [var.audit_bucket]
}

run "an_audit_log_for_days_that_cloudwatch_does_not_know" {
  command = plan

  variables {
    audit_retention_days = 366
  }

  expect_failures = [var.audit_retention_days]
}

run "an_error_channel_that_is_none" {
  command = plan

  variables {
    error_channel = "errors"
  }

  expect_failures = [var.error_channel]
}

run "a_workspace_by_its_name" {
  command = plan

  variables {
    slack_workspace_id = "my-team"
  }

  expect_failures = [var.slack_workspace_id]
}

run "a_slack_user_by_their_name" {
  command = plan

  variables {
    slack_users = { ann = "ann@example.com" }
  }

  expect_failures = [var.slack_users]
}

run "a_slack_user_with_a_look_alike_address" {
  command = plan

  variables {
    slack_users = { U012AB3CD = "аnn@example.com" }
  }

  expect_failures = [var.slack_users]
}

run "databases_in_another_account" {
  variables {
    safelist_account_ids = ["222222222222"]
  }

  assert {
    condition = {
      for statement in jsondecode(aws_sns_topic_policy.errors.policy).Statement :
      statement.Sid => [statement.Principal, statement.Condition]
      } == {
      AlarmsPublish = [
        { Service = "cloudwatch.amazonaws.com" },
        { StringEquals = {
          "aws:SourceAccount" = ["111111111111", "222222222222"]
        } },
      ]
      FunctionsOfOtherAccountsPublish = [
        { AWS = ["arn:aws:iam::222222222222:root"] },
        { ArnLike = {
          "aws:PrincipalArn" = ["arn:aws:iam::222222222222:role/sym/*"]
        } },
      ]
    }
    error_message = "Alarms and functions of the account publish, nobody else."
  }

  assert {
    condition = [
      for statement in jsondecode(aws_kms_key.errors.policy).Statement :
      statement.Condition.StringEquals
      if statement.Sid != "AdministerThroughIam"
      ] == [
      { "aws:SourceAccount" = ["111111111111", "222222222222"] },
      {
        "kms:CallerAccount" = ["111111111111", "222222222222"]
        "kms:ViaService"    = "sns.eu-west-1.amazonaws.com"
      },
    ]
    error_message = "Who publishes to the topic has to be let use its key."
  }

  assert {
    condition = output.connector_account_ids == tolist([
      "111111111111", "222222222222",
    ])
    error_message = "Flows have to know where the Runtime may assume roles."
  }
}

run "databases_in_one_account" {
  assert {
    condition = [
      for statement in jsondecode(aws_sns_topic_policy.errors.policy).Statement :
      statement.Sid
    ] == ["AlarmsPublish"]
    error_message = "The topic is open to another account."
  }
}

run "a_second_region" {
  variables {
    audit_bucket  = { retention_days = 1 }
    global_suffix = "-eu-west-1"
  }

  assert {
    condition = [
      aws_iam_role.reconcile.name,
      aws_iam_role.runtime.name,
      aws_iam_role.runtime_connector.name,
      aws_s3_bucket.audit[0].bucket,
      ] == [
      "sym-my-team-reconcile-eu-west-1",
      "sym-my-team-runtime-eu-west-1",
      "SymRuntimeMyTeam-eu-west-1",
      "sym-my-team-audit-111111111111-eu-west-1",
    ]
    error_message = "These names are one region's as well as the other's."
  }

  assert {
    condition     = output.global_suffix == "-eu-west-1"
    error_message = "Flows have to know how names end."
  }
}

run "machines_of_this_runtime_alone" {
  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.runtime.policy).Statement :
      statement.Condition if statement.Action == "states:StartExecution"
    ] == [{ StringEquals = { "aws:ResourceTag/SymEnv" = "my-team" } }]
    error_message = "my-team may start what my-team-eu has made."
  }
}

run "put_up_again" {
  assert {
    condition = (
      aws_secretsmanager_secret.shared.name_prefix == "sym-my-team/shared-"
    )
    error_message = "For 30 days the name of a deleted secret is taken."
  }
}

run "a_caller_of_another_account" {
  command = plan

  variables {
    callers = {
      "arn:aws:iam::111111111111:role/ann" = "ann@example.com"
      "arn:aws:iam::222222222222:role/ben" = "ben@example.com"
    }
  }

  expect_failures = [aws_lambda_function.runtime]
}
