output "flow_name" {
  description = "What the flow is called."
  value       = var.flow_name
}

output "lambda_connector_role_arn" {
  description = "The role through which the flow's function is called."
  value       = local.connector.role_arn
}

output "rules" {
  description = "Each target's rules, complete, as the Runtime applies them."
  value       = local.rules
}

output "state_machine_arn" {
  description = "The workflow. One execution is one request."
  value       = aws_sfn_state_machine.this.arn
}

output "targets" {
  description = "Each target's name, and what is granted for how long."
  value       = local.targets
}
