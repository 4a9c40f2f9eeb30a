# One execution is one request, from the question to the end of the access.
# People reach it through task tokens; nothing from outside ever stops it.

locals {
  _invoke = "arn:${local.partition}:states:::lambda:invoke"

  # More than the Runtime function's own 60 seconds, so that it is the function
  # that gives up first and says why.
  _step_timeout = 75

  # What is worth asking again at once. The steps that wait for a person name
  # their errors: States.ALL would take in the timeout that ends the waiting.
  # Lambda.Unknown is a function that crashed, hung or ran out of memory.
  _retry_trouble = {
    ErrorEquals = [
      "Lambda.AWSLambdaException",
      "Lambda.SdkClientException",
      "Lambda.ServiceException",
      "Lambda.TooManyRequestsException",
      "Lambda.Unknown",
      "Runtime.ExitError",
      "Sandbox.Timedout",
      "StoreUnavailable",
      "WorkflowUnavailable",
    ]
    IntervalSeconds = 1
    MaxAttempts     = 3
    BackoffRate     = 2
  }

  # Bookkeeping after the access is gone: about an hour, then an alarm.
  _retry_books = {
    ErrorEquals     = ["States.ALL"]
    IntervalSeconds = 2
    MaxAttempts     = 12
    BackoffRate     = 2
    MaxDelaySeconds = 600
  }

  definition = {
    Comment = "Ask, escalate, hold, deescalate: one request for a role."
    StartAt = "Ask"
    States = {
      Ask = {
        Comment  = "Waits for a decision until the time for it is over."
        Type     = "Task"
        Resource = "${local._invoke}.waitForTaskToken"
        Parameters = {
          FunctionName = var.runtime.function_arn
          Payload = {
            "step"         = "ask"
            "request_id.$" = "$.request_id"
            "task_token.$" = "$$.Task.Token"
          }
        }
        TimeoutSecondsPath = "$.approval_timeout_seconds"
        ResultPath         = "$.decision"
        Retry              = [local._retry_trouble]
        Catch = [
          {
            ErrorEquals = ["States.ALL"]
            ResultPath  = "$.unanswered"
            Next        = "Settle"
          }
        ]
        Next = "Decided"
      }

      Decided = {
        Type = "Choice"
        Choices = [
          {
            And = [
              { Variable = "$.decision.state", IsPresent = true },
              { Variable = "$.decision.state", StringEquals = "approved" },
            ]
            Next = "Escalate"
          },
          {
            # Withdrawn after the approval, before the signal came here.
            And = [
              { Variable = "$.decision.state", IsPresent = true },
              { Variable = "$.decision.state", StringEquals = "revoking" },
            ]
            Next = "Deescalate"
          },
        ]
        Default = "Close"
      }

      Settle = {
        Comment  = "No word came. What stands in the request table counts."
        Type     = "Task"
        Resource = local._invoke
        Parameters = {
          FunctionName = var.runtime.function_arn
          Payload      = { "step" = "close", "request_id.$" = "$.request_id" }
        }
        ResultSelector = { "Payload.$" = "$.Payload" }
        ResultPath     = "$.settled"
        TimeoutSeconds = local._step_timeout
        Retry          = [local._retry_books]
        Next           = "Settled"
      }

      Settled = {
        Comment = "Approved means that its signal was lost on the way here."
        Type    = "Choice"
        Choices = [
          {
            And = [
              { Variable = "$.settled.Payload.state", IsPresent = true },
              {
                Variable     = "$.settled.Payload.state"
                StringEquals = "approved"
              },
            ]
            Next = "Escalate"
          },
          {
            And = [
              { Variable = "$.settled.Payload.state", IsPresent = true },
              {
                Variable     = "$.settled.Payload.state"
                StringEquals = "revoking"
              },
            ]
            Next = "Deescalate"
          },
        ]
        Default = "Done"
      }

      Escalate = {
        Comment  = "Grants the role, or learns that it can never be granted."
        Type     = "Task"
        Resource = local._invoke
        Parameters = {
          FunctionName = var.runtime.function_arn
          Payload = {
            "step"         = "escalate"
            "request_id.$" = "$.request_id"
          }
        }
        ResultSelector = { "Payload.$" = "$.Payload" }
        ResultPath     = "$.grant"
        TimeoutSeconds = local._step_timeout
        Retry = [
          {
            ErrorEquals     = ["States.ALL"]
            IntervalSeconds = 2
            MaxAttempts     = 5
            BackoffRate     = 2
          }
        ]
        Catch = [
          {
            # It may have been granted all the same: take it back.
            ErrorEquals = ["States.ALL"]
            ResultPath  = "$.ungranted"
            Next        = "Deescalate"
          }
        ]
        Next = "Granted"
      }

      Granted = {
        Type = "Choice"
        Choices = [
          {
            And = [
              { Variable = "$.grant.Payload.state", IsPresent = true },
              { Variable = "$.grant.Payload.state", StringEquals = "active" },
              { Variable = "$.grant.Payload.hold_seconds", IsPresent = true },
              { Variable = "$.grant.Payload.hold_seconds", IsNumeric = true },
              {
                Variable                 = "$.grant.Payload.hold_seconds"
                NumericGreaterThanEquals = 1
              },
            ]
            Next = "Hold"
          },
          {
            # No time left to hold it: it may have taken long to get here.
            And = [
              { Variable = "$.grant.Payload.state", IsPresent = true },
              { Variable = "$.grant.Payload.state", StringEquals = "active" },
            ]
            Next = "Deescalate"
          },
        ]
        Default = "Close"
      }

      Hold = {
        Comment  = "Waits for an early revoke until the access expires."
        Type     = "Task"
        Resource = "${local._invoke}.waitForTaskToken"
        Parameters = {
          FunctionName = var.runtime.function_arn
          Payload = {
            "step"         = "hold"
            "request_id.$" = "$.request_id"
            "task_token.$" = "$$.Task.Token"
          }
        }
        TimeoutSecondsPath = "$.grant.Payload.hold_seconds"
        ResultPath         = "$.held"
        Retry              = [local._retry_trouble]
        Catch = [
          {
            # The expiry, or trouble. Either way the access ends now.
            ErrorEquals = ["States.ALL"]
            ResultPath  = "$.expired"
            Next        = "Deescalate"
          }
        ]
        Next = "Deescalate"
      }

      Deescalate = {
        Comment    = "Takes the role back."
        Type       = "Task"
        Resource   = local._invoke
        Parameters = local._deescalate
        # Neither the answer nor an error is needed further on.
        ResultPath     = null
        TimeoutSeconds = local._step_timeout
        Retry = [
          {
            # Three tries before the alarm: a fault of a few seconds raises
            # none, and with the Postgres function's limit of 30 seconds a try
            # it still comes within two minutes.
            ErrorEquals     = ["States.ALL"]
            IntervalSeconds = 10
            MaxAttempts     = 2
            BackoffRate     = 2
          }
        ]
        Catch = [
          {
            ErrorEquals = ["States.ALL"]
            ResultPath  = "$.kept"
            Next        = "Alarm"
          }
        ]
        Next = "Close"
      }

      Alarm = {
        Comment  = "Straight to the topic: the Runtime may be what is broken."
        Type     = "Task"
        Resource = "arn:${local.partition}:states:::sns:publish"
        Parameters = {
          TopicArn = var.runtime.error_topic_arn
          Subject  = "A role could not be taken back"
          "Message.$" = format(
            "States.Format('%s', $.request_id, $$.Execution.Id)",
            join(" ", [
              "The role of the request {} could not be taken back, or it is",
              "not known whether it was granted. The workflow keeps trying, and",
              "so does the sweep. Make sure that the database and the Postgres",
              "function can be reached. The execution is {}.",
            ])
          )
        }
        ResultPath     = null
        TimeoutSeconds = 30
        Retry = [
          {
            ErrorEquals     = ["States.ALL"]
            IntervalSeconds = 1
            MaxAttempts     = 2
            BackoffRate     = 2
          }
        ]
        Catch = [
          {
            ErrorEquals = ["States.ALL"]
            ResultPath  = "$.unheard"
            Next        = "DeescalateUntilDone"
          }
        ]
        Next = "DeescalateUntilDone"
      }

      DeescalateUntilDone = {
        Comment        = "Takes the role back, however long it takes."
        Type           = "Task"
        Resource       = local._invoke
        Parameters     = local._deescalate
        ResultPath     = null
        TimeoutSeconds = local._step_timeout
        Retry = [
          {
            ErrorEquals     = ["States.ALL"]
            IntervalSeconds = 10
            MaxAttempts     = 99999999
            BackoffRate     = 2
            # A history holds 25,000 events and a try is three of them: at this
            # pace it lasts for three months.
            MaxDelaySeconds = 900
          }
        ]
        Next = "Close"
      }

      Close = {
        Comment  = "Writes down how it ended, and tells those concerned."
        Type     = "Task"
        Resource = local._invoke
        Parameters = {
          FunctionName = var.runtime.function_arn
          Payload      = { "step" = "close", "request_id.$" = "$.request_id" }
        }
        ResultPath     = null
        TimeoutSeconds = local._step_timeout
        Retry          = [local._retry_books]
        Next           = "Done"
      }

      Done = { Type = "Succeed" }
    }
  }

  _deescalate = {
    FunctionName = var.runtime.function_arn
    Payload      = { "step" = "deescalate", "request_id.$" = "$.request_id" }
  }
}

# Groups below /aws/vendedlogs/ share one resource policy; others each add to
# a policy of limited size, which one day is full.
#
# CloudWatch encrypts it with a key of its own, and it holds no secret.
#tfsec:ignore:aws-cloudwatch-log-group-customer-key
resource "aws_cloudwatch_log_group" "state_machine" {
  name              = "/aws/vendedlogs/states/${local.name}"
  retention_in_days = var.log_retention_days
  tags              = var.tags
}

resource "aws_iam_role" "state_machine" {
  name        = "${local.name}-machine${var.runtime.global_suffix}"
  path        = "/sym/"
  description = "What the state machine of ${var.flow_name} may do."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "StepFunctions"
        Effect    = "Allow"
        Action    = "sts:AssumeRole"
        Principal = { Service = "states.amazonaws.com" }
        Condition = {
          StringEquals = { "aws:SourceAccount" = local.account_id }
          ArnLike = {
            "aws:SourceArn" = format(
              "arn:%s:states:%s:%s:stateMachine:%s", local.partition,
              local.region, local.account_id, local.name
            )
          }
        }
      }
    ]
  })

  tags = var.tags
}

resource "aws_iam_role_policy" "state_machine" {
  name = "machine"
  role = aws_iam_role.state_machine.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "RunSteps"
        Effect   = "Allow"
        Action   = "lambda:InvokeFunction"
        Resource = var.runtime.function_arn
      },
      {
        Sid      = "RaiseAlarm"
        Effect   = "Allow"
        Action   = "sns:Publish"
        Resource = var.runtime.error_topic_arn
      },
      {
        Sid    = "DeliverLogs"
        Effect = "Allow"
        Action = [
          "logs:CreateLogDelivery",
          "logs:DeleteLogDelivery",
          "logs:DescribeLogGroups",
          "logs:DescribeResourcePolicies",
          "logs:GetLogDelivery",
          "logs:ListLogDeliveries",
          "logs:PutResourcePolicy",
          "logs:UpdateLogDelivery",
        ]
        # These actions of CloudWatch Logs know no resource.
        Resource = "*"
      },
      {
        Sid      = "WriteLog"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.state_machine.arn}:*"
      }
    ]
  })
}

resource "aws_sfn_state_machine" "this" {
  name       = local.name
  role_arn   = aws_iam_role.state_machine.arn
  type       = "STANDARD"
  definition = jsonencode(local.definition)

  logging_configuration {
    # Without the data: task tokens and reasons have no business in a log.
    include_execution_data = false
    level                  = "ALL"
    log_destination        = "${aws_cloudwatch_log_group.state_machine.arn}:*"
  }

  # The tag is what lets the Runtime start it.
  tags = merge(var.tags, { SymEnv = var.runtime.runtime_name })

  # AWS deletes it once its executions are over. One that waits to try again
  # (DeescalateUntilDone) sleeps for a quarter of an hour at most.
  timeouts {
    delete = "20m"
  }

  depends_on = [aws_iam_role_policy.state_machine]
}
