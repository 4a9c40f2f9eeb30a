# What is refused of the variables that are objects, and what is left out of them.

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

run "what_is_left_out_is_its_default" {
  command = plan

  variables {
    connection = {
      database = null, host = "db.example.com", port = null, user = "sym_broker"
    }
    readers = { hosts = null }
  }

  assert {
    condition = jsonencode(local.connection) == jsonencode({
      database = "postgres"
      host     = "db.example.com"
      port     = 5432
      user     = "sym_broker"
    })
    error_message = "Another connection: ${jsonencode(local.connection)}"
  }

  assert {
    condition = jsonencode(local.readers) == jsonencode({
      cluster_id   = null
      hosts        = []
      instance_id  = null
      resource_ids = []
    })
    error_message = "Other readers: ${jsonencode(local.readers)}"
  }
}

run "what_is_said_is_taken" {
  command = plan

  variables {
    connection = {
      database = "app", host = "db.example.com", port = "6432", user = "broker"
    }
    readers = { hosts = toset(["b.example.com"]), resource_ids = ["db-A"] }
  }

  assert {
    condition = jsonencode(local.connection) == jsonencode({
      database = "app"
      host     = "db.example.com"
      port     = 6432
      user     = "broker"
    })
    error_message = "Another connection: ${jsonencode(local.connection)}"
  }

  assert {
    condition = jsonencode(local.readers) == jsonencode({
      cluster_id   = null
      hosts        = ["b.example.com"]
      instance_id  = null
      resource_ids = ["db-A"]
    })
    error_message = "Other readers: ${jsonencode(local.readers)}"
  }
}

run "a_misspelt_field_of_the_connection" {
  command = plan

  variables {
    connection = { dbname = "app", host = "db.example.com", user = "sym_broker" }
  }

  expect_failures = [var.connection]
}

run "a_connection_that_is_a_text" {
  command = plan

  variables {
    connection = "db.example.com"
  }

  expect_failures = [var.connection]
}

run "two_databases" {
  command = plan

  variables {
    connection = { database = ["a", "b"], host = "db.example.com", user = "sym_broker" }
  }

  expect_failures = [var.connection]
}

run "a_port_in_words" {
  command = plan

  variables {
    connection = { port = "postgresql", host = "db.example.com", user = "sym_broker" }
  }

  expect_failures = [var.connection]
}

run "half_a_port" {
  command = plan

  variables {
    connection = { port = 5432.5, host = "db.example.com", user = "sym_broker" }
  }

  expect_failures = [var.connection]
}

run "a_connection_without_a_host" {
  command = plan

  variables {
    connection = { user = "sym_broker" }
  }

  expect_failures = [var.connection]
}

run "a_connection_without_a_user" {
  command = plan

  variables {
    connection = { host = "db.example.com" }
  }

  expect_failures = [var.connection]
}

run "a_misspelt_field_of_the_readers" {
  command = plan

  variables {
    readers = { host = ["b.example.com"] }
  }

  expect_failures = [var.readers]
}

run "hosts_that_are_a_text" {
  command = plan

  variables {
    readers = { hosts = "b.example.com" }
  }

  expect_failures = [var.readers]
}

run "hosts_with_a_null" {
  command = plan

  variables {
    readers = { hosts = [null] }
  }

  expect_failures = [var.readers]
}

run "two_clusters" {
  command = plan

  variables {
    readers = { cluster_id = ["a", "b"] }
  }

  expect_failures = [var.readers]
}

run "readers_that_are_a_list" {
  command = plan

  variables {
    readers = ["b.example.com"]
  }

  expect_failures = [var.readers]
}
