# What validate cannot see: how the database is closed, and how it is seeded.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  # Any file does where nothing is uploaded.
  package = "versions.tf"
}

run "closed" {
  assert {
    condition = (
      aws_rds_cluster.this.storage_encrypted &&
      aws_rds_cluster.this.manage_master_user_password &&
      aws_rds_cluster.this.iam_database_authentication_enabled &&
      !aws_rds_cluster_instance.this.publicly_accessible
    )
    error_message = "The database is less closed than it should be."
  }

  assert {
    condition = [
      for parameter in aws_rds_cluster_parameter_group.this.parameter :
      "${parameter.name}=${parameter.value}"
    ] == ["rds.force_ssl=1"]
    error_message = "The database takes connections without TLS."
  }

  assert {
    condition = (
      aws_vpc_security_group_ingress_rule.database_client
      .referenced_security_group_id == aws_security_group.client.id
    )
    error_message = "Only the client group reaches the database."
  }
}

run "two_zones" {
  assert {
    condition = (
      aws_subnet.private[*].availability_zone == ["eu-west-1a", "eu-west-1b"]
    )
    error_message = "The subnets are in the first two zones."
  }

  assert {
    condition = (
      aws_subnet.private[*].cidr_block == ["10.71.0.0/20", "10.71.16.0/20"]
    )
    error_message = "The subnets share the network's addresses."
  }
}

run "without_a_bastion" {
  assert {
    condition     = keys(aws_vpc_endpoint.this) == ["secretsmanager"]
    error_message = "There are endpoints that nobody needs."
  }

  assert {
    condition     = output.tunnel_command == null
    error_message = "There is no tunnel without a bastion."
  }
}

run "with_a_bastion" {
  variables {
    bastion_enabled = true
  }

  assert {
    condition = keys(aws_vpc_endpoint.this) == [
      "ec2messages", "secretsmanager", "ssm", "ssmmessages",
    ]
    error_message = "Session Manager cannot reach the bastion."
  }

  assert {
    condition = (
      aws_instance.bastion[0].metadata_options[0].http_tokens == "required"
    )
    error_message = "The bastion answers to the first version of IMDS."
  }

  assert {
    condition = output.tunnel_command == join("", [
      "aws ssm start-session --region eu-west-1 --target i-0123456789abcdef0 ",
      "--document-name AWS-StartPortForwardingSessionToRemoteHost ",
      "--parameters '{\"host\":[\"db.example.com\"],",
      "\"localPortNumber\":[\"15432\"],\"portNumber\":[\"5432\"]}'",
    ])
    error_message = "The command opens another tunnel."
  }
}

run "seed_reads_two_secrets" {
  assert {
    condition = flatten([
      for policy in [
        aws_iam_role_policy.seed, aws_iam_role_policy.seed_master
        ] : [
        for statement in jsondecode(policy.policy).Statement :
        statement.Resource if startswith(
          flatten([statement.Action])[0], "secretsmanager:"
        )
      ]
      ]) == [
      "arn:aws:secretsmanager:eu-west-1:111111111111:secret:u",
      "arn:aws:secretsmanager:eu-west-1:111111111111:secret:m",
    ]
    error_message = "The seed function may read other secrets."
  }
}

run "another_major_version" {
  command = plan

  variables {
    engine_version = "15.10"
  }

  expect_failures = [var.engine_version]
}

run "a_namespace_aurora_refuses" {
  command = plan

  variables {
    namespace = "two--hyphens"
  }

  expect_failures = [var.namespace]
}

run "a_network_too_small" {
  command = plan

  variables {
    vpc_cidr = "10.0.0.0/28"
  }

  expect_failures = [var.vpc_cidr]
}
