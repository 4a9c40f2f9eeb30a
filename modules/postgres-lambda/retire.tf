# Takes back every role before the function and its sweep go: what is granted in
# a database that stays would be granted for ever. Terraform deletes this after
# the flows that call the function, and before all that it needs to work. Where
# a role cannot be taken back the function says who holds it, and the destroy
# stops.
resource "aws_lambda_invocation" "retire" {
  function_name   = aws_lambda_function.this.function_name
  input           = jsonencode({ type = "retire" })
  lifecycle_scope = "CRUD"

  depends_on = [
    aws_cloudwatch_metric_alarm.errors,
    aws_cloudwatch_metric_alarm.sweep_missing,
    aws_lambda_function_event_invoke_config.this,
    aws_scheduler_schedule.sweep,
    aws_vpc_security_group_egress_rule.database,
    aws_vpc_security_group_egress_rule.readers,
    aws_vpc_security_group_egress_rule.services,
  ]
}
