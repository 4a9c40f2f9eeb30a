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

# What can be seen of certificates in PEM from outside; the function parses them
# when a plan asks it. A variable's validation would show the text with its
# error, and with it a key that is in there by mistake.
locals {
  _certificate = join("", [
    "-----BEGIN CERTIFICATE-----\\s+[A-Za-z0-9+/=\\s]+",
    "-----END CERTIFICATE-----",
  ])
  _authorities       = coalesce(var.certificate_authorities, "-")
  _authorities_begin = length(regexall("-----BEGIN", local._authorities))
  _authorities_whole = length(regexall(local._certificate, local._authorities))
  _authorities_size  = length(local._authorities)
}

# Certificate authorities. They are public, so that they may be in the state and
# AWS's own key is enough. The environment is too small for them, and a function
# that reads its password from Secrets Manager may reach no other store.
#tfsec:ignore:aws-ssm-secret-use-customer-key
resource "aws_secretsmanager_secret" "authorities" {
  count = var.certificate_authorities == null ? 0 : 1

  name        = "${var.name}/authorities"
  description = "The certificate authorities of the database of ${var.name}."

  # There is nothing to bring back, and the name is free at once.
  recovery_window_in_days = 0

  tags = var.tags

  lifecycle {
    precondition {
      condition     = local._authorities_whole > 0
      error_message = <<-EOT
        certificate_authorities must be certificates in PEM, from -----BEGIN
        CERTIFICATE----- to -----END CERTIFICATE-----: the text, and not the
        path of a file.
      EOT
    }

    precondition {
      condition     = local._authorities_begin == local._authorities_whole
      error_message = <<-EOT
        certificate_authorities has something else than certificates, or one
        that is cut off: ${local._authorities_begin} begin, and
        ${local._authorities_whole} are whole. A private key never belongs here.
      EOT
    }

    precondition {
      condition     = local._authorities_size <= 65536
      error_message = <<-EOT
        certificate_authorities has ${local._authorities_size} characters, and a
        secret holds 65536: leave out what the database's region does not need.
      EOT
    }
  }
}

resource "aws_secretsmanager_secret_version" "authorities" {
  count = length(aws_secretsmanager_secret.authorities)

  secret_id     = aws_secretsmanager_secret.authorities[0].id
  secret_string = var.certificate_authorities

  # The function never finds the secret empty.
  lifecycle {
    create_before_destroy = true
  }
}
