# What the function is told of the database's readers, and what it may ask.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111111111111" }
  }

  mock_data "aws_lambda_invocation" {
    defaults = { result = "{\"problems\":[]}" }
  }

  mock_data "aws_partition" {
    defaults = { dns_suffix = "amazonaws.com", partition = "aws" }
  }

  mock_data "aws_region" {
    defaults = { name = "eu-west-1" }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:111111111111:log-group:g" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111111111111:role/sym/mock" }
  }

  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:eu-west-1:111111111111:function:f" }
  }
}

variables {
  auth            = "iam"
  connection      = { host = "db.example.com", user = "sym_broker" }
  db_resource_id  = "db-ABC"
  error_topic_arn = "arn:aws:sns:eu-west-1:111111111111:errors"
  name            = "sym-prod-postgres"
  # Any file does where nothing is uploaded.
  package    = "versions.tf"
  roles      = ["readonly", "readwrite"]
  subnet_ids = ["subnet-1"]
}

run "of_an_instance" {
  variables {
    readers = { instance_id = "main", resource_ids = ["db-DEF"] }
  }

  assert {
    condition = (
      aws_lambda_function.this.environment[0].variables["PG_INSTANCE_ID"] ==
      "main"
    )
    error_message = "The function does not know whose replicas to ask for."
  }

  assert {
    condition = one([
      for statement in jsondecode(aws_iam_role_policy.this.policy).Statement :
      statement if statement.Sid == "FindReaders"
      ]) == {
      Sid    = "FindReaders"
      Effect = "Allow"
      Action = [
        "rds:DescribeDBClusters", "rds:DescribeDBInstances",
        "rds:DescribeGlobalClusters",
      ]
      Resource = [
        "arn:aws:rds:*:111111111111:cluster:*",
        "arn:aws:rds:*:111111111111:db:*",
        "arn:aws:rds::111111111111:global-cluster:*",
      ]
    }
    error_message = "The function may ask RDS for something else."
  }

  assert {
    condition = one([
      for statement in jsondecode(aws_iam_role_policy.this.policy).Statement :
      statement.Resource if statement.Sid == "LogInToDatabase"
      ]) == [
      "arn:aws:rds-db:eu-west-1:111111111111:dbuser:db-ABC/sym_broker",
      "arn:aws:rds-db:eu-west-1:111111111111:dbuser:db-DEF/sym_broker",
    ]
    error_message = "The function may not log in to the replica."
  }
}

run "by_their_names" {
  variables {
    readers = { hosts = ["b.example.com", "c.example.com:6432"] }
  }

  assert {
    condition = (
      aws_lambda_function.this.environment[0].variables["PG_READERS"] ==
      "b.example.com,c.example.com:6432"
    )
    error_message = "The function does not know the readers."
  }

  assert {
    condition = [
      for rule in aws_vpc_security_group_egress_rule.readers :
      [rule.from_port, rule.to_port]
    ] == [[6432, 6432]]
    error_message = "The function does not reach the reader's own port."
  }

  assert {
    condition = !contains([
      for statement in jsondecode(aws_iam_role_policy.this.policy).Statement :
      statement.Sid
    ], "FindReaders")
    error_message = "The function may ask RDS, and need not."
  }
}

run "of_a_cluster_or_of_an_instance" {
  command = plan

  variables {
    readers = { cluster_id = "main", instance_id = "main" }
  }

  expect_failures = [var.readers]
}

run "are_hosts_and_ports" {
  command = plan

  variables {
    readers = { hosts = ["postgres://b.example.com"] }
  }

  expect_failures = [var.readers]
}
