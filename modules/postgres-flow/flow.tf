# What the Runtime knows of this flow. It reads these and can write none of
# them: who may approve what is decided where the code is reviewed.

resource "aws_ssm_parameter" "flow" {
  name        = "${var.runtime.flows_path}/${var.flow_name}"
  description = "The flow ${var.flow_name}: its workflow and its rules."
  type        = "String"

  # Nothing secret: a plan shall show how the rules change.
  insecure_value = jsonencode({
    name                     = var.flow_name
    label                    = var.label
    state_machine_arn        = aws_sfn_state_machine.this.arn
    lambda_connector_arn     = aws_iam_role.lambda_connector.arn
    request_channel          = var.flow_vars.request_channel
    approvers                = local.approvers
    allow_self_approval      = var.allow_self_approval
    approval_timeout_seconds = var.approval_timeout_seconds
  })

  tags = var.tags
}

resource "aws_ssm_parameter" "target" {
  for_each = local.targets

  name        = "${var.runtime.flows_path}/${var.flow_name}/targets/${each.key}"
  description = "The target ${each.key}: a role, and for how long."
  type        = "String"

  insecure_value = jsonencode({
    name  = each.key
    label = each.value.label
    type  = "postgres"
    settings = {
      arn       = var.function_arn
      role_name = each.value.role_name
    }
    default_duration_seconds = each.value.default_duration
    max_duration_seconds     = each.value.max_duration
  })

  tags = var.tags
}
