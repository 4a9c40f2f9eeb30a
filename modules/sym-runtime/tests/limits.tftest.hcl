# What AWS would refuse, or cut short, only when something is made.

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

run "a_tag_of_aws" {
  command = plan

  variables {
    tags = { "AWS:team" = "platform" }
  }

  expect_failures = [var.tags]
}

run "a_tag_without_a_key" {
  command = plan

  variables {
    tags = { "" = "platform" }
  }

  expect_failures = [var.tags]
}

run "a_tag_with_a_long_key" {
  command = plan

  variables {
    tags = { (join("", [for n in range(129) : "k"])) = "platform" }
  }

  expect_failures = [var.tags]
}

run "a_tag_with_a_long_value" {
  command = plan

  variables {
    tags = { team = join("", [for n in range(257) : "v"]) }
  }

  expect_failures = [var.tags]
}

run "a_tag_with_a_letter_that_aws_refuses" {
  command = plan

  variables {
    tags = { team = "a;b" }
  }

  expect_failures = [var.tags]
}

run "tags_that_differ_in_capitals" {
  command = plan

  variables {
    tags = { Team = "a", team = "b" }
  }

  expect_failures = [var.tags]
}

run "too_many_tags" {
  command = plan

  variables {
    tags = { for n in range(41) : "tag${n}" => "v" }
  }

  expect_failures = [var.tags]
}

run "the_tag_that_opens_secrets" {
  command = plan

  variables {
    tags = { SymEnv = "prod" }
  }

  expect_failures = [var.tags]
}

run "tags_that_are_fine" {
  command = plan

  variables {
    tags = {
      (join("", [for n in range(128) : "k"])) = join("", [for n in range(256) : "v"])
      "Größe / Team"                          = "a+b=c@d:e_f.g-h"
      "empty"                                 = ""
    }
  }
}

# 2,048 characters are what IAM allows, without a request for more.
run "nine_outside_accounts" {
  variables {
    sym_account_ids = [for n in range(9) : format("%012d", n)]
  }

  assert {
    condition = (
      length(aws_iam_role.runtime_connector.assume_role_policy) <= 2048
    )
    error_message = "Nine accounts do not fit into the trust policy."
  }
}

run "as_many_outside_accounts_as_fit" {
  variables {
    runtime_name    = "a-name-of-thirty-one-characters"
    sym_account_ids = [for n in range(45) : format("%012d", n)]
  }

  assert {
    condition = (
      length(aws_iam_role.runtime_connector.assume_role_policy) <= 2048
    )
    error_message = "So many accounts do not fit into the trust policy."
  }
}

run "more_outside_accounts_than_fit" {
  command = plan

  variables {
    sym_account_ids = [for n in range(46) : format("%012d", n)]
  }

  expect_failures = [aws_iam_role.runtime_connector]
}

run "as_many_safe_accounts_as_fit" {
  variables {
    safelist_account_ids = [for n in range(230) : format("%012d", n)]
  }

  assert {
    condition = (
      length(aws_iam_role_policy.runtime_connector.policy) <= 10240
    )
    error_message = "So many accounts do not fit into the policy."
  }
}

run "more_safe_accounts_than_fit" {
  command = plan

  variables {
    safelist_account_ids = [for n in range(300) : format("%012d", n)]
  }

  expect_failures = [aws_iam_role_policy.runtime_connector]
}

run "a_slug_too_long" {
  command = plan

  variables {
    sym_org_slug = join("", [for n in range(64) : "s"])
  }

  expect_failures = [var.sym_org_slug]
}

run "an_audit_bucket_for_ever" {
  command = plan

  variables {
    audit_bucket = { retention_days = 36501 }
  }

  expect_failures = [var.audit_bucket]
}

# As Lambda counts: the settings as JSON, with the quotes inside escaped.
run "people_who_fit" {
  variables {
    audit_bucket       = { retention_days = 1 }
    error_channel      = "#sym-errors"
    slack_workspace_id = "T0123456789"
    slack_users = {
      for n in range(60) : format("U%09d", n) => "someone${n}@example.com"
    }
  }

  assert {
    condition = (
      length(jsonencode(aws_lambda_function.runtime.environment[0].variables))
      <= 4096
    )
    error_message = "They do not fit."
  }

  # What is measured before the apply has the same settings.
  assert {
    condition = toset(keys(local._measured)) == toset(keys(
      aws_lambda_function.runtime.environment[0].variables
    ))
    error_message = "Another environment is measured."
  }
}

run "people_who_do_not_fit" {
  command = plan

  variables {
    slack_workspace_id = "T0123456789"
    slack_users = {
      for n in range(90) : format("U%09d", n) => "someone${n}@example.com"
    }
  }

  expect_failures = [aws_lambda_function.runtime]
}

run "callers_who_do_not_fit" {
  command = plan

  variables {
    callers = {
      for n in range(60) :
      "arn:aws:iam::111111111111:role/somebody${n}" => "someone${n}@example.com"
    }
  }

  expect_failures = [aws_lambda_function.runtime]
}

run "a_suffix_too_long_for_a_role" {
  command = plan

  variables {
    runtime_name  = "a-name-of-thirty-one-characters"
    global_suffix = "-ap-southeast-10-and-more"
  }

  expect_failures = [var.global_suffix]
}

run "a_suffix_too_long_for_a_bucket" {
  command = plan

  variables {
    runtime_name  = "a-name-of-thirty-one-characters"
    audit_bucket  = { retention_days = 1 }
    global_suffix = "-eu-west-1"
  }

  expect_failures = [var.global_suffix]
}
