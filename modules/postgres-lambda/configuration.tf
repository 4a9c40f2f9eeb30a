# What the function would leave out of its settings is said before they are
# written, by the function itself. Should a bad entry get there all the same, it
# stops nothing: the function logs it with every sweep, for this alarm.

# Unknown until the function is there, and again when another code or function
# takes its place: then the question waits for that, and is asked in the apply.
resource "terraform_data" "code" {
  input = "${var.name} ${filebase64sha256(var.package)}"

  depends_on = [aws_lambda_alias.check]
}

module "check" {
  source = "./check"

  function_name = var.name
  qualifier     = "check"

  question = {
    type = "check_settings"
    # The function reads the authorities from a secret that is not there yet.
    settings = merge(local._settings, var.certificate_authorities == null ? {} : {
      PG_CERTIFICATE_AUTHORITIES = var.certificate_authorities
    })
    # The function does not read this. It is what puts the question off.
    code = terraform_data.code.output
  }
}

resource "aws_cloudwatch_log_metric_filter" "configuration" {
  name           = "${var.name}-configuration"
  log_group_name = aws_cloudwatch_log_group.this.name
  pattern        = "\"configuration left out\""

  metric_transformation {
    name      = "${var.name}-configuration"
    namespace = "Sym"
    value     = "1"
  }
}

resource "aws_cloudwatch_metric_alarm" "configuration" {
  alarm_name        = "${var.name}-configuration"
  alarm_description = "The Postgres function cannot use a setting. Its log says which."
  alarm_actions     = [var.error_topic_arn]
  ok_actions        = [var.error_topic_arn]

  namespace   = "Sym"
  metric_name = aws_cloudwatch_log_metric_filter.configuration.name
  statistic   = "Sum"
  period      = 5 * 60 * local._sweep_minutes

  comparison_operator = "GreaterThanThreshold"
  evaluation_periods  = 1
  threshold           = 0
  treat_missing_data  = "notBreaching"

  tags = var.tags
}
