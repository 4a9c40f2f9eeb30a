# Ends the flow's requests before the flow goes: without its state machine and
# its connector nobody could. At a destroy, and when the flow gets another name,
# Terraform deletes this after the parameters (nobody can ask any more) and
# before all else. The function then takes back every role that was granted by
# the flow. Where that fails it says who holds what, and the destroy stops.
resource "aws_lambda_invocation" "retire" {
  # A flow with another name is another flow.
  for_each = toset([var.flow_name])

  function_name   = var.runtime.function_name
  input           = jsonencode({ step = "retire", flow = each.key })
  lifecycle_scope = "CRUD"

  depends_on = [
    aws_cloudwatch_metric_alarm.executions,
    aws_sfn_state_machine.this,
    module.lambda_connector,
    var.connector,
  ]
}
