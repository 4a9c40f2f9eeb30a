output "problems" {
  description = "Sentences; null where the answer is another."
  value = try(
    [for problem in jsondecode(data.aws_lambda_invocation.this.result).problems :
    tostring(problem)], null
  )
}
