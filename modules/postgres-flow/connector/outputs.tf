output "account_id" {
  description = "The account that the role is in."
  value       = data.aws_caller_identity.current.account_id
}

output "role_arn" {
  description = "The Lambda Connector."
  value       = aws_iam_role.this.arn

  # A flow relies on what the role may do, at a destroy until the end.
  depends_on = [aws_iam_role_policy.this]
}
