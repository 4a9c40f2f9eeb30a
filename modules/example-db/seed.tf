# Everything that the demonstration needs inside the database, by the same
# apply. This function alone ever holds the master password, so that the one
# that changes roles needs neither the code nor the right for it.

locals {
  _seed_name = "${local.name}-seed"
  _seed_arn = format(
    "arn:%s:lambda:%s:%s:function:%s",
    local.partition, local.region, local.account_id, local._seed_name
  )

  _network_actions = [
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
    "ec2:UnassignPrivateIpAddresses",
  ]
}

# The example people's passwords. The seed function makes them and puts them
# here, so that they are in no state file.
#
# Encrypted with the account's own key for secrets (aws/secretsmanager). Who may
# read it is said by roles in this account alone.
#tfsec:ignore:aws-ssm-secret-use-customer-key
resource "aws_secretsmanager_secret" "users" {
  name        = "${local.name}/users"
  description = "The passwords of the example database's users."

  # Worth nothing without the database, and in the way of the next one.
  recovery_window_in_days = 0

  tags = var.tags
}

# The environment is too small for them. They are public, so that AWS's own key
# is enough.
#tfsec:ignore:aws-ssm-secret-use-customer-key
resource "aws_secretsmanager_secret" "authorities" {
  count = var.certificate_authorities == null ? 0 : 1

  name                    = "${local.name}/authorities"
  description             = "The certificate authorities of the example database."
  recovery_window_in_days = 0

  tags = var.tags
}

resource "aws_secretsmanager_secret_version" "authorities" {
  count = length(aws_secretsmanager_secret.authorities)

  secret_id     = aws_secretsmanager_secret.authorities[0].id
  secret_string = var.certificate_authorities

  lifecycle {
    create_before_destroy = true
  }
}

# CloudWatch encrypts it with a key of its own, and it holds no secret.
#tfsec:ignore:aws-cloudwatch-log-group-customer-key
resource "aws_cloudwatch_log_group" "seed" {
  name              = "/aws/lambda/${local._seed_name}"
  retention_in_days = 30
  tags              = var.tags
}

resource "aws_iam_role" "seed" {
  name        = "${local._seed_name}${var.global_suffix}"
  path        = "/sym/"
  description = "What the function that seeds the example database may do."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Lambda"
        Effect    = "Allow"
        Action    = "sts:AssumeRole"
        Principal = { Service = "lambda.amazonaws.com" }
      }
    ]
  })

  tags = var.tags
}

# Apart from the one below, which waits for the cluster.
#
# The wildcards are log streams, which Lambda names, and network interfaces: see
# the statements.
#tfsec:ignore:aws-iam-no-policy-wildcards
resource "aws_iam_role_policy" "seed" {
  name = "function"
  role = aws_iam_role.seed.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      for secret in aws_secretsmanager_secret.authorities : {
        Sid      = "ReadAuthorities"
        Effect   = "Allow"
        Action   = ["secretsmanager:GetSecretValue"]
        Resource = secret.arn
      }
      ], [
      {
        Sid      = "WriteLogs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.seed.arn}:*"
      },
      {
        Sid    = "LetLambdaJoinTheNetwork"
        Effect = "Allow"
        Action = local._network_actions
        # Lambda makes the interfaces and names them, and most of these
        # actions know no resource.
        Resource = "*"
      },
      {
        # The service needs the statement above, the code does not.
        Sid      = "KeepTheCodeOutOfTheNetwork"
        Effect   = "Deny"
        Action   = local._network_actions
        Resource = "*"
        Condition = {
          ArnEquals = { "lambda:SourceFunctionArn" = local._seed_arn }
        }
      },
      {
        Sid    = "KeepUsersPasswords"
        Effect = "Allow"
        Action = [
          "secretsmanager:GetSecretValue",
          "secretsmanager:PutSecretValue",
        ]
        Resource = aws_secretsmanager_secret.users.arn
      }
    ])
  })
}

resource "aws_iam_role_policy" "seed_master" {
  name = "master"
  role = aws_iam_role.seed.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "ReadMasterPassword"
        Effect   = "Allow"
        Action   = "secretsmanager:GetSecretValue"
        Resource = aws_rds_cluster.this.master_user_secret[0].secret_arn
      }
    ]
  })
}

# It runs once.
#tfsec:ignore:aws-lambda-enable-tracing
resource "aws_lambda_function" "seed" {
  function_name = local._seed_name
  description   = "Fills the example database."
  role          = aws_iam_role.seed.arn

  architectures    = [var.architecture]
  filename         = var.package
  handler          = "bootstrap"
  memory_size      = 256
  runtime          = "provided.al2023"
  source_code_hash = filebase64sha256(var.package)

  # A new Aurora may take a while to let anybody in.
  timeout = 120

  environment {
    variables = merge({
      for secret in aws_secretsmanager_secret.authorities :
      "SEED_CERTIFICATE_AUTHORITIES_ARN" => secret.arn
      }, {
      SEED_BROKER   = var.broker_user
      SEED_DATABASE = aws_rds_cluster.this.database_name
      SEED_HOST     = aws_rds_cluster.this.endpoint
      SEED_MASTER_SECRET_ARN = (
        aws_rds_cluster.this.master_user_secret[0].secret_arn
      )
      SEED_PORT             = tostring(aws_rds_cluster.this.port)
      SEED_USERS_SECRET_ARN = aws_secretsmanager_secret.users.arn
    })
  }

  vpc_config {
    security_group_ids = [aws_security_group.client.id]
    subnet_ids         = aws_subnet.private[*].id
  }

  tags = var.tags

  # Without its group there Lambda would make one itself, without retention.
  depends_on = [
    aws_cloudwatch_log_group.seed,
    aws_iam_role_policy.seed,
  ]
}

# Runs once, and again when the package (which holds the SQL) or the database
# is another.
resource "aws_lambda_invocation" "seed" {
  function_name = aws_lambda_function.seed.function_name
  input         = jsonencode({})

  triggers = {
    broker   = var.broker_user
    database = aws_rds_cluster.this.cluster_resource_id
    package  = filebase64sha256(var.package)
  }

  # All that the function needs by the time it runs.
  depends_on = [
    aws_iam_role_policy.seed_master,
    aws_secretsmanager_secret_version.authorities,
    aws_rds_cluster_instance.this,
    aws_route_table_association.private,
    aws_vpc_endpoint.this,
    aws_vpc_security_group_egress_rule.client_database,
    aws_vpc_security_group_egress_rule.client_endpoints,
    aws_vpc_security_group_ingress_rule.database_client,
    aws_vpc_security_group_ingress_rule.endpoints_client,
  ]

  lifecycle {
    postcondition {
      condition = try(length(jsondecode(self.result).errors) == 0, false)
      error_message = format(
        "The example database could not be seeded: %s",
        try(join(" ", jsondecode(self.result).errors), self.result)
      )
    }
  }
}
