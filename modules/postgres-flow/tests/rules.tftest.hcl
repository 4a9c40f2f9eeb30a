# What the rules of a target come to, and which are refused before anything is
# written. Beside each refusal there is what makes it one: without it the same
# rules are taken.

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
  flow_vars    = { approvers = "ann@example.com,abe@example.com" }
  function_arn = "arn:aws:lambda:eu-west-1:111111111111:function:postgres"
  groups = {
    empty = []
    leads = [" Lea@Example.com", "lou@example.com", "lea@example.com"]
  }
  runtime = {
    check_alias           = "check"
    code_version          = "2026-11-24T12:00:00.000+0000"
    connector_account_ids = ["111111111111"]
    connector_role_arn    = "arn:aws:iam::111111111111:role/sym/SymRuntimeProd"
    error_topic_arn       = "arn:aws:sns:eu-west-1:111111111111:errors"
    flows_path            = "/sym/prod/flows"
    function_arn          = "arn:aws:lambda:eu-west-1:111111111111:function:rt"
    function_name         = "rt"
    runtime_name          = "prod"
  }
  targets = [
    { role_name = "read_only", max_duration = 7200, default_duration = 900 },
    { role_name = "readwrite" },
  ]
}

run "what_is_said_of_a_target_goes_before_what_is_said_of_all" {
  command = plan

  variables {
    rules = {
      "*" = {
        allow_self_approval      = true
        approval_timeout_seconds = 600
        approvals                = 2
        approve_when             = "approver.email != ''"
        approvers                = ["bea@example.com", "bob@example.com"]
        backup_after_seconds     = 300
        backup_approvers         = ["cat@example.com"]
        break_glass = {
          people = ["dan@example.com"], when = "true"
        }
        request_when = "request.reason != ''"
        requesters   = ["eve@example.com"]
      }
      readwrite = {
        allow_self_approval      = false
        approval_timeout_seconds = 1200
        approvals                = 1
        approve_when             = "approver.email == 'bob@example.com'"
        approvers                = ["bob@example.com"]
        backup_after_seconds     = 900
        backup_approvers         = ["group:leads"]
        break_glass = {
          people = ["fay@example.com"], max_duration_seconds = 60
        }
        request_when = "request.extension == false"
        requesters   = ["*"]
      }
    }
  }

  assert {
    condition = jsonencode(output.rules["postgres-read-only"]) == jsonencode({
      allow_self_approval      = true
      approval_timeout_seconds = 600
      approvals                = 2
      approve_at_once          = []
      approve_when             = "approver.email != ''"
      approvers                = ["bea@example.com", "bob@example.com"]
      backup_after_seconds     = 300
      backup_approvers         = ["cat@example.com"]
      break_glass = {
        max_duration_seconds = 0
        people               = ["dan@example.com"]
        when                 = "true"
      }
      deny         = []
      request_when = "request.reason != ''"
      requesters   = ["eve@example.com"]
    })
    error_message = "What is said of all targets does not hold for this one."
  }

  assert {
    condition = jsonencode(output.rules["postgres-readwrite"]) == jsonencode({
      allow_self_approval      = false
      approval_timeout_seconds = 1200
      approvals                = 1
      approve_at_once          = []
      approve_when             = "approver.email == 'bob@example.com'"
      approvers                = ["bob@example.com"]
      backup_after_seconds     = 900
      backup_approvers         = ["lea@example.com", "lou@example.com"]
      # As a whole: the condition of all targets is not this one's.
      break_glass = {
        max_duration_seconds = 60
        people               = ["fay@example.com"]
        when                 = ""
      }
      deny         = []
      request_when = "request.extension == false"
      requesters   = []
    })
    error_message = "What is said of the target itself does not hold."
  }
}

run "what_is_not_said_is_the_flows" {
  command = plan

  variables {
    allow_self_approval      = true
    approval_timeout_seconds = 60
    rules = {
      # A field that is null is one that is left out.
      readwrite = { allow_self_approval = null, approvers = null, deny = null }
    }
  }

  assert {
    condition = alltrue([
      for rules in values(output.rules) : jsonencode(rules) == jsonencode({
        allow_self_approval      = true
        approval_timeout_seconds = 60
        approvals                = 1
        approve_at_once          = []
        approve_when             = ""
        approvers                = ["ann@example.com", "abe@example.com"]
        backup_after_seconds     = 0
        backup_approvers         = []
        break_glass              = null
        deny                     = []
        request_when             = ""
        requesters               = []
      })
    ])
    error_message = "Without rules, the flow's own variables hold."
  }
}

run "null_leaves_what_is_said_of_all" {
  command = plan

  variables {
    rules = {
      "*" = {
        approvers    = ["bea@example.com"]
        deny         = [{ name = "never", when = "true" }]
        request_when = "false"
        requesters   = ["eve@example.com"]
      }
      readwrite = {
        approvers = null, deny = null, request_when = null, requesters = null
      }
    }
  }

  assert {
    condition = (
      jsonencode(output.rules["postgres-readwrite"]) ==
      jsonencode(output.rules["postgres-read-only"]) &&
      output.rules["postgres-readwrite"].request_when == "false" &&
      output.rules["postgres-readwrite"].requesters[0] == "eve@example.com" &&
      length(output.rules["postgres-readwrite"].deny) == 1
    )
    error_message = "A null opens what is closed for all targets."
  }
}

run "lists_of_rules_add_up" {
  command = plan

  variables {
    rules = {
      "*" = {
        approve_at_once = [{ name = "a", when = "1 == 1" }]
        deny            = [{ name = "b", when = "2 == 2", message = "No." }]
      }
      readwrite = {
        approve_at_once = [{ name = "c", when = "3 == 3" }]
        deny            = [{ name = "d", when = "4 == 4" }]
      }
    }
  }

  assert {
    condition = (
      output.rules["postgres-readwrite"].approve_at_once == [
        { name = "a", when = "1 == 1" }, { name = "c", when = "3 == 3" },
      ] &&
      output.rules["postgres-readwrite"].deny == [
        { message = "No.", name = "b", when = "2 == 2" },
        { message = "", name = "d", when = "4 == 4" },
      ]
    )
    error_message = "The rules of all targets come first, then the target's."
  }

  assert {
    condition = (
      output.rules["postgres-read-only"].approve_at_once[*].name == ["a"] &&
      output.rules["postgres-read-only"].deny[*].name == ["b"]
    )
    error_message = "A target's rules hold for another one."
  }
}

run "a_target_that_has_no_back_ups" {
  command = plan

  variables {
    rules = {
      "*" = {
        backup_approvers = ["bob@example.com"], backup_after_seconds = 60
        break_glass      = { people = ["dan@example.com"] }
      }
      readwrite = { backup_approvers = [], break_glass = { people = [] } }
    }
  }

  assert {
    condition = (
      length(output.rules["postgres-readwrite"].backup_approvers) == 0 &&
      output.rules["postgres-readwrite"].backup_after_seconds == 0 &&
      output.rules["postgres-readwrite"].break_glass == null
    )
    error_message = "A target can have neither back-ups nor break-glass."
  }

  assert {
    condition = (
      output.rules["postgres-read-only"].backup_after_seconds == 60 &&
      output.rules["postgres-read-only"].break_glass != null
    )
    error_message = "The other target has lost its own."
  }
}

run "rules_shorten_what_a_target_gives" {
  command = plan

  variables {
    rules = {
      "*"       = { max_duration = 5400, default_duration = 600 }
      readwrite = { max_duration = 86400, default_duration = null }
    }
  }

  assert {
    condition = (
      output.targets["postgres-read-only"].max_duration == 5400 &&
      output.targets["postgres-read-only"].default_duration == 600
    )
    error_message = "The rules' durations are shorter, and do not hold."
  }

  assert {
    condition     = output.targets["postgres-readwrite"].max_duration == 3600
    error_message = "The rules lengthen what the target gives."
  }
}

run "a_default_is_never_above_the_maximum" {
  command = plan

  variables {
    rules = { "*" = { max_duration = 60, default_duration = 3600 } }
  }

  assert {
    condition = alltrue([
      for target in values(output.targets) :
      target.default_duration == 60 && target.max_duration == 60
    ])
    error_message = "The Runtime would take neither of them."
  }
}

run "groups_as_the_conditions_see_them" {
  command = apply

  assert {
    condition = jsondecode(
      aws_ssm_parameter.flow.insecure_value
      ).groups == {
      empty = [], leads = ["lea@example.com", "lou@example.com"]
    }
    error_message = "The Runtime would not know who is in a group."
  }
}

run "what_the_runtime_is_asked" {
  command = plan

  assert {
    condition = jsonencode({
      for name, value in
      jsondecode(data.aws_lambda_invocation.check_rules.input) :
      name => value if name != "documents"
      }) == jsonencode({
      step         = "check_rules"
      code_version = var.runtime.code_version
      flow         = "postgres"
      groups = {
        empty = [], leads = ["lea@example.com", "lou@example.com"]
      }
      roles   = ["read_only", "readwrite"]
      targets = output.rules
    })
    error_message = "The Runtime is asked about something else."
  }

  assert {
    condition = {
      for name, document in
      jsondecode(data.aws_lambda_invocation.check_rules.input).documents :
      name => jsondecode(document).name
      } == {
      postgres                              = "postgres"
      "postgres/targets/postgres-read-only" = "postgres-read-only"
      "postgres/targets/postgres-readwrite" = "postgres-readwrite"
    }
    error_message = "The Runtime is asked about other parameters."
  }
}

run "what_the_runtime_refuses" {
  command = plan

  override_data {
    target = data.aws_lambda_invocation.check_rules
    values = {
      result = <<-EOT
        {"problems": [{"target": "postgres-readwrite", "place": "request_when",
          "message": "There is no variable reqest.reason."}]}
      EOT
    }
  }

  expect_failures = [data.aws_lambda_invocation.check_rules]
}

run "a_runtime_that_answers_something_else" {
  command = plan

  override_data {
    target = data.aws_lambda_invocation.check_rules
    values = { result = "{}" }
  }

  expect_failures = [data.aws_lambda_invocation.check_rules]
}

run "a_role_that_is_no_target" {
  command = plan

  variables {
    rules = { "readwrites" = {} }
  }

  expect_failures = [var.rules]
}

run "a_misspelt_field" {
  command = plan

  variables {
    rules = { "*" = { denny = [{ name = "never", when = "true" }] } }
  }

  expect_failures = [var.rules]
}

run "a_misspelt_field_of_a_rule" {
  command = plan

  variables {
    rules = {
      "*" = { deny = [{ name = "n", when = "true", mesage = "No." }] }
    }
  }

  expect_failures = [var.rules]
}

run "a_misspelt_field_of_break_glass" {
  command = plan

  variables {
    rules = {
      "*" = { break_glass = { people = ["dan@example.com"], wen = "false" } }
    }
  }

  expect_failures = [var.rules]
}

run "a_rule_without_a_condition" {
  command = plan

  variables {
    rules = { "*" = { approve_at_once = [{ name = "always" }] } }
  }

  expect_failures = [var.rules]
}

run "a_rule_with_a_condition_of_null" {
  command = plan

  variables {
    rules = { "*" = { deny = [{ name = "never", when = null }] } }
  }

  expect_failures = [var.rules]
}

run "a_rule_that_is_no_list" {
  command = plan

  variables {
    rules = { "*" = { deny = { name = "never", when = "true" } } }
  }

  expect_failures = [var.rules]
}

run "a_person_who_is_no_list" {
  command = plan

  variables {
    rules = { "*" = { approvers = "bea@example.com" } }
  }

  expect_failures = [var.rules]
}

run "a_condition_that_is_no_text" {
  command = plan

  variables {
    rules = { "*" = { request_when = ["true"] } }
  }

  expect_failures = [var.rules]
}

run "half_an_approval" {
  command = plan

  variables {
    rules = { "*" = { approvals = 0.5 } }
  }

  expect_failures = [var.rules]
}

run "no_approval" {
  command = plan

  variables {
    rules = { "*" = { approvals = 0 } }
  }

  expect_failures = [var.rules]
}

run "no_time_to_approve" {
  command = plan

  variables {
    rules = { "*" = { approval_timeout_seconds = 2592001 } }
  }

  expect_failures = [var.rules]
}

run "maybe_self_approval" {
  command = plan

  variables {
    rules = { "*" = { allow_self_approval = "maybe" } }
  }

  expect_failures = [var.rules]
}

run "rules_that_are_no_rules" {
  command = plan

  variables {
    rules = { "*" = "deny" }
  }

  expect_failures = [var.rules]
}

run "a_group_that_there_is_not" {
  command = plan

  variables {
    rules = { "*" = { approvers = ["group:leads", "group:lead"] } }
  }

  expect_failures = [var.rules]
}

run "a_group_that_there_is_not_among_those_who_break_the_glass" {
  command = plan

  variables {
    rules = { readwrite = { break_glass = { people = ["group:lead"] } } }
  }

  expect_failures = [var.rules]
}

run "somebody_who_only_looks_like_one" {
  command = plan

  variables {
    # A Cyrillic e.
    rules = { "*" = { approvers = ["b\u0435a@example.com"] } }
  }

  expect_failures = [var.rules]
}

run "a_member_with_a_letter_that_becomes_another" {
  command = plan

  variables {
    # A capital I with a dot, which lower() makes an i.
    groups = { leads = ["m\u0130ke@example.com"] }
  }

  expect_failures = [var.groups]
}

run "a_group_in_a_group" {
  command = plan

  variables {
    groups = { all = ["group:leads"], leads = ["lea@example.com"] }
  }

  expect_failures = [var.groups]
}

run "a_group_without_a_name" {
  command = plan

  variables {
    groups = { "" = [] }
  }

  expect_failures = [var.groups]
}

run "an_empty_list_of_requesters" {
  command = plan

  variables {
    rules = { "*" = { requesters = [] } }
  }

  expect_failures = [var.rules]
}

run "everybody_as_approvers" {
  command = plan

  variables {
    rules = { "*" = { approvers = ["*"] } }
  }

  expect_failures = [var.rules]
}

run "an_empty_group_of_requesters" {
  command = plan

  variables {
    # Who are no one, and not everybody.
    rules = { "*" = { requesters = ["group:empty"] } }
  }

  expect_failures = [data.aws_lambda_invocation.check_rules]
}

run "an_empty_group_of_approvers" {
  command = plan

  variables {
    # Who would else be each requester.
    rules = {
      "*" = { approvers = ["group:empty"], allow_self_approval = true }
    }
  }

  expect_failures = [data.aws_lambda_invocation.check_rules]
}

run "no_approvers_of_one_target" {
  command = plan

  variables {
    rules = { readwrite = { approvers = [] } }
  }

  expect_failures = [data.aws_lambda_invocation.check_rules]
}

run "no_approvers_where_people_approve_their_own" {
  command = plan

  variables {
    rules = { readwrite = { approvers = [], allow_self_approval = true } }
  }

  assert {
    condition = (
      length(output.rules["postgres-readwrite"].approvers) == 0 &&
      output.rules["postgres-readwrite"].allow_self_approval &&
      length(output.rules["postgres-read-only"].approvers) == 2 &&
      !output.rules["postgres-read-only"].allow_self_approval
    )
    error_message = "Self-approval is for the one target alone."
  }
}

run "approvers_in_the_rules_alone" {
  command = plan

  variables {
    flow_vars = {}
    rules     = { "*" = { approvers = ["group:leads"] } }
  }

  assert {
    condition = (
      jsonencode(output.rules["postgres-readwrite"].approvers) ==
      jsonencode(["lea@example.com", "lou@example.com"])
    )
    error_message = "The approvers are those of the rules."
  }
}

run "more_approvals_than_approvers" {
  command = plan

  variables {
    rules = { "*" = { approvals = 2, approvers = ["bea@example.com"] } }
  }

  expect_failures = [data.aws_lambda_invocation.check_rules]
}

run "as_many_approvals_as_approvers_and_back_ups" {
  command = plan

  variables {
    rules = {
      "*" = {
        approvals            = 2
        approvers            = ["bea@example.com"]
        backup_after_seconds = 60
        backup_approvers     = ["bea@example.com", "bob@example.com"]
      }
    }
  }

  assert {
    condition     = output.rules["postgres-readwrite"].approvals == 2
    error_message = "One approver and one back-up are two people."
  }

  expect_failures = [check.own_requests]
}

run "one_who_is_approver_and_back_up" {
  command = plan

  variables {
    rules = {
      "*" = {
        approvals            = 2
        approvers            = ["bea@example.com"]
        backup_after_seconds = 60
        backup_approvers     = ["BEA@example.com"]
      }
    }
  }

  expect_failures = [data.aws_lambda_invocation.check_rules]
}

run "rules_that_fit" {
  command = plan

  variables {
    rules = {
      readwrite = {
        deny = [for number in range(30) : {
          name = "n${number}"
          when = join("", [for digit in range(20) : "123456789 "])
        }]
      }
    }
  }

  assert {
    condition     = length(output.rules["postgres-readwrite"].deny) == 30
    error_message = "Six kilobytes of rules are fewer than eight."
  }
}

run "rules_that_do_not_fit" {
  command = plan

  variables {
    rules = {
      readwrite = {
        deny = [for number in range(40) : {
          name = "n${number}"
          when = join("", [for digit in range(20) : "123456789 "])
        }]
      }
    }
  }

  expect_failures = [data.aws_lambda_invocation.check_rules]
}

run "groups_that_do_not_fit" {
  command = plan

  variables {
    groups = {
      all = [for number in range(500) : "user-${number}@example.com"]
    }
  }

  expect_failures = [data.aws_lambda_invocation.check_rules]
}

run "people_whose_own_requests_nobody_could_approve" {
  command = plan

  variables {
    flow_vars = { approvers = "ann@example.com, ben@example.com" }
    rules = {
      readwrite = { approvals = 2 }
    }
  }

  expect_failures = [check.own_requests]
}

run "people_who_do_not_ask" {
  command = plan

  variables {
    flow_vars = { approvers = "ann@example.com, ben@example.com" }
    rules = {
      readwrite = { approvals = 2, requesters = ["cem@example.com"] }
    }
  }

  assert {
    condition     = output.rules["postgres-readwrite"].approvals == 2
    error_message = "Approvers who cannot ask need nobody's approval."
  }
}
