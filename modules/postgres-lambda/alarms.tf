locals {
  # rate(5 minutes) is 5.
  _sweep_minutes = tonumber(regex("[0-9]+", var.sweep_rate))
}

resource "aws_cloudwatch_metric_alarm" "errors" {
  alarm_name        = "${var.name}-errors"
  alarm_description = "The function that changes roles failed."
  alarm_actions     = [var.error_topic_arn]

  namespace   = "AWS/Lambda"
  metric_name = "Errors"
  dimensions  = { FunctionName = aws_lambda_function.this.function_name }
  statistic   = "Sum"
  period      = 60

  comparison_operator = "GreaterThanThreshold"
  evaluation_periods  = 1
  threshold           = 0
  treat_missing_data  = "notBreaching"

  tags = var.tags
}

# A watchman who does not come is as bad as one who fails. Requests call the
# function too, so it is not enough that anybody called: of five sweeps at
# least three have to show.
resource "aws_cloudwatch_metric_alarm" "sweep_missing" {
  alarm_name        = "${var.name}-sweep-missing"
  alarm_description = "The sweep was not run: what expires may stay granted."
  alarm_actions     = [var.error_topic_arn]
  ok_actions        = [var.error_topic_arn]

  namespace   = "AWS/Lambda"
  metric_name = "Invocations"
  dimensions  = { FunctionName = aws_lambda_function.this.function_name }
  statistic   = "Sum"
  period      = 5 * 60 * local._sweep_minutes

  comparison_operator = "LessThanThreshold"
  evaluation_periods  = 1
  threshold           = 3
  treat_missing_data  = "breaching"

  tags = var.tags
}
