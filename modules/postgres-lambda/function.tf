# The function that changes roles.

# CloudWatch encrypts it with a key of its own, and it holds no secret.
#tfsec:ignore:aws-cloudwatch-log-group-customer-key
resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.log_retention_days
  tags              = var.tags
}

resource "aws_iam_role" "this" {
  name        = "${var.name}${var.global_suffix}"
  path        = "/sym/"
  description = "What the function ${var.name} itself may do."

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

resource "aws_iam_role_policy" "this" {
  name = "function"
  role = aws_iam_role.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid      = "WriteLogs"
          Effect   = "Allow"
          Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
          Resource = "${aws_cloudwatch_log_group.this.arn}:*"
        },
        {
          # Lambda tells of a sweep that failed in the function's name.
          Sid      = "TellOfFailedSweeps"
          Effect   = "Allow"
          Action   = "sns:Publish"
          Resource = var.error_topic_arn
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
            ArnEquals = { "lambda:SourceFunctionArn" = local.function_arn }
          }
        },
      ],
      # In one account the key's own policy is enough.
      !local._foreign_topic ? [] : [
        {
          Sid    = "EncryptForTheTopic"
          Effect = "Allow"
          Action = ["kms:Decrypt", "kms:GenerateDataKey*"]
          # The topic's key, whose policy decides. Only SNS may use it for us.
          Resource = format(
            "arn:%s:kms:%s:%s:key/*",
            local.partition, local.region, local._topic.account_id
          )
          Condition = {
            StringEquals = {
              "kms:ViaService" = "sns.${local.region}.${local._dns_suffix}"
            }
          }
        },
      ],
      var.auth != "secret" ? [] : [
        {
          Sid      = "ReadPassword"
          Effect   = "Allow"
          Action   = "secretsmanager:GetSecretValue"
          Resource = aws_secretsmanager_secret.password[0].arn
        }
      ],
      [
        for secret in aws_secretsmanager_secret.authorities : {
          Sid      = "ReadAuthorities"
          Effect   = "Allow"
          Action   = "secretsmanager:GetSecretValue"
          Resource = secret.arn
        }
      ],
      var.auth != "iam" ? [] : [
        {
          Sid    = "LogInToDatabase"
          Effect = "Allow"
          Action = "rds-db:connect"
          Resource = [
            for id in concat([var.db_resource_id], local.readers.resource_ids) :
            format(
              "arn:%s:rds-db:%s:%s:dbuser:%s/%s",
              local.partition, local.region, local.account_id,
              id, local.connection.user
            )
          ]
        }
      ],
      !local._ask_rds ? [] : [
        {
          Sid    = "FindReaders"
          Effect = "Allow"
          Action = [
            "rds:DescribeDBClusters",
            "rds:DescribeDBInstances",
            "rds:DescribeGlobalClusters",
          ]
          # Which replicas there are, and in which regions, is the question.
          Resource = [
            for resource in [
              "*:%s:cluster:*", "*:%s:db:*", ":%s:global-cluster:*",
            ] :
            "arn:${local.partition}:rds:${format(resource, local.account_id)}"
          ]
        }
      ]
    )
  })
}

locals {
  _dns_suffix = data.aws_partition.current.dns_suffix
  _topic = {
    account_id = split(":", var.error_topic_arn)[4]
    region     = split(":", var.error_topic_arn)[3]
  }
  _foreign_topic = local._topic.account_id != local.account_id

  _ask_rds = (
    local.readers.cluster_id != null || local.readers.instance_id != null
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

locals {
  # Said in one place: a plan asks the function whether it can use them.
  _settings = merge(
    {
      PG_AUTH          = var.auth
      PG_DATABASE      = local.connection.database
      PG_END_SESSIONS  = var.end_sessions ? "on" : "off"
      PG_HOST          = local.connection.host
      PG_MAX_DURATION  = tostring(var.max_duration_seconds)
      PG_ON_END        = var.on_end
      PG_PORT          = tostring(local.connection.port)
      PG_ROLES         = join(",", var.roles)
      PG_SSLMODE       = var.sslmode
      PG_UNKNOWN_USERS = var.unknown_users
      PG_USER          = local.connection.user
      PG_USERNAME_FROM = var.username_from
      PG_USERNAMES     = jsonencode(var.usernames)
    },
    var.auth != "secret" ? {} : {
      PG_SECRET_ARN = aws_secretsmanager_secret.password[0].arn
    },
    local.readers.cluster_id == null ? {} : {
      PG_CLUSTER_ID = local.readers.cluster_id
    },
    local.readers.instance_id == null ? {} : {
      PG_INSTANCE_ID = local.readers.instance_id
    },
    length(local.readers.hosts) == 0 ? {} : {
      PG_READERS = join(",", local.readers.hosts)
    },
    # Other authorities are another configuration, so that the function starts
    # anew and reads them.
    var.certificate_authorities == null ? {} : {
      PG_CERTIFICATE_AUTHORITIES_ARN    = aws_secretsmanager_secret.authorities[0].arn
      PG_CERTIFICATE_AUTHORITIES_SHA256 = sha256(var.certificate_authorities)
    }
  )

  # Lambda counts the settings as one JSON object, in which the quotes inside a
  # setting are escaped. What AWS makes is not known at the first plan, so a text
  # of the same length is counted. Base64 counts bytes: it writes three of them
  # as four characters.
  _measured = merge(
    local._settings,
    var.auth != "secret" ? {} : {
      PG_SECRET_ARN = format(local._secret_arn, "password")
    },
    var.certificate_authorities == null ? {} : {
      PG_CERTIFICATE_AUTHORITIES_ARN = format(local._secret_arn, "authorities")
    }
  )
  _secret_arn = format(
    "arn:%s:secretsmanager:%s:%s:secret:%s/%%s-XXXXXX",
    local.partition, local.region, local.account_id, var.name
  )
  _environment_bytes = floor(
    length(base64encode(jsonencode(local._measured))) / 4 * 3
  )
  # A database that is made in the same apply is not known either.
  _least_bytes = floor(length(base64encode(jsonencode(merge(local._measured, {
    PG_DATABASE = "", PG_HOST = "", PG_PORT = ""
  })))) / 4 * 3)

  _usernames_bytes = floor(
    length(base64encode(jsonencode(jsonencode(var.usernames)))) / 4 * 3
  )
  _too_many_settings = {
    for measure, bytes in {
      exactly  = local._environment_bytes
      at_least = local._least_bytes
    } :
    measure => format(
      join(" ", [
        "The settings of the function %s take %d bytes, and Lambda has 4096 for",
        "them. usernames takes %d of that for %d people, and about %d such people",
        "fit: leave out those whose user is what username_from makes of their",
        "address. roles takes %d.",
      ]),
      var.name, bytes, local._usernames_bytes, length(var.usernames),
      floor(
        max(0, 4096 - bytes + local._usernames_bytes)
        / (local._usernames_bytes / max(1, length(var.usernames)))
      ),
      length(local._settings.PG_ROLES)
    )
  }
}

# The log follows a request by its id; tracing would be one more right.
#tfsec:ignore:aws-lambda-enable-tracing
resource "aws_lambda_function" "this" {
  function_name = var.name
  description   = "Grants and revokes roles in ${local.connection.database}."
  role          = aws_iam_role.this.arn

  architectures    = [var.architecture]
  filename         = var.package
  handler          = "bootstrap"
  memory_size      = 256
  runtime          = "provided.al2023"
  source_code_hash = filebase64sha256(var.package)
  timeout          = 30

  reserved_concurrent_executions = var.reserved_concurrency

  environment {
    variables = local._settings
  }

  vpc_config {
    security_group_ids = concat(
      [aws_security_group.this.id], var.security_group_ids
    )
    subnet_ids = var.subnet_ids
  }

  tags = var.tags

  lifecycle {
    precondition {
      condition     = local._topic.region == local.region
      error_message = <<-EOT
        The function ${var.name} is in ${local.region}, and the error topic
        ${var.error_topic_arn} is in ${local._topic.region}. Neither CloudWatch's
        alarms nor Lambda publish to another region: give the function a topic
        of its own region.
      EOT
    }

    precondition {
      condition     = local._least_bytes <= 4096
      error_message = local._too_many_settings.at_least
    }

    precondition {
      condition     = local._least_bytes > 4096 || local._environment_bytes <= 4096
      error_message = local._too_many_settings.exactly
    }
  }

  # Without its group there Lambda would make one itself, without retention.
  depends_on = [
    aws_cloudwatch_log_group.this,
    aws_iam_role_policy.this,
    aws_secretsmanager_secret_version.authorities,
  ]
}

# Only the sweep calls without waiting. A sweep that failed is not repeated:
# the next one is due before a repetition would be. Its error names who keeps
# what, and goes to the topic as it is; Lambda brings it there, so that it needs
# no way out of the network.
resource "aws_lambda_function_event_invoke_config" "this" {
  function_name                = aws_lambda_function.this.function_name
  maximum_event_age_in_seconds = 60
  maximum_retry_attempts       = 0

  destination_config {
    on_failure {
      destination = var.error_topic_arn
    }
  }

  depends_on = [aws_iam_role_policy.this]
}

# By this name Terraform asks the function whether it can use its settings, and
# the function does nothing else.
resource "aws_lambda_alias" "check" {
  name             = "check"
  description      = "Says whether settings can be used, and nothing else."
  function_name    = aws_lambda_function.this.function_name
  function_version = "$LATEST"
}
