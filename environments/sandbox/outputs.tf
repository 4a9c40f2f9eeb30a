output "api_endpoint" {
  description = "The address of the HTTP API."
  value       = module.sym_runtime.api_endpoint
}

output "audit_bucket_name" {
  description = "The bucket of audit records; null without one."
  value       = module.sym_runtime.audit_bucket_name
}

output "audit_log_group_name" {
  description = "The log group of audit records: a stream a request."
  value       = module.sym_runtime.audit_log_group_name
}

output "database" {
  description = "The example database, and how to get in."
  value = {
    host              = module.db.host
    master_secret_arn = module.db.master_secret_arn
    name              = module.db.database
    port              = module.db.port
    tunnel_command    = module.db.tunnel_command
    users_secret_arn  = module.db.users_secret_arn
  }
}

output "error_topic_arn" {
  description = "Where everything that needs a human is published."
  value       = module.sym_runtime.error_topic_arn
}

output "external_id" {
  description = "What whoever assumes the Runtime Connector must know."
  value       = module.sym_runtime.external_id
}

output "flow" {
  description = "The flow's name."
  value       = module.postgres_flow.flow_name
}

output "how_to_ask" {
  description = "A request for a role, as a command."
  value       = <<-EOT
    curl --aws-sigv4 "aws:amz:${var.aws_region}:execute-api" \
      --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \
      --header "X-Amz-Security-Token: $AWS_SESSION_TOKEN" \
      --json '{"flow": "${module.postgres_flow.flow_name}",
               "target": "${sort(keys(module.postgres_flow.targets))[0]}",
               "duration": 600, "reason": "To see how it works"}' \
      ${module.sym_runtime.api_endpoint}/requests
  EOT
}

output "lambda_connector_role_arn" {
  description = "The role through which the Postgres function is called."
  value       = module.postgres_flow.lambda_connector_role_arn
}

output "postgres_function_arn" {
  description = "The function that changes roles."
  value       = module.postgres_lambda.function_arn
}

output "region" {
  description = "The region that everything is in."
  value       = var.aws_region
}

output "request_table_name" {
  description = "The table of requests and their audit records."
  value       = module.sym_runtime.request_table_name
}

output "runtime_connector_role_arn" {
  description = "The role that whoever drives the chain assumes first."
  value       = module.sym_runtime.connector_role_arn
}

output "shared_secret_arn" {
  description = "The secret that wants Slack's token and signing secret."
  value       = module.sym_runtime.shared_secret_arn
}

output "slack_commands_url" {
  description = "Where Slack's app sends its command; null without Slack."
  value       = module.sym_runtime.slack_commands_url
}

output "slack_interactions_url" {
  description = "Where Slack's app sends clicks; null without Slack."
  value       = module.sym_runtime.slack_interactions_url
}

output "state_machine_arn" {
  description = "The workflow. One execution is one request."
  value       = module.postgres_flow.state_machine_arn
}

output "targets" {
  description = "Each target's name, and what is granted for how long."
  value       = module.postgres_flow.targets
}
