# A request whose workflow did not come to its end is one that somebody has to
# look at, even though the sweep takes back what it granted.
resource "aws_cloudwatch_metric_alarm" "executions" {
  for_each = {
    aborted   = "ExecutionsAborted"
    failed    = "ExecutionsFailed"
    timed-out = "ExecutionsTimedOut"
  }

  alarm_name        = "${local.name}-${each.key}"
  alarm_description = "A request's workflow ended as ${each.key}."
  alarm_actions     = [var.runtime.error_topic_arn]

  namespace   = "AWS/States"
  metric_name = each.value
  dimensions  = { StateMachineArn = aws_sfn_state_machine.this.arn }
  statistic   = "Sum"
  period      = 60

  comparison_operator = "GreaterThanThreshold"
  evaluation_periods  = 1
  threshold           = 0
  treat_missing_data  = "notBreaching"

  tags = var.tags
}
