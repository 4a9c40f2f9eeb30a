# The Lambda Connector: the last hop of the chain. Only the Runtime Connector may
# assume it, and it may call one function, in its own account.

data "aws_caller_identity" "current" {}

locals {
  # on-call becomes SymLambdaOnCall; IAM knows no spaces in a name.
  name = format(
    "SymLambda%s%s",
    replace(title(replace(var.flow_name, "/[-_]/", " ")), " ", ""),
    var.runtime.global_suffix
  )
}

resource "aws_iam_role" "this" {
  name        = local.name
  path        = "/sym/"
  description = "Calls the functions of the flow ${var.flow_name}."

  max_session_duration = 3600

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "RuntimeConnector"
        Effect    = "Allow"
        Action    = "sts:AssumeRole"
        Principal = { AWS = var.runtime.connector_role_arn }
      }
    ]
  })

  tags = var.tags
}

resource "aws_iam_role_policy" "this" {
  name = "connector"
  role = aws_iam_role.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "InvokeFunction"
        Effect   = "Allow"
        Action   = "lambda:InvokeFunction"
        Resource = var.function_arn
      }
    ]
  })
}
