# What is another in China.

mock_provider "aws" {
  mock_data "aws_availability_zones" {
    defaults = { names = ["cn-north-1b", "cn-north-1a", "cn-north-1c"] }
  }

  mock_data "aws_caller_identity" {
    defaults = { account_id = "111111111111" }
  }

  mock_data "aws_partition" {
    defaults = { dns_suffix = "amazonaws.com.cn", partition = "aws-cn" }
  }

  mock_data "aws_region" {
    defaults = { name = "cn-north-1" }
  }

  mock_data "aws_ssm_parameter" {
    defaults = { insecure_value = "ami-0123456789abcdef0" }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws-cn:logs:cn-north-1:111111111111:log-group:g" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws-cn:iam::111111111111:role/sym/mock" }
  }

  mock_resource "aws_instance" {
    defaults = { id = "i-0123456789abcdef0" }
  }

  mock_resource "aws_lambda_invocation" {
    defaults = { result = "{\"body\":{},\"errors\":[]}" }
  }

  mock_resource "aws_rds_cluster" {
    defaults = {
      cluster_resource_id = "cluster-ABC"
      endpoint            = "db.example.com"
      master_user_secret = [{
        secret_arn = "arn:aws-cn:secretsmanager:cn-north-1:111111111111:secret:m"
      }]
      port = 5432
    }
  }

  mock_resource "aws_secretsmanager_secret" {
    defaults = {
      arn = "arn:aws-cn:secretsmanager:cn-north-1:111111111111:secret:u"
    }
  }
}

variables {
  bastion_enabled = true
  # Any file does where nothing is uploaded.
  package = "versions.tf"
}

run "every_arn_is_of_the_partition" {
  assert {
    condition = length(regexall("arn:[a-z-]+:", jsonencode([
      aws_iam_role.seed.assume_role_policy,
      aws_iam_role_policy.seed.policy,
      aws_iam_role_policy.seed_master.policy,
      aws_iam_role.bastion[0].assume_role_policy,
      aws_iam_role_policy.bastion[0].policy,
      aws_lambda_function.seed.environment[0].variables,
    ]))) > 0
    error_message = "There is no ARN to look at."
  }

  assert {
    condition = toset(flatten(regexall("arn:([a-z-]+):", jsonencode([
      aws_iam_role.seed.assume_role_policy,
      aws_iam_role_policy.seed.policy,
      aws_iam_role_policy.seed_master.policy,
      aws_iam_role.bastion[0].assume_role_policy,
      aws_iam_role_policy.bastion[0].policy,
      aws_lambda_function.seed.environment[0].variables,
    ])))) == toset(["aws-cn"])
    error_message = "An ARN is of another partition."
  }
}

run "services" {
  assert {
    condition = one([
      for statement in jsondecode(
        aws_iam_role.bastion[0].assume_role_policy
      ).Statement : statement.Principal.Service
    ]) == "ec2.amazonaws.com.cn"
    error_message = "EC2 is called as AWS's manual of China has it."
  }
}
