# A way in for people, without an open port and without a key: Session Manager
# forwards a local port through this machine to the database.

locals {
  _bastion_count = var.bastion_enabled ? 1 : 0
}

data "aws_ssm_parameter" "bastion_ami" {
  count = local._bastion_count

  name = join("/", [
    "/aws/service/ami-amazon-linux-latest",
    "al2023-ami-kernel-default-arm64",
  ])
}

resource "aws_iam_role" "bastion" {
  count = local._bastion_count

  name        = "${local.name}-bastion${var.global_suffix}"
  path        = "/sym/"
  description = "Lets Session Manager reach the example database's bastion."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "Ec2"
        Effect = "Allow"
        Action = "sts:AssumeRole"
        # Of all services' names this one ends as hosts do in China.
        Principal = { Service = "ec2.${local.dns_suffix}" }
      }
    ]
  })

  tags = var.tags
}

resource "aws_iam_role_policy" "bastion" {
  count = local._bastion_count

  name = "session-manager"
  role = aws_iam_role.bastion[0].id

  # Less than AmazonSSMManagedInstanceCore, which lets an instance read every
  # parameter of the account.
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "HoldSessions"
        Effect = "Allow"
        Action = [
          "ssm:UpdateInstanceInformation",
          "ssmmessages:CreateControlChannel",
          "ssmmessages:CreateDataChannel",
          "ssmmessages:OpenControlChannel",
          "ssmmessages:OpenDataChannel",
        ]
        # The channels' actions know no resource.
        Resource = "*"
      }
    ]
  })
}

resource "aws_iam_instance_profile" "bastion" {
  count = local._bastion_count

  name = "${local.name}-bastion${var.global_suffix}"
  path = "/sym/"
  role = aws_iam_role.bastion[0].name
  tags = var.tags
}

resource "aws_instance" "bastion" {
  count = local._bastion_count

  ami                    = data.aws_ssm_parameter.bastion_ami[0].insecure_value
  iam_instance_profile   = aws_iam_instance_profile.bastion[0].name
  instance_type          = "t4g.nano"
  subnet_id              = aws_subnet.private[0].id
  vpc_security_group_ids = [aws_security_group.client.id]

  metadata_options {
    http_endpoint               = "enabled"
    http_put_response_hop_limit = 1
    http_tokens                 = "required"
  }

  root_block_device {
    encrypted   = true
    volume_size = 8
    volume_type = "gp3"
  }

  tags = merge(var.tags, { Name = "${local.name}-bastion" })

  # The agent signs in once, at its start.
  depends_on = [
    aws_iam_role_policy.bastion,
    aws_vpc_endpoint.this,
    aws_vpc_security_group_egress_rule.client_endpoints,
    aws_vpc_security_group_ingress_rule.endpoints_client,
  ]

  lifecycle {
    # A newer image is no reason to cut the tunnels: replace it when you like.
    ignore_changes = [ami]
  }
}
