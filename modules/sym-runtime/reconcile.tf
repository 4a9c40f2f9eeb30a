# The second hand that ends requests. A request whose workflow was stopped,
# failed or never ran would stay open for ever; this asks the Runtime function
# every minute to look for those, for audit records that have yet to be
# delivered, and for what people have to be reminded of.

resource "aws_iam_role" "reconcile" {
  name        = "${local.name}-reconcile${var.global_suffix}"
  path        = "/sym/"
  description = "Lets the scheduler call the ${var.runtime_name} Runtime."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Scheduler"
        Effect    = "Allow"
        Action    = "sts:AssumeRole"
        Principal = { Service = "scheduler.amazonaws.com" }
        Condition = {
          StringEquals = { "aws:SourceAccount" = local.account_id }
        }
      }
    ]
  })

  tags = var.tags
}

resource "aws_iam_role_policy" "reconcile" {
  name = "reconcile"
  role = aws_iam_role.reconcile.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "InvokeFunction"
        Effect   = "Allow"
        Action   = "lambda:InvokeFunction"
        Resource = aws_lambda_function.runtime.arn
      }
    ]
  })
}

# A call that Lambda did not take is not repeated: the next run is due before
# a repetition would be.
resource "aws_scheduler_schedule" "reconcile" {
  name                = "${local.name}-reconcile"
  description         = "Ends requests that their workflows have left open."
  schedule_expression = "rate(1 minute)"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_function.runtime.arn
    input    = jsonencode({ step = "reconcile" })
    role_arn = aws_iam_role.reconcile.arn

    retry_policy {
      maximum_event_age_in_seconds = 60
      maximum_retry_attempts       = 0
    }
  }

  depends_on = [aws_iam_role_policy.reconcile]
}
