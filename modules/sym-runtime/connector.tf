# The Runtime Connector: the one role through which a runtime, ours or an
# outside platform's, reaches the connectors of the flows. Whoever assumes it
# must know the external id.

locals {
  # my-team becomes SymRuntimeMyTeam; IAM knows no spaces in a name.
  connector_name = format(
    "SymRuntime%s%s",
    replace(title(replace(var.runtime_name, "-", " ")), " ", ""),
    var.global_suffix
  )

  # A set, so that the order of the input changes nothing.
  trusted_account_roots = sort([
    for id in toset(var.sym_account_ids) :
    "arn:${local.partition}:iam::${id}:root"
  ])

  # The rest of the trust policy takes up to 550 of 2048 characters.
  _most_outside_accounts = floor(
    (2048 - 550) / length("'arn:${local.partition}:iam::000000000000:root',")
  )
}

# Made once and then kept, whatever uuid() says at the next plan.
resource "terraform_data" "external_id" {
  input = uuid()

  lifecycle {
    ignore_changes = [input]
  }
}

resource "aws_iam_role" "runtime_connector" {
  name        = local.connector_name
  path        = "/sym/"
  description = "Walks from the ${var.runtime_name} Runtime to its flows."

  # The longest that a role reached through another role can have.
  max_session_duration = 3600

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid       = "RuntimeFunction"
          Effect    = "Allow"
          Action    = "sts:AssumeRole"
          Principal = { AWS = aws_iam_role.runtime.arn }
          Condition = {
            StringEquals = {
              "sts:ExternalId" = terraform_data.external_id.output
            }
          }
        }
      ],
      # An account's root stands for every principal which that account lets
      # assume this role: the choice of who is theirs, the external id is ours.
      # One statement for all: a trust policy is short of space.
      length(local.trusted_account_roots) == 0 ? [] : [
        {
          Sid       = "OutsideAccounts"
          Effect    = "Allow"
          Action    = "sts:AssumeRole"
          Principal = { AWS = local.trusted_account_roots }
          Condition = {
            StringEquals = {
              "sts:ExternalId" = terraform_data.external_id.output
            }
          }
        }
      ]
    )
  })

  tags = var.tags

  lifecycle {
    precondition {
      condition = (
        length(local.trusted_account_roots) <= local._most_outside_accounts
      )
      error_message = <<-EOT
        sym_account_ids names ${length(local.trusted_account_roots)} accounts,
        and the trust policy of ${local.connector_name} has room for
        ${local._most_outside_accounts}: IAM allows 2048 characters. Let fewer
        accounts in, or let them in through a role of one of them.
      EOT
    }
  }
}

resource "aws_iam_role_policy" "runtime_connector" {
  name = "connector"
  role = aws_iam_role.runtime_connector.id

  lifecycle {
    precondition {
      # Of 10240 characters, less 600 for the rest of the policy.
      condition = length(var.safelist_account_ids) <= floor(
        9640 / length("'arn:${local.partition}:iam::000000000000:role/sym/*',")
      )
      error_message = <<-EOT
        safelist_account_ids names ${length(var.safelist_account_ids)} accounts,
        which is more than fit into the policy of ${local.connector_name}: IAM
        allows 10240 characters.
      EOT
    }
  }

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "AssumeConnectors"
        Effect = "Allow"
        Action = "sts:AssumeRole"
        # A flow's connector is made after this role and may live in another
        # account. The path is what it is known by, and its own trust policy
        # has the last word.
        Resource = [
          for id in local.connector_account_ids :
          "arn:${local.partition}:iam::${id}:role/sym/*"
        ]
      },
      {
        Sid    = "ReadTaggedSecrets"
        Effect = "Allow"
        Action = "secretsmanager:GetSecretValue"
        # Which secrets belong to this runtime is said by their tag alone.
        Resource = format(
          "arn:%s:secretsmanager:%s:%s:secret:*",
          local.partition, local.region, local.account_id
        )
        Condition = {
          StringEquals = {
            "secretsmanager:ResourceTag/SymEnv" = var.runtime_name
          }
        }
      }
    ]
  })
}
