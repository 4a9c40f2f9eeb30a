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

run "no_zone_without_lambda" {
  assert {
    condition = contains(
      data.aws_availability_zones.this.exclude_zone_ids, "use1-az3"
    )
    error_message = "This zone has neither Lambda nor Graviton."
  }
}

run "zones_of_ones_own" {
  variables {
    availability_zones = ["eu-west-1c", "eu-west-1b"]
  }

  assert {
    condition = (
      aws_subnet.private[*].availability_zone == ["eu-west-1c", "eu-west-1b"]
    )
    error_message = "The subnets are where they were told to be."
  }
}

run "one_zone_twice" {
  command = plan

  variables {
    availability_zones = ["eu-west-1c", "eu-west-1c"]
  }

  expect_failures = [var.availability_zones]
}

run "memory_for_logins_with_a_token" {
  assert {
    condition = (
      aws_rds_cluster.this.serverlessv2_scaling_configuration[0].min_capacity >= 1
    )
    error_message = "Half a unit is 1 GiB: too little for IAM logins."
  }
}

run "time_for_lambda_to_leave_the_network" {
  assert {
    condition = alltrue([
      for each in concat(aws_subnet.private, [aws_security_group.client]) :
      each.timeouts.delete == "60m"
    ])
    error_message = "Lambda's interfaces take up to 45 minutes to go."
  }
}

run "a_second_region" {
  variables {
    bastion_enabled = true
    global_suffix   = "-eu-west-1"
  }

  assert {
    condition = [
      for each in [
        aws_iam_role.seed, aws_iam_role.bastion[0],
        aws_iam_instance_profile.bastion[0],
      ] : each.name
      ] == [
      "sym-example-seed-eu-west-1", "sym-example-bastion-eu-west-1",
      "sym-example-bastion-eu-west-1",
    ]
    error_message = "IAM's names are one region's as well as the other's."
  }
}

run "a_suffix_that_s3_refuses" {
  command = plan

  variables {
    global_suffix = "_EU"
  }

  expect_failures = [var.global_suffix]
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
      "secretsmanager", "ssm", "ssmmessages",
    ]
    error_message = "Session Manager needs these, and new regions have no more."
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
