# The HTTP API. Every route of people and programs is authorised by IAM: API
# Gateway checks the caller's signature, and who they are reaches the function
# with the event.

locals {
  routes = toset([
    # Everything else: the function says what there is.
    "$default",
    "GET /flows",
    "GET /me",
    "GET /requests",
    "GET /requests/{id}",
    "POST /requests",
    "POST /requests/{id}/approve",
    "POST /requests/{id}/deny",
    "POST /requests/{id}/extend",
    "POST /requests/{id}/review",
    "POST /requests/{id}/revoke",
  ])
}

resource "aws_apigatewayv2_api" "this" {
  name          = local.name
  description   = "Requests for access, and the decisions on them."
  protocol_type = "HTTP"
  tags          = var.tags
}

resource "aws_apigatewayv2_integration" "runtime" {
  api_id                 = aws_apigatewayv2_api.this.id
  integration_type       = "AWS_PROXY"
  integration_uri        = aws_lambda_function.runtime.invoke_arn
  payload_format_version = "2.0"
}

resource "aws_apigatewayv2_route" "this" {
  for_each = local.routes

  api_id             = aws_apigatewayv2_api.this.id
  authorization_type = "AWS_IAM"
  route_key          = each.key
  target             = "integrations/${aws_apigatewayv2_integration.runtime.id}"
}

# Slack signs with a secret of its own, which the function checks before it
# reads anything. Each route is throttled by itself, see the stage: whoever
# calls these in vain takes nothing from the others.
resource "aws_apigatewayv2_route" "slack" {
  for_each = local.slack_routes

  api_id             = aws_apigatewayv2_api.this.id
  authorization_type = "NONE"
  route_key          = each.key
  target             = "integrations/${aws_apigatewayv2_integration.runtime.id}"
}

# Groups below /aws/vendedlogs/ share one resource policy; others each add to
# a policy of limited size, which one day is full.
#
# CloudWatch encrypts it with a key of its own, and it holds no secret.
#tfsec:ignore:aws-cloudwatch-log-group-customer-key
resource "aws_cloudwatch_log_group" "api" {
  name              = "/aws/vendedlogs/apigateway/${local.name}"
  retention_in_days = var.log_retention_days
  tags              = var.tags
}

resource "aws_apigatewayv2_stage" "default" {
  api_id      = aws_apigatewayv2_api.this.id
  name        = "$default"
  auto_deploy = true

  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.api.arn
    format = jsonencode({
      caller            = "$context.identity.userArn"
      error             = "$context.error.message"
      integration_error = "$context.integrationErrorMessage"
      ip                = "$context.identity.sourceIp"
      request_id        = "$context.requestId"
      response_length   = "$context.responseLength"
      route             = "$context.routeKey"
      status            = "$context.status"
      time              = "$context.requestTime"
    })
  }

  # For each route. People ask, not machines: what is above this is a loop or
  # an attack.
  default_route_settings {
    throttling_burst_limit = 50
    throttling_rate_limit  = 25
  }

  # Anybody can call these. What is wrongly signed must not use up the
  # concurrency that ends access.
  dynamic "route_settings" {
    for_each = local.slack_routes

    content {
      route_key              = route_settings.value
      throttling_burst_limit = 20
      throttling_rate_limit  = 10
    }
  }

  tags = var.tags

  # A stage with settings for a route that is not there is refused.
  depends_on = [aws_apigatewayv2_route.slack]
}

resource "aws_lambda_permission" "api" {
  statement_id  = "HttpApi"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.runtime.function_name
  principal     = "apigateway.amazonaws.com"
  # Any stage, any route, of this API only.
  source_arn = "${aws_apigatewayv2_api.this.execution_arn}/*/*"
}
