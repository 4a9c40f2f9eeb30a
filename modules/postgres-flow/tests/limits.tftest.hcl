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

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:111111111111:log-group:g" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111111111111:role/sym/mock" }
  }

  mock_resource "aws_sfn_state_machine" {
    defaults = { arn = "arn:aws:states:eu-west-1:111111111111:stateMachine:m" }
  }
}

variables {
  flow_vars = {
    approvers       = " Ann@Example.com,, ben@example.com ,ann@example.com"
    request_channel = "#access"
  }
  function_arn = "arn:aws:lambda:eu-west-1:111111111111:function:postgres"
  runtime = {
    check_alias           = "check"
    code_version          = "2026-11-24T12:00:00.000+0000"
    connector_account_ids = ["111111111111", "222222222222"]
    connector_role_arn    = "arn:aws:iam::111111111111:role/sym/SymRuntimeProd"
    error_topic_arn       = "arn:aws:sns:eu-west-1:111111111111:errors"
    flows_path            = "/sym/prod/flows"
    function_arn          = "arn:aws:lambda:eu-west-1:111111111111:function:rt"
    function_name         = "rt"
    runtime_name          = "prod"
  }
  targets = [
    { role_name = "read_only", label = "Read only", max_duration = 600 },
    { role_name = "readwrite", default_duration = 60 },
  ]
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

# Parameter Store refuses {{ in a value.
run "two_braces" {
  variables {
    label = "Roles {{ssm:secret}} {{{"
    rules = {
      "*" = {
        deny = [{ name = "{{", when = "request.reason == '{{'" }]
      }
    }
  }

  assert {
    condition = alltrue([
      for value in concat(
        [aws_ssm_parameter.flow.insecure_value],
        values(aws_ssm_parameter.target)[*].insecure_value
      ) : !strcontains(value, "{{")
    ])
    error_message = "Parameter Store refuses this."
  }

  assert {
    condition = jsondecode(
      aws_ssm_parameter.flow.insecure_value
    ).label == "Roles {{ssm:secret}} {{{"
    error_message = "The label is another."
  }

  assert {
    condition = jsondecode(
      aws_ssm_parameter.target["postgres-readwrite"].insecure_value
    ).rules.deny[0].when == "request.reason == '{{'"
    error_message = "The rule is another."
  }
}

run "a_function_with_a_version" {
  command = plan

  variables {
    function_arn = "arn:aws:lambda:eu-west-1:111111111111:function:f:3"
  }

  expect_failures = [var.function_arn]
}

run "a_function_by_its_name" {
  command = plan

  variables {
    function_arn = "sym-prod-postgres"
  }

  expect_failures = [var.function_arn]
}

run "a_label_of_two_lines" {
  command = plan

  variables {
    label = "Postgres\naccess"
  }

  expect_failures = [var.label]
}

run "a_label_too_long" {
  command = plan

  variables {
    label = join("", [for n in range(101) : "l"])
  }

  expect_failures = [var.label]
}

run "a_suffix_too_long_for_a_role" {
  command = plan

  variables {
    flow_name = "twenty-characters-ab"
    runtime = {
      check_alias           = "check"
      code_version          = "2026-11-24T12:00:00.000+0000"
      connector_account_ids = ["111111111111", "222222222222"]
      connector_role_arn    = "arn:aws:iam::111111111111:role/sym/SymRuntimeProd"
      error_topic_arn       = "arn:aws:sns:eu-west-1:111111111111:errors"
      flows_path            = "/sym/prod/flows"
      function_arn          = "arn:aws:lambda:eu-west-1:111111111111:function:rt"
      function_name         = "rt"
      runtime_name          = "a-name-of-thirty-one-characters"
      global_suffix         = "-x"
    }

  }

  expect_failures = [var.flow_name]
}
