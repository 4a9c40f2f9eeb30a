# The Lambda Connector of the flow: one of its own, or the one that was made in
# the account of the function.

module "lambda_connector" {
  source = "./connector"
  count  = var.connector == null ? 1 : 0

  flow_name    = var.flow_name
  function_arn = var.function_arn
  runtime      = var.runtime
  tags         = var.tags
}

moved {
  from = aws_iam_role.lambda_connector
  to   = module.lambda_connector[0].aws_iam_role.this
}

moved {
  from = aws_iam_role_policy.lambda_connector
  to   = module.lambda_connector[0].aws_iam_role_policy.this
}

locals {
  connector = {
    account_id = one(concat(
      module.lambda_connector[*].account_id,
      var.connector[*].account_id
    ))
    role_arn = one(concat(
      module.lambda_connector[*].role_arn,
      var.connector[*].role_arn
    ))
  }
}
