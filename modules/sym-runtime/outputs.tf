output "api_endpoint" {
  description = "The address of the HTTP API."
  value       = aws_apigatewayv2_api.this.api_endpoint
}

output "audit_bucket_name" {
  description = "The bucket of the audit records, where there is one."
  value       = one(aws_s3_bucket.audit[*].bucket)
}

output "audit_log_group_name" {
  description = "The log group of the audit records."
  value       = aws_cloudwatch_log_group.audit.name
}

output "check_alias" {
  description = "The alias by which the function checks rules and nothing else."
  value       = aws_lambda_alias.check.name
}

# Unknown while the function changes, so that whoever has to ask its new code
# waits for it.
output "code_version" {
  description = "When the Runtime function was last changed."
  value       = aws_lambda_function.runtime.last_modified
}

output "connector_account_ids" {
  description = "The accounts whose connectors the Runtime may assume."
  value       = local.connector_account_ids
}

output "connector_role_arn" {
  description = "The Runtime Connector, which flows trust."
  value       = aws_iam_role.runtime_connector.arn

  # What trusts the role needs what the role may do, at a destroy until the end.
  depends_on = [aws_iam_role_policy.runtime_connector]
}

output "connector_role_name" {
  description = "The Runtime Connector's name."
  value       = aws_iam_role.runtime_connector.name
}

output "error_topic_arn" {
  description = "Where everything that needs a human is published."
  # Written out, so that a plan knows which account and region it is in.
  value = local.error_topic_arn

  # Whoever gets the ARN may publish.
  depends_on = [
    aws_sns_topic.errors,
    aws_sns_topic_policy.errors,
  ]
}

output "external_id" {
  description = "What whoever assumes the Runtime Connector must know."
  value       = terraform_data.external_id.output
}

output "flows_path" {
  description = "The path in Parameter Store below which flows are written."
  value       = local.flows_path
}

output "function_arn" {
  description = "The Runtime function."
  value       = aws_lambda_function.runtime.arn

  # Flows may rely on it that somebody looks after their requests, until the
  # flows are gone.
  depends_on = [
    aws_scheduler_schedule.reconcile,
  ]

  precondition {
    condition = try(length(module.check.problems) == 0, false)
    error_message = format(
      "The Runtime cannot use these settings:\n%s", try(
        join("\n", module.check.problems), "It did not say whether it can."
      )
    )
  }
}

output "function_name" {
  description = "The Runtime function's name."
  value       = aws_lambda_function.runtime.function_name
}

output "function_role_arn" {
  description = "The role that the Runtime function runs as."
  value       = aws_iam_role.runtime.arn
}

output "global_suffix" {
  description = "What the names end with that are not a region's own."
  value       = var.global_suffix
}

output "request_table_name" {
  description = "The table of requests and their audit records."
  value       = aws_dynamodb_table.requests.name
}

output "runtime_name" {
  description = "What the Runtime is called."
  value       = var.runtime_name
}

output "shared_secret_arn" {
  description = "The secret whose value is set by hand, outside Terraform."
  value       = aws_secretsmanager_secret.shared.arn
}

output "slack_commands_url" {
  description = "Where Slack sends /sym, where Slack is on."
  value       = local.slack_urls["/slack/commands"]
}

output "slack_interactions_url" {
  description = "Where Slack sends clicks and modals, where Slack is on."
  value       = local.slack_urls["/slack/interactions"]
}
