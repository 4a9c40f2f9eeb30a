# What the function would leave out of its settings is said before they are
# written, by the function itself. Should a bad entry get there all the same, it
# stops nothing: the function logs it with every reconciliation, for this alarm.

# Unknown until the function is there, and again when another code or function
# takes its place: then the question waits for that, and is asked in the apply.
resource "terraform_data" "code" {
  input = "${local.function_name} ${filebase64sha256(var.package)}"

  depends_on = [aws_lambda_alias.check]
}

module "check" {
  source = "./check"

  function_name = local.function_name
  qualifier     = "check"

  question = {
    step = "check_settings"
    settings = {
      SYM_CALLERS     = jsonencode(var.callers)
      SYM_SLACK_USERS = jsonencode(var.slack_users)
    }
    # The function does not read this. It is what puts the question off.
    code = terraform_data.code.output
  }
}

resource "aws_cloudwatch_log_metric_filter" "configuration" {
  name           = "${local.name}-configuration"
  log_group_name = aws_cloudwatch_log_group.runtime.name
  pattern        = "\"configuration left out\""

  metric_transformation {
    name      = "${local.name}-configuration"
    namespace = "Sym"
    value     = "1"
  }
}

resource "aws_cloudwatch_metric_alarm" "configuration" {
  alarm_name        = "${local.name}-configuration"
  alarm_description = "The Runtime cannot use a setting. Its log says which."
  alarm_actions     = [aws_sns_topic.errors.arn]
  ok_actions        = [aws_sns_topic.errors.arn]

  namespace   = "Sym"
  metric_name = aws_cloudwatch_log_metric_filter.configuration.name
  statistic   = "Sum"
  period      = 300

  comparison_operator = "GreaterThanThreshold"
  evaluation_periods  = 1
  threshold           = 0
  treat_missing_data  = "notBreaching"

  tags = var.tags
}
