# Where everything that needs a human goes: the workflow's alarm, CloudWatch's
# alarms, the Runtime's own errors. Subscribe an address or a pager to it.

# Databases may be in other accounts, where only their functions (roles below
# /sym/) and CloudWatch's alarms may publish.
locals {
  error_topic_name = "${local.name}-errors"
  error_topic_arn = format(
    "arn:%s:sns:%s:%s:%s",
    local.partition, local.region, local.account_id, local.error_topic_name
  )

  _other_accounts = sort(setsubtract(
    var.safelist_account_ids, [local.account_id]
  ))
  _other_account_roots = [
    for id in local._other_accounts : "arn:${local.partition}:iam::${id}:root"
  ]
  _other_account_roles = [
    for id in local._other_accounts :
    "arn:${local.partition}:iam::${id}:role/sym/*"
  ]
}

# A key of our own, since CloudWatch may not use the one that AWS manages.
resource "aws_kms_key" "errors" {
  description             = "The errors of the ${var.runtime_name} Runtime."
  deletion_window_in_days = 7
  enable_key_rotation     = true

  # In a key's own policy the resource "*" is that key.
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "AdministerThroughIam"
        Effect   = "Allow"
        Action   = "kms:*"
        Resource = "*"
        Principal = {
          AWS = "arn:${local.partition}:iam::${local.account_id}:root"
        }
      },
      {
        Sid       = "AlarmsPublish"
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey*"]
        Resource  = "*"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Condition = {
          StringEquals = { "aws:SourceAccount" = local.connector_account_ids }
        }
      },
      {
        # Whoever may publish to a topic here may use the key for it, and for
        # nothing else: so roles need no permission on the key.
        Sid       = "PublishersThroughSns"
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey*"]
        Resource  = "*"
        Principal = { AWS = "*" }
        Condition = {
          StringEquals = {
            "kms:CallerAccount" = local.connector_account_ids
            "kms:ViaService"    = "sns.${local.region}.${local.dns_suffix}"
          }
        }
      }
    ]
  })

  tags = var.tags
}

resource "aws_sns_topic" "errors" {
  name              = local.error_topic_name
  kms_master_key_id = aws_kms_key.errors.arn
  tags              = var.tags
}

resource "aws_sns_topic_policy" "errors" {
  arn = aws_sns_topic.errors.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid       = "AlarmsPublish"
          Effect    = "Allow"
          Action    = "sns:Publish"
          Resource  = aws_sns_topic.errors.arn
          Principal = { Service = "cloudwatch.amazonaws.com" }
          Condition = {
            StringEquals = { "aws:SourceAccount" = local.connector_account_ids }
          }
        }
      ],
      length(local._other_accounts) == 0 ? [] : [
        {
          Sid       = "FunctionsOfOtherAccountsPublish"
          Effect    = "Allow"
          Action    = "sns:Publish"
          Resource  = aws_sns_topic.errors.arn
          Principal = { AWS = local._other_account_roots }
          Condition = {
            ArnLike = { "aws:PrincipalArn" = local._other_account_roles }
          }
        }
      ]
    )
  })
}

# The Runtime posts in the error channel what others publish. It marks its own
# messages and skips them here, since it posts those itself.
resource "aws_sns_topic_subscription" "error_channel" {
  count = local.error_channel_on ? 1 : 0

  topic_arn = aws_sns_topic.errors.arn
  protocol  = "lambda"
  endpoint  = aws_lambda_function.runtime.arn

  depends_on = [aws_lambda_permission.error_topic]
}

resource "aws_lambda_permission" "error_topic" {
  count = local.error_channel_on ? 1 : 0

  statement_id  = "ErrorTopic"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.runtime.function_name
  principal     = "sns.amazonaws.com"
  source_arn    = aws_sns_topic.errors.arn
}

resource "aws_cloudwatch_metric_alarm" "runtime_errors" {
  alarm_name        = "${local.name}-runtime-errors"
  alarm_description = "The Runtime function failed. Its log says why."
  alarm_actions     = [aws_sns_topic.errors.arn]

  namespace   = "AWS/Lambda"
  metric_name = "Errors"
  dimensions  = { FunctionName = aws_lambda_function.runtime.function_name }
  statistic   = "Sum"
  period      = 60

  comparison_operator = "GreaterThanThreshold"
  evaluation_periods  = 1
  threshold           = 0
  treat_missing_data  = "notBreaching"

  tags = var.tags
}

# The API turns failures into answers, so that the function's own Errors stay
# at zero while every call fails.
resource "aws_cloudwatch_metric_alarm" "api_errors" {
  alarm_name        = "${local.name}-api-errors"
  alarm_description = "Calls of the API failed. The Runtime's log says why."
  alarm_actions     = [aws_sns_topic.errors.arn]

  namespace   = "AWS/ApiGateway"
  metric_name = "5xx"
  dimensions  = { ApiId = aws_apigatewayv2_api.this.id }
  statistic   = "Sum"
  period      = 60

  comparison_operator = "GreaterThanThreshold"
  evaluation_periods  = 1
  threshold           = 0
  treat_missing_data  = "notBreaching"

  tags = var.tags
}
