# Slack, where a workspace is named. What signs its calls and ours is in the
# shared secret.

locals {
  slack_on         = var.slack_workspace_id != null
  error_channel_on = local.slack_on && var.error_channel != null

  slack_paths = ["/slack/commands", "/slack/interactions"]
  slack_routes = toset([
    for path in local.slack_paths : "POST ${path}" if local.slack_on
  ])
  slack_urls = {
    for path in local.slack_paths :
    path => (
      local.slack_on ? "${aws_apigatewayv2_api.this.api_endpoint}${path}" : null
    )
  }

  slack_settings = { for name, value in {
    SYM_ERROR_CHANNEL      = var.error_channel
    SYM_SLACK_USERS        = jsonencode(var.slack_users)
    SYM_SLACK_WORKSPACE_ID = var.slack_workspace_id
  } : name => value if local.slack_on && value != null }
}
