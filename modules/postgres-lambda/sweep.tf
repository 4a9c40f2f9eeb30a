# The second hand that takes access away. It knows nothing of the workflow: the
# ledger in the database says what has expired.

resource "aws_iam_role" "sweep" {
  name        = "${var.name}-sweep${var.global_suffix}"
  path        = "/sym/"
  description = "Lets the scheduler call ${var.name}."

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

resource "aws_iam_role_policy" "sweep" {
  name = "sweep"
  role = aws_iam_role.sweep.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "InvokeFunction"
        Effect   = "Allow"
        Action   = "lambda:InvokeFunction"
        Resource = aws_lambda_function.this.arn
      }
    ]
  })
}

resource "aws_scheduler_schedule" "sweep" {
  name                = "${var.name}-sweep"
  description         = "Takes back what has expired."
  schedule_expression = var.sweep_rate

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_function.this.arn
    input    = jsonencode({ type = "sweep" })
    role_arn = aws_iam_role.sweep.arn

    retry_policy {
      maximum_event_age_in_seconds = 60
      maximum_retry_attempts       = 1
    }
  }

  depends_on = [aws_iam_role_policy.sweep]
}
