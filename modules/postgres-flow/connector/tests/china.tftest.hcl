# What is another in China.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "222222222222" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws-cn:iam::222222222222:role/sym/mock" }
  }
}

variables {
  flow_name    = "postgres"
  function_arn = "arn:aws-cn:lambda:cn-north-1:222222222222:function:postgres"
  runtime = {
    connector_role_arn = "arn:aws-cn:iam::111111111111:role/sym/SymRuntimeProd"
  }
}

run "every_arn_is_of_the_partition" {
  assert {
    condition = length(regexall("arn:[a-z-]+:", jsonencode([
      aws_iam_role.this.assume_role_policy,
      aws_iam_role_policy.this.policy,
    ]))) > 0
    error_message = "There is no ARN to look at."
  }

  assert {
    condition = toset(flatten(regexall("arn:([a-z-]+):", jsonencode([
      aws_iam_role.this.assume_role_policy,
      aws_iam_role_policy.this.policy,
    ])))) == toset(["aws-cn"])
    error_message = "An ARN is of another partition."
  }
}
