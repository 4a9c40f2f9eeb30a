# The Runtime function: the HTTP API and every step of the workflow.

# CloudWatch encrypts it with a key of its own, and it holds no secret.
#tfsec:ignore:aws-cloudwatch-log-group-customer-key
resource "aws_cloudwatch_log_group" "runtime" {
  name              = "/aws/lambda/${local.function_name}"
  retention_in_days = var.log_retention_days
  tags              = var.tags
}

resource "aws_iam_role" "runtime" {
  name        = "${local.name}-runtime${var.global_suffix}"
  path        = "/sym/"
  description = "What the ${var.runtime_name} Runtime function itself may do."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Lambda"
        Effect    = "Allow"
        Action    = "sts:AssumeRole"
        Principal = { Service = "lambda.amazonaws.com" }
      }
    ]
  })

  tags = var.tags
}

resource "aws_iam_role_policy" "runtime" {
  name = "runtime"
  role = aws_iam_role.runtime.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(local.audit_bucket_statements, [
      {
        Sid      = "WriteLogs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.runtime.arn}:*"
      },
      {
        Sid    = "KeepAuditLog"
        Effect = "Allow"
        # What is there is read before it may be written a second time. There
        # is no right to delete it, nor to change how long it is kept.
        Action = [
          "logs:CreateLogStream",
          "logs:GetLogEvents",
          "logs:PutLogEvents",
        ]
        Resource = "${aws_cloudwatch_log_group.audit.arn}:*"
      },
      {
        Sid    = "KeepRequests"
        Effect = "Allow"
        # No DeleteItem and no Scan: a request, once made, stays.
        Action = [
          "dynamodb:GetItem",
          "dynamodb:PutItem",
          "dynamodb:Query",
          "dynamodb:UpdateItem",
        ]
        Resource = [
          aws_dynamodb_table.requests.arn,
          "${aws_dynamodb_table.requests.arn}/index/by_created",
          "${aws_dynamodb_table.requests.arn}/index/by_deadline",
          "${aws_dynamodb_table.requests.arn}/index/by_outbox",
        ]
      },
      {
        Sid    = "ReadFlows"
        Effect = "Allow"
        Action = "ssm:GetParametersByPath"
        # Flows are added after the Runtime, below this path.
        Resource = [
          for suffix in ["", "/*"] : format(
            "arn:%s:ssm:%s:%s:parameter%s%s", local.partition, local.region,
            local.account_id, local.flows_path, suffix
          )
        ]
      },
      {
        Sid    = "StartRequests"
        Effect = "Allow"
        Action = "states:StartExecution"
        # Flows are added after the Runtime, under its own prefix. The machines
        # of prod-eu have the prefix of prod as well: the tag tells them apart.
        Resource = format(
          "arn:%s:states:%s:%s:stateMachine:%s", local.partition,
          local.region, local.account_id, local.machine_pattern
        )
        Condition = {
          StringEquals = { "aws:ResourceTag/SymEnv" = var.runtime_name }
        }
      },
      {
        Sid    = "FollowRequests"
        Effect = "Allow"
        Action = "states:DescribeExecution"
        # An execution is named after its request. Executions have no tags, so
        # prod may look at those of prod-eu, by an id that it does not know.
        Resource = format(
          "arn:%s:states:%s:%s:execution:%s:*", local.partition,
          local.region, local.account_id, local.machine_pattern
        )
      },
      {
        Sid    = "SignalRequests"
        Effect = "Allow"
        Action = "states:SendTaskSuccess"
        # Checked against the machine that gave out the task token, though AWS's
        # reference lists no resource for it. docs/decisions.md has the evidence,
        # and docs/operations.md the smoke test. Whoever has no token can do
        # nothing with it, so it needs no tag either. The activity, the other source of
        # tokens, is not used here.
        Resource = format(
          "arn:%s:states:%s:%s:stateMachine:%s", local.partition,
          local.region, local.account_id, local.machine_pattern
        )
      },
      {
        Sid    = "ProveIdentityCenterRoles"
        Effect = "Allow"
        Action = "iam:GetRole"
        # Identity Center makes and removes roles as it is told; all of them
        # live below this path, and no other role can be read.
        Resource = format(
          "arn:%s:iam::%s:role/aws-reserved/sso.amazonaws.com/*",
          local.partition, local.account_id
        )
      },
      {
        Sid      = "AssumeRuntimeConnector"
        Effect   = "Allow"
        Action   = "sts:AssumeRole"
        Resource = aws_iam_role.runtime_connector.arn
      },
      {
        Sid    = "WorkLater"
        Effect = "Allow"
        Action = "lambda:InvokeFunction"
        # Itself. It is named here, since it waits for this policy.
        Resource = format(
          "arn:%s:lambda:%s:%s:function:%s", local.partition, local.region,
          local.account_id, local.function_name
        )
      },
      {
        Sid      = "TellHumans"
        Effect   = "Allow"
        Action   = "sns:Publish"
        Resource = aws_sns_topic.errors.arn
      }
    ])
  })
}

locals {
  _foreign_callers = [
    for arn in sort(keys(var.callers)) : arn
    if try(split(":", arn)[4], "") != local.account_id
  ]

  # Lambda gives processor time by memory. A cold start has to make five
  # connections and answer Slack within three seconds.
  memory_mb = 1024

  _settings = merge(local.slack_settings, local.audit_bucket_settings, {
    SYM_AUDIT_LOG_GROUP       = aws_cloudwatch_log_group.audit.name
    SYM_CALLERS               = jsonencode(var.callers)
    SYM_ERROR_TOPIC_ARN       = aws_sns_topic.errors.arn
    SYM_EXTERNAL_ID           = terraform_data.external_id.output
    SYM_FLOWS_PATH            = local.flows_path
    SYM_ORG_SLUG              = var.sym_org_slug
    SYM_REQUEST_TABLE         = aws_dynamodb_table.requests.name
    SYM_RUNTIME_CONNECTOR_ARN = aws_iam_role.runtime_connector.arn
    SYM_SHARED_SECRET_ARN     = aws_secretsmanager_secret.shared.arn
  })

  # Lambda counts the settings as one JSON object, in which the quotes inside a
  # setting are escaped. What AWS makes is not known at the first plan, so a text
  # of the same length is counted.
  _measured = merge(
    local.slack_settings,
    var.audit_bucket == null ? {} : {
      SYM_AUDIT_BUCKET = "${local.name}-audit-${local.account_id}${var.global_suffix}"
    },
    {
      SYM_AUDIT_LOG_GROUP = "/sym/${var.runtime_name}/audit"
      SYM_CALLERS         = jsonencode(var.callers)
      SYM_ERROR_TOPIC_ARN = format(
        "arn:%s:sns:%s:%s:%s-errors", local.partition, local.region,
        local.account_id, local.name
      )
      SYM_EXTERNAL_ID   = "00000000-0000-0000-0000-000000000000"
      SYM_FLOWS_PATH    = local.flows_path
      SYM_ORG_SLUG      = var.sym_org_slug
      SYM_REQUEST_TABLE = "${local.name}-requests"
      SYM_RUNTIME_CONNECTOR_ARN = format(
        "arn:%s:iam::%s:role/sym/%s", local.partition, local.account_id,
        local.connector_name
      )
      SYM_SHARED_SECRET_ARN = format(
        "arn:%s:secretsmanager:%s:%s:secret:%s/shared-XXXXXX",
        local.partition, local.region, local.account_id, local.name
      )
    }
  )

  # Base64 counts bytes: it writes three of them as four characters.
  _environment_bytes = floor(
    length(base64encode(jsonencode(local._measured))) / 4 * 3
  )
  _people_bytes = floor(length(base64encode(jsonencode([
    jsonencode(var.callers), local.slack_on ? jsonencode(var.slack_users) : ""
  ]))) / 4 * 3)
  _people_count = (
    length(var.callers) + (local.slack_on ? length(var.slack_users) : 0)
  )
  _people_fit = floor(max(
    0, 4096 - local._environment_bytes + local._people_bytes
  ) / (local._people_bytes / max(1, local._people_count)))
}

# The log follows a request by its id; tracing would be one more right.
#tfsec:ignore:aws-lambda-enable-tracing
resource "aws_lambda_function" "runtime" {
  function_name = local.function_name
  description   = "Takes requests and decisions, and walks the role chain."
  role          = aws_iam_role.runtime.arn

  architectures    = [var.architecture]
  filename         = var.package
  handler          = "bootstrap"
  memory_size      = local.memory_mb
  runtime          = "provided.al2023"
  source_code_hash = filebase64sha256(var.package)

  # Its own calls wait for the Postgres function, which has 30 seconds. The
  # state machine waits longer than this for a step.
  timeout = 60

  environment {
    variables = local._settings
  }

  tags = var.tags

  lifecycle {
    precondition {
      condition     = local._environment_bytes <= 4096
      error_message = <<-EOT
        The settings of the function ${local.function_name} take
        ${local._environment_bytes} bytes, and Lambda has 4096 for them. callers
        and slack_users take ${local._people_bytes} of that for
        ${local._people_count} people; about ${local._people_fit} such people
        fit. Leave out those who are recognised without: by the e-mail address
        that their session or their Slack account has.
      EOT
    }

    precondition {
      condition     = length(local._foreign_callers) == 0
      error_message = <<-EOT
        These callers are of another account than the Runtime's, ${local.account_id}:
        ${join(", ", local._foreign_callers)}.
        An HTTP API cannot let them in: API Gateway answers 403. Let them assume a
        role in ${local.account_id}, one role a person, and name that role.
      EOT
    }
  }

  # Without its group there Lambda would make one itself, without retention.
  depends_on = [
    aws_cloudwatch_log_group.runtime,
    aws_iam_role_policy.runtime,
  ]
}

# The schedule calls without waiting, and so does the function itself for what
# comes after a reply. That is worth a second try, which changes nothing that
# the first one has done. After minutes nobody waits for it any more.
resource "aws_lambda_function_event_invoke_config" "runtime" {
  function_name                = aws_lambda_function.runtime.function_name
  maximum_event_age_in_seconds = 300
  maximum_retry_attempts       = 1
}

# By this name Terraform asks the function whether rules compile, and the
# function does nothing else. So whoever plans may be given the right to ask, and
# cannot become somebody who calls the API.
resource "aws_lambda_alias" "check" {
  name             = "check"
  description      = "Says whether rules compile, and nothing else."
  function_name    = aws_lambda_function.runtime.function_name
  function_version = "$LATEST"
}
