# What the Runtime knows of this flow. It reads these and can write none of
# them: who may approve what is decided where the code is reviewed.

locals {
  _flow = {
    name            = var.flow_name
    label           = var.label
    connect         = trimspace(var.connect)
    groups          = local.groups
    request_channel = local.flow_vars.request_channel
    tell_approvers  = local.flow_vars.tell_approvers

    # The rules of targets that were written before targets had their own.
    approvers                = local.approvers
    allow_self_approval      = var.allow_self_approval
    approval_timeout_seconds = var.approval_timeout_seconds
  }

  _target = {
    for name, target in local.targets : name => {
      name                     = name
      label                    = target.label
      type                     = "postgres"
      default_duration_seconds = target.default_duration
      max_duration_seconds     = target.max_duration
      rules                    = local.rules[name]
    }
  }

  # Parameter Store refuses {{, by which it names another parameter. In JSON two
  # of these are next to each other inside a text alone, where one of them can be
  # written in another way.
  _twice   = "{{"
  _escaped = "{\\u007b"

  # What a parameter holds, less what ARNs take that are not known yet. Base64
  # counts bytes: it writes three of them as four characters.
  _most = floor((8192 - 600) / 3) * 4
  too_large = compact(concat(
    [
      length(base64encode(replace(
        jsonencode(local._flow), local._twice, local._escaped
      ))) > local._most ?
      "the flow ${var.flow_name}" : ""
    ],
    [
      for name, target in local._target :
      length(base64encode(replace(
        jsonencode(target), local._twice, local._escaped
      ))) > local._most ?
      "the target ${name}" : ""
    ]
  ))
}

resource "aws_ssm_parameter" "flow" {
  name        = "${var.runtime.flows_path}/${var.flow_name}"
  description = "The flow ${var.flow_name}: its workflow, and who is in it."
  type        = "String"
  tier        = "Intelligent-Tiering"

  # Nothing secret: a plan shall show how the rules change.
  insecure_value = replace(jsonencode(merge(local._flow, {
    state_machine_arn    = aws_sfn_state_machine.this.arn
    lambda_connector_arn = local.connector.role_arn
  })), local._twice, local._escaped)

  tags = var.tags

  depends_on = [
    aws_lambda_invocation.retire,
    data.aws_lambda_invocation.check_rules,
  ]

  lifecycle {
    precondition {
      condition = contains(
        var.runtime.connector_account_ids, local.connector.account_id
      )
      error_message = <<-EOT
        The Lambda Connector of the flow ${var.flow_name} is in the account ${local.connector.account_id}.
        The Runtime ${var.runtime.runtime_name} may assume roles only in ${join(", ", var.runtime.connector_account_ids)}.
        Add the account to safelist_account_ids of sym-runtime.
      EOT
    }

    precondition {
      condition = (
        try(split(":", var.function_arn)[4], "") == local.connector.account_id
      )
      error_message = <<-EOT
        The flow ${var.flow_name} has its Lambda Connector in the account ${local.connector.account_id},
        and its function is ${var.function_arn}.
        A connector calls functions of its own account: make it there, by the
        module postgres-flow/connector with the function's provider, and give it to the
        flow as `connector`.
      EOT
    }
  }
}

resource "aws_ssm_parameter" "target" {
  for_each = local.targets

  name        = "${var.runtime.flows_path}/${var.flow_name}/targets/${each.key}"
  description = "The target ${each.key}: a role, for how long, and its rules."
  type        = "String"
  tier        = "Intelligent-Tiering"

  insecure_value = replace(jsonencode(merge(local._target[each.key], {
    settings = {
      arn       = var.function_arn
      role_name = each.value.role_name
    }
  })), local._twice, local._escaped)

  tags = var.tags

  depends_on = [
    aws_lambda_invocation.retire,
    data.aws_lambda_invocation.check_rules,
  ]
}
