# The Runtime Connector: the one role through which a runtime, ours or an
# outside platform's, reaches the connectors of the flows. Whoever assumes it
# must know the external id.

locals {
  # my-team becomes SymRuntimeMyTeam; IAM knows no spaces in a name.
  connector_name = format(
    "SymRuntime%s",
    replace(title(replace(var.runtime_name, "-", " ")), " ", "")
  )

  # A set, so that the order of the input changes nothing.
  trusted_account_roots = sort([
    for id in toset(var.sym_account_ids) :
    "arn:${local.partition}:iam::${id}:root"
  ])
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
      [
        for arn in local.trusted_account_roots : {
          Sid       = "OutsideAccount${split(":", arn)[4]}"
          Effect    = "Allow"
          Action    = "sts:AssumeRole"
          Principal = { AWS = arn }
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
}

resource "aws_iam_role_policy" "runtime_connector" {
  name = "connector"
  role = aws_iam_role.runtime_connector.id

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
