# What validate cannot see: who is trusted, what the Runtime reads, what is
# refused, and that no path of the workflow ends with the access still there.

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

run "names" {
  assert {
    condition     = aws_sfn_state_machine.this.name == "sym-prod-postgres"
    error_message = "The machine's name lacks the prefix the Runtime may start."
  }

  assert {
    condition = toset([
      for target in aws_ssm_parameter.target : target.name
      ]) == toset([
      "/sym/prod/flows/postgres/targets/postgres-read-only",
      "/sym/prod/flows/postgres/targets/postgres-readwrite",
    ])
    error_message = "Targets are named after the flow and the role."
  }
}

run "the_runtime_may_start_it" {
  assert {
    condition     = aws_sfn_state_machine.this.tags.SymEnv == "prod"
    error_message = "The tag tells the machines of prod from those of prod-eu."
  }
}

run "the_connector_is_its_own" {
  assert {
    condition = (
      output.lambda_connector_role_arn ==
      "arn:aws:iam::111111111111:role/sym/mock"
    )
    error_message = "The flow makes a connector where it is given none."
  }
}

run "the_connector_of_another_account" {
  variables {
    connector = {
      account_id = "222222222222"
      role_arn   = "arn:aws:iam::222222222222:role/sym/SymLambdaPostgres"
    }
    function_arn = "arn:aws:lambda:eu-west-1:222222222222:function:postgres"
  }

  assert {
    condition = (
      length(module.lambda_connector) == 0 &&
      jsondecode(aws_ssm_parameter.flow.insecure_value).lambda_connector_arn
      == "arn:aws:iam::222222222222:role/sym/SymLambdaPostgres"
    )
    error_message = "The Runtime reads the connector that the flow was given."
  }
}

run "an_account_that_the_runtime_may_not_reach" {
  command = plan

  variables {
    connector = {
      account_id = "333333333333"
      role_arn   = "arn:aws:iam::333333333333:role/sym/SymLambdaPostgres"
    }
    function_arn = "arn:aws:lambda:eu-west-1:333333333333:function:postgres"
  }

  expect_failures = [aws_ssm_parameter.flow]
}

run "a_function_of_another_account_than_the_connector" {
  command = plan

  variables {
    function_arn = "arn:aws:lambda:eu-west-1:222222222222:function:postgres"
  }

  expect_failures = [aws_ssm_parameter.flow]
}

run "what_the_runtime_reads" {
  assert {
    condition = jsondecode(aws_ssm_parameter.flow.insecure_value) == {
      name                     = "postgres"
      label                    = "Postgres access"
      state_machine_arn        = output.state_machine_arn
      lambda_connector_arn     = output.lambda_connector_role_arn
      connect                  = ""
      groups                   = {}
      request_channel          = "#access"
      tell_approvers           = "mention"
      approvers                = ["ann@example.com", "ben@example.com"]
      allow_self_approval      = false
      approval_timeout_seconds = 3600
    }
    error_message = "The flow is written in another way."
  }

  assert {
    condition = jsondecode(
      aws_ssm_parameter.target["postgres-read-only"].insecure_value
      ) == {
      name  = "postgres-read-only"
      label = "Read only"
      type  = "postgres"
      settings = {
        arn       = var.function_arn
        role_name = "read_only"
      }
      default_duration_seconds = 600
      max_duration_seconds     = 600
      # Every field of functions/internal/rules.Document, and no other.
      rules = {
        requesters               = []
        request_when             = ""
        approvers                = ["ann@example.com", "ben@example.com"]
        approve_when             = ""
        approvals                = 1
        allow_self_approval      = false
        approval_timeout_seconds = 3600
        backup_approvers         = []
        backup_after_seconds     = 0
        approve_at_once          = []
        deny                     = []
        break_glass              = null
      }
    }
    error_message = "A target is written in another way."
  }

  assert {
    condition = jsondecode(
      aws_ssm_parameter.target["postgres-readwrite"].insecure_value
    ).default_duration_seconds == 60
    error_message = "The target's own default duration is not taken."
  }
}

run "every_task_ends" {
  assert {
    condition = alltrue([
      for state in jsondecode(aws_sfn_state_machine.this.definition).States :
      contains(keys(state), "TimeoutSeconds") ||
      contains(keys(state), "TimeoutSecondsPath")
      if state.Type == "Task"
    ])
    error_message = "A task could wait for ever."
  }
}

run "every_transition_leads_somewhere" {
  assert {
    condition = length(setsubtract(
      flatten([
        for state in jsondecode(
          aws_sfn_state_machine.this.definition
          ).States : [
          try([state.Next], []),
          try([state.Default], []),
          try(state.Choices[*].Next, []),
          try(state.Catch[*].Next, []),
        ]
      ]),
      keys(jsondecode(aws_sfn_state_machine.this.definition).States)
    )) == 0
    error_message = "A transition leads to a state that there is not."
  }
}

run "what_was_granted_is_taken_back" {
  # From the moment a role may be granted, whatever goes wrong leads to
  # Deescalate, and from there only success leads out.
  assert {
    condition = alltrue([
      for name in ["Escalate", "Hold"] : anytrue([
        for rule in jsondecode(
          aws_sfn_state_machine.this.definition
        ).States[name].Catch :
        rule.ErrorEquals == ["States.ALL"] && rule.Next == "Deescalate"
      ])
    ])
    error_message = "An error in Escalate or Hold would leave the role granted."
  }

  assert {
    condition = (
      jsondecode(aws_sfn_state_machine.this.definition).States.Hold.Next ==
      "Deescalate"
    )
    error_message = "After Hold comes Deescalate."
  }

  assert {
    condition = (
      jsondecode(
        aws_sfn_state_machine.this.definition
      ).States.Deescalate.Catch[*].Next == ["Alarm"] &&
      jsondecode(
        aws_sfn_state_machine.this.definition
      ).States.Alarm.Catch[*].Next == ["DeescalateUntilDone"] &&
      jsondecode(
        aws_sfn_state_machine.this.definition
      ).States.Alarm.Next == "DeescalateUntilDone"
    )
    error_message = "A failed Deescalate raises the alarm and is tried again."
  }

  assert {
    condition = (
      jsondecode(
        aws_sfn_state_machine.this.definition
      ).States.DeescalateUntilDone.Retry[0].MaxAttempts == 99999999
    )
    error_message = "The last Deescalate gives up."
  }

  assert {
    # A try takes at most 30 seconds, the Postgres function's limit.
    condition = 120 >= sum([
      for r in jsondecode(
        aws_sfn_state_machine.this.definition
        ).States.Deescalate.Retry : 30 * (r.MaxAttempts + 1) + sum([
          for i in range(r.MaxAttempts) :
          r.IntervalSeconds * pow(r.BackoffRate, i)
      ])
    ])
    error_message = "The alarm comes later than two minutes after the end."
  }

  assert {
    condition = alltrue([
      for state in ["Decided", "Settled"] : contains([
        for c in jsondecode(
          aws_sfn_state_machine.this.definition
        ).States[state].Choices : "${c.And[1].StringEquals} ${c.Next}"
      ], "revoking Deescalate")
    ])
    error_message = "A request withdrawn after its approval is not taken back."
  }
}

run "nobody_to_approve" {
  command = plan

  variables {
    flow_vars = { approvers = " , " }
  }

  expect_failures = [data.aws_lambda_invocation.check_rules]
}

run "everybody_approves_their_own" {
  variables {
    allow_self_approval = true
    flow_vars           = {}
  }

  assert {
    condition = jsondecode(
      aws_ssm_parameter.flow.insecure_value
    ).allow_self_approval
    error_message = "Self-approval was asked for by name."
  }
}

run "a_private_channel" {
  variables {
    flow_vars = { request_channel = "C0123ABCD" }
    rules = {
      "*" = { approvers = ["ann@example.com", "ben@example.com"] }
    }
  }

  assert {
    condition = jsondecode(
      aws_ssm_parameter.flow.insecure_value
    ).request_channel == "C0123ABCD"
    error_message = "A private channel is named by its id."
  }
}

run "another_way_to_tell_approvers" {
  variables {
    flow_vars = {
      approvers      = "ann@example.com,ben@example.com"
      tell_approvers = "shout"
    }
  }

  command = plan

  expect_failures = [var.flow_vars]
}

run "a_channel_without_its_sign" {
  command = plan

  variables {
    flow_vars = { approvers = "ann@example.com", request_channel = "access" }
  }

  expect_failures = [var.flow_vars]
}

run "a_channel_and_another" {
  command = plan

  variables {
    flow_vars = { approvers = "ann@example.com", request_channel = "#a,#b" }
  }

  expect_failures = [var.flow_vars]
}

run "an_approver_who_is_no_address" {
  command = plan

  variables {
    flow_vars = { approvers = "ann@example.com, ben" }
  }

  expect_failures = [var.flow_vars]
}

run "an_approver_who_only_looks_like_one" {
  command = plan

  variables {
    # A Cyrillic a.
    flow_vars = { approvers = "\u0430nn@example.com" }
  }

  expect_failures = [var.flow_vars]
}

run "an_approver_with_a_letter_that_becomes_another" {
  command = plan

  variables {
    # A capital I with a dot, which lower() makes an i.
    flow_vars = { approvers = "m\u0130ke@example.com" }
  }

  expect_failures = [var.flow_vars]
}

run "how_to_connect" {
  variables {
    connect = "host=db.example.com port=5432 dbname=app sslmode=verify-full"
  }

  assert {
    condition = jsondecode(
      aws_ssm_parameter.flow.insecure_value
    ).connect == var.connect
    error_message = "The Runtime cannot say how to connect."
  }
}

run "somebody_elses_user_to_connect_with" {
  command = plan

  variables {
    connect = "host=db.example.com user=postgres"
  }

  expect_failures = [var.connect]
}

run "another_form_of_connection_string" {
  command = plan

  variables {
    connect = "postgresql://db.example.com/app"
  }

  expect_failures = [var.connect]
}

run "no_targets" {
  command = plan

  variables {
    targets = []
  }

  expect_failures = [var.targets]
}

run "two_targets_with_one_name" {
  command = plan

  variables {
    targets = [{ role_name = "read_only" }, { role_name = "read-only" }]
  }

  expect_failures = [var.targets]
}

run "a_role_name_too_long" {
  command = plan

  variables {
    targets = [{
      role_name = join("", [for number in range(32) : "ab"])
    }]
  }

  expect_failures = [var.targets]
}

run "a_default_above_the_maximum" {
  command = plan

  variables {
    targets = [
      { role_name = "readonly", default_duration = 61, max_duration = 60 }
    ]
  }

  expect_failures = [var.targets]
}

run "no_time_at_all" {
  command = plan

  variables {
    approval_timeout_seconds = 0
    targets                  = [{ role_name = "readonly", max_duration = 0 }]
  }

  expect_failures = [var.approval_timeout_seconds, var.targets]
}
