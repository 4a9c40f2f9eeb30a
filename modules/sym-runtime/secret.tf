# What the Runtime shares with the outside: Slack's tokens and signing secret.
# Terraform makes the secret and never sees its value. The tag is what lets the
# Runtime Connector read it.
#
# Encrypted with the account's own key for secrets (aws/secretsmanager). Who may
# read it is said by roles in this account alone.
#tfsec:ignore:aws-ssm-secret-use-customer-key
resource "aws_secretsmanager_secret" "shared" {
  # A deleted secret keeps its name until it can no longer be brought back.
  name_prefix             = "${local.name}/shared-"
  description             = "Shared secrets of the ${var.runtime_name} Runtime."
  recovery_window_in_days = var.secret_recovery_days
  tags                    = merge(var.tags, { SymEnv = var.runtime_name })

  lifecycle {
    # One that was made when secrets had fixed names stays what it is.
    ignore_changes = [name_prefix]
  }
}
