# What validate cannot see: how it logs in, where it reaches, what is refused.

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

run "with_a_password" {
  assert {
    condition = {
      for name, value in aws_lambda_function.this.environment[0].variables :
      name => value
      } == {
      PG_AUTH          = "secret"
      PG_DATABASE      = "postgres"
      PG_END_SESSIONS  = "on"
      PG_HOST          = "db.example.com"
      PG_MAX_DURATION  = "86400"
      PG_ON_END        = "report"
      PG_PORT          = "5432"
      PG_ROLES         = "readonly,readwrite"
      PG_SECRET_ARN    = output.secret_arn
      PG_SSLMODE       = "verify-full"
      PG_UNKNOWN_USERS = "existing"
      PG_USER          = "sym_broker"
      PG_USERNAMES     = "{}"
      PG_USERNAME_FROM = "local_part"
    }
    error_message = "The function is configured in another way."
  }

  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.this.policy).Statement :
      statement.Sid
      ] == [
      "WriteLogs", "TellOfFailedSweeps", "LetLambdaJoinTheNetwork",
      "KeepTheCodeOutOfTheNetwork", "ReadPassword",
    ]
    error_message = "The function may do something else."
  }
}

run "failed_sweeps_are_told" {
  assert {
    condition = (
      aws_lambda_function_event_invoke_config.this
      .destination_config[0].on_failure[0].destination == var.error_topic_arn
    )
    error_message = "A sweep that fails has to say so on the error topic."
  }

  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.this.policy).Statement :
      statement.Resource if statement.Sid == "TellOfFailedSweeps"
    ] == [var.error_topic_arn]
    error_message = "Lambda publishes in the function's name."
  }
}

run "the_topic_of_another_account" {
  variables {
    error_topic_arn = "arn:aws:sns:eu-west-1:222222222222:errors"
  }

  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.this.policy).Statement :
      [statement.Resource, statement.Condition.StringEquals["kms:ViaService"]]
      if statement.Sid == "EncryptForTheTopic"
      ] == [[
        "arn:aws:kms:eu-west-1:222222222222:key/*",
        "sns.eu-west-1.amazonaws.com",
    ]]
    error_message = "In another account the key's policy alone lets nobody in."
  }
}

run "the_topic_of_another_region" {
  command = plan

  variables {
    error_topic_arn = "arn:aws:sns:eu-west-2:111111111111:errors"
  }

  expect_failures = [aws_lambda_function.this]
}

run "rules_say_what_they_are_for" {
  variables {
    readers = { hosts = ["replica.example.com:6432"] }
  }

  # EC2 takes no apostrophe there.
  assert {
    condition = alltrue([
      for rule in concat(
        [
          aws_vpc_security_group_egress_rule.database,
          aws_vpc_security_group_egress_rule.services,
        ], values(aws_vpc_security_group_egress_rule.readers)
      ) : can(regex("^To [A-Za-z ]+$", rule.description))
    ])
    error_message = "Each rule of the security group has a description."
  }
}

run "put_up_again" {
  assert {
    condition = (
      aws_secretsmanager_secret.password[0].name_prefix
      == "sym-prod-postgres/password-"
    )
    error_message = "For 30 days the name of a deleted secret is taken."
  }
}

run "a_second_region" {
  variables {
    global_suffix = "-eu-west-1"
  }

  assert {
    condition = [aws_iam_role.this.name, aws_iam_role.sweep.name] == [
      "sym-prod-postgres-eu-west-1", "sym-prod-postgres-sweep-eu-west-1",
    ]
    error_message = "IAM's names are one region's as well as the other's."
  }
}

run "time_for_lambda_to_leave_the_network" {
  assert {
    condition     = aws_security_group.this.timeouts.delete == "60m"
    error_message = "Lambda's interfaces take up to 45 minutes to go."
  }
}

run "no_topic" {
  command = plan

  variables {
    error_topic_arn = "errors"
  }

  expect_failures = [var.error_topic_arn]
}

run "with_a_token" {
  variables {
    auth           = "iam"
    db_resource_id = "cluster-ABC"
  }

  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.this.policy).Statement :
      statement.Resource if statement.Action == "rds-db:connect"
      ] == [
      ["arn:aws:rds-db:eu-west-1:111111111111:dbuser:cluster-ABC/sym_broker"]
    ]
    error_message = "It may log in as this user to this database only."
  }

  assert {
    condition     = output.secret_arn == null
    error_message = "There is a secret which nobody needs."
  }

  assert {
    condition = !contains(
      keys(aws_lambda_function.this.environment[0].variables), "PG_SECRET_ARN"
    )
    error_message = "The function is told of a secret that there is not."
  }
}

run "with_a_token_for_which_database" {
  command = plan

  variables {
    auth = "iam"
  }

  expect_failures = [var.db_resource_id]
}

run "code_stays_out_of_the_network" {
  assert {
    condition = one([
      for statement in jsondecode(aws_iam_role_policy.this.policy).Statement :
      statement.Condition if statement.Effect == "Deny"
      ]) == {
      ArnEquals = {
        "lambda:SourceFunctionArn" = format(
          "arn:aws:lambda:eu-west-1:111111111111:function:%s",
          "sym-prod-postgres"
        )
      }
    }
    error_message = "The function's code could make network interfaces."
  }
}

run "reaches_the_database_and_services" {
  variables {
    connection = { host = "db.example.com", port = 6543, user = "sym_broker" }
  }

  assert {
    condition = [
      for rule in [
        aws_vpc_security_group_egress_rule.database,
        aws_vpc_security_group_egress_rule.services,
      ] : [rule.from_port, rule.to_port]
    ] == [[6543, 6543], [443, 443]]
    error_message = "The function reaches other ports."
  }
}

run "swept_every_minute" {
  assert {
    condition = (
      aws_scheduler_schedule.sweep.schedule_expression == "rate(1 minute)"
    )
    error_message = "The sweep runs at another rate."
  }

  assert {
    condition = jsondecode(
      aws_scheduler_schedule.sweep.target[0].input
    ) == { type = "sweep" }
    error_message = "The schedule sends another event."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.sweep_missing.period == 300
    error_message = "The alarm looks at another span."
  }
}

run "alarm_keeps_step_with_a_slower_sweep" {
  variables {
    sweep_rate = "rate(10 minutes)"
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.sweep_missing.period == 3000
    error_message = "The alarm would go off between two sweeps."
  }
}

run "a_rate_that_is_none" {
  command = plan

  variables {
    sweep_rate = "rate(1 minutes)"
  }

  expect_failures = [var.sweep_rate]
}

run "no_roles" {
  command = plan

  variables {
    roles = []
  }

  expect_failures = [var.roles]
}

run "a_role_name_too_long_in_bytes" {
  command = plan

  variables {
    # 32 letters of two bytes.
    roles = ["éééééééééééééééééééééééééééééééé"]
  }

  expect_failures = [var.roles]
}

run "no_subnets" {
  command = plan

  variables {
    subnet_ids = []
  }

  expect_failures = [var.subnet_ids]
}

run "no_host" {
  command = plan

  variables {
    connection = { host = "", user = "sym_broker" }
  }

  expect_failures = [var.connection]
}

run "unchecked_tls" {
  command = plan

  variables {
    sslmode = "disable"
  }

  expect_failures = [var.sslmode]
}

run "two_people_with_one_user" {
  command = plan

  variables {
    usernames = { "ann@example.com" = "ann", "ann@example.org" = "ann" }
  }

  expect_failures = [var.usernames]
}

run "no_time_at_all" {
  command = plan

  variables {
    max_duration_seconds = 0
  }

  expect_failures = [var.max_duration_seconds]
}

run "unknown_users_is_existing_or_create" {
  command = plan

  variables {
    unknown_users = "all"
  }

  expect_failures = [var.unknown_users]
}

run "on_end_is_report_or_revoke" {
  command = plan

  variables {
    on_end = "drop"
  }

  expect_failures = [var.on_end]
}
