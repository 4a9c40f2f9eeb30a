output "client_security_group_id" {
  description = "Who is in this group may reach the database."
  value       = aws_security_group.client.id
}

output "database" {
  description = "The database's name."
  value       = aws_rds_cluster.this.database_name
}

output "host" {
  description = "The database's address, once it is seeded."
  value       = aws_rds_cluster.this.endpoint

  # Who is given the address may use it at once: a sweep that found no ledger
  # yet would raise an alarm at every first apply.
  depends_on = [aws_lambda_invocation.seed]
}

output "master_secret_arn" {
  description = "The secret in which RDS keeps the master user's password."
  value       = aws_rds_cluster.this.master_user_secret[0].secret_arn
}

output "port" {
  description = "The database's port."
  value       = aws_rds_cluster.this.port
}

output "private_subnet_ids" {
  description = "The subnets from which the database is seen."
  value       = aws_subnet.private[*].id
}

output "resource_id" {
  description = "What IAM knows the database as, for logins with a token."
  value       = aws_rds_cluster.this.cluster_resource_id
}

output "roles" {
  description = "The roles that can be granted in the database."
  value       = local.roles
}

output "tunnel_command" {
  description = "Opens a tunnel to the database; null without the bastion."
  value = one([
    for bastion in aws_instance.bastion : join(" ", [
      "aws ssm start-session",
      "--region ${local.region}",
      "--target ${bastion.id}",
      "--document-name AWS-StartPortForwardingSessionToRemoteHost",
      format("--parameters '%s'", jsonencode({
        host            = [aws_rds_cluster.this.endpoint]
        localPortNumber = ["15432"]
        portNumber      = [tostring(aws_rds_cluster.this.port)]
      })),
    ])
  ])
}

output "users_secret_arn" {
  description = "The secret with the example users' passwords, as JSON."
  value       = aws_secretsmanager_secret.users.arn
}

output "vpc_id" {
  description = "The network."
  value       = aws_vpc.this.id
}
