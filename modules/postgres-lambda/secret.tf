# The password of the database user. Terraform makes the secret and never sees
# its value: set it once, by hand or by whatever rotates it.
#
# Encrypted with the account's own key for secrets (aws/secretsmanager). Who may
# read it is said by roles in this account alone.
#tfsec:ignore:aws-ssm-secret-use-customer-key
resource "aws_secretsmanager_secret" "password" {
  count = var.auth == "secret" ? 1 : 0

  # A deleted secret keeps its name until it can no longer be brought back.
  name_prefix             = "${var.name}/password-"
  description             = "The password of ${local.connection.user}."
  recovery_window_in_days = var.secret_recovery_days
  tags                    = var.tags

  lifecycle {
    # One that was made when secrets had fixed names stays what it is.
    ignore_changes = [name_prefix]
  }
}
