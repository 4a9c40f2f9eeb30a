# What is refused of the variables that are objects, and what is left out of them.

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

run "what_is_left_out_is_its_default" {
  command = plan

  variables {
    flow_vars = { approvers = "ann@example.com,ben@example.com", request_channel = null }
    targets = [
      { role_name = "readonly", label = null, default_duration = null },
      { role_name = "readwrite", max_duration = "60", label = 5 },
    ]
  }

  assert {
    condition = local.flow_vars == {
      approvers       = "ann@example.com,ben@example.com"
      request_channel = "#access-requests"
      tell_approvers  = "mention"
    }
    error_message = "Other flow_vars: ${jsonencode(local.flow_vars)}"
  }

  assert {
    condition = jsonencode(local.targets) == jsonencode({
      "postgres-readonly" = {
        default_duration = 1800
        label            = "readonly"
        max_duration     = 3600
        role_name        = "readonly"
      }
      "postgres-readwrite" = {
        default_duration = 60
        label            = "5"
        max_duration     = 60
        role_name        = "readwrite"
      }
    })
    error_message = "Other targets: ${jsonencode(local.targets)}"
  }
}

run "a_misspelt_field_of_the_flow" {
  command = plan

  variables {
    flow_vars = { aprovers = "ann@example.com" }
  }

  expect_failures = [var.flow_vars]
}

run "a_list_of_approvers" {
  command = plan

  variables {
    flow_vars = { approvers = ["ann@example.com"] }
  }

  expect_failures = [var.flow_vars]
}

run "flow_vars_that_are_a_text" {
  command = plan

  variables {
    flow_vars = "ann@example.com"
  }

  expect_failures = [var.flow_vars]
}

run "an_empty_channel" {
  command = plan

  variables {
    flow_vars = { approvers = "ann@example.com", request_channel = "" }
  }

  expect_failures = [var.flow_vars]
}

run "a_misspelt_field_of_a_target" {
  command = plan

  variables {
    targets = [{ role_name = "readonly" }, { role_name = "a", maxduration = 60 }]
  }

  expect_failures = [var.targets]
}

run "a_target_without_a_role" {
  command = plan

  variables {
    targets = [{ role = "readonly" }]
  }

  expect_failures = [var.targets]
}

run "a_target_with_a_role_of_null" {
  command = plan

  variables {
    targets = [{ role_name = null }]
  }

  expect_failures = [var.targets]
}

run "a_duration_in_words" {
  command = plan

  variables {
    targets = [{ role_name = "readonly", max_duration = "1h" }]
  }

  expect_failures = [var.targets]
}

run "a_label_that_is_a_list" {
  command = plan

  variables {
    targets = [{ role_name = "readonly", label = ["Read", "only"] }]
  }

  expect_failures = [var.targets]
}

run "targets_by_their_names" {
  command = plan

  variables {
    targets = ["readonly"]
  }

  expect_failures = [var.targets]
}

run "targets_that_are_no_list" {
  command = plan

  variables {
    targets = { readonly = { role_name = "readonly" } }
  }

  expect_failures = [var.targets]
}

run "targets_that_are_a_text" {
  command = plan

  variables {
    targets = "readonly"
  }

  expect_failures = [var.targets]
}

run "half_a_second" {
  command = plan

  variables {
    targets = [{ role_name = "readonly", max_duration = 0.5 }]
  }

  expect_failures = [var.targets]
}
