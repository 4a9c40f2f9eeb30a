output "function_arn" {
  description = "The function that changes roles."
  # Written out, so that a plan knows which account it is in.
  value = local.function_arn

  # Whoever grants by the function may rely on its sweep, and is gone before
  # the function takes back all that it granted.
  depends_on = [
    aws_lambda_invocation.retire,
  ]

  precondition {
    condition = try(length(module.check.problems) == 0, false)
    error_message = format(
      "The Postgres function cannot use these settings:\n%s", try(
        join("\n", module.check.problems), "It did not say whether it can."
      )
    )
  }
}

output "function_name" {
  description = "The function's name."
  value       = aws_lambda_function.this.function_name
}

output "log_group_name" {
  description = "The function's log group."
  value       = aws_cloudwatch_log_group.this.name
}

output "role_arn" {
  description = "The role that the function runs as."
  value       = aws_iam_role.this.arn
}

output "secret_arn" {
  description = "The secret that wants the password; null where auth is iam."
  value       = one(aws_secretsmanager_secret.password[*].arn)
}

output "security_group_id" {
  description = "The function's own security group, to let into the database."
  value       = aws_security_group.this.id
}
