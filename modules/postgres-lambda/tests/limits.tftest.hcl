# What AWS would refuse, or cut short, only when something is made.

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
  connection      = { host = "db.example.com", user = "sym_broker" }
  error_topic_arn = "arn:aws:sns:eu-west-1:111111111111:errors"
  name            = "sym-prod-postgres"
  # Any file does where nothing is uploaded.
  package    = "versions.tf"
  roles      = ["readonly", "readwrite"]
  subnet_ids = ["subnet-1"]
}

run "a_tag_of_aws" {
  command = plan

  variables {
    tags = { "AWS:team" = "platform" }
  }

  expect_failures = [var.tags]
}

run "a_tag_without_a_key" {
  command = plan

  variables {
    tags = { "" = "platform" }
  }

  expect_failures = [var.tags]
}

run "a_tag_with_a_long_key" {
  command = plan

  variables {
    tags = { (join("", [for n in range(129) : "k"])) = "platform" }
  }

  expect_failures = [var.tags]
}

run "a_tag_with_a_long_value" {
  command = plan

  variables {
    tags = { team = join("", [for n in range(257) : "v"]) }
  }

  expect_failures = [var.tags]
}

run "a_tag_with_a_letter_that_aws_refuses" {
  command = plan

  variables {
    tags = { team = "a;b" }
  }

  expect_failures = [var.tags]
}

run "tags_that_differ_in_capitals" {
  command = plan

  variables {
    tags = { Team = "a", team = "b" }
  }

  expect_failures = [var.tags]
}

run "too_many_tags" {
  command = plan

  variables {
    tags = { for n in range(41) : "tag${n}" => "v" }
  }

  expect_failures = [var.tags]
}

run "the_tag_that_opens_secrets" {
  command = plan

  variables {
    tags = { SymEnv = "prod" }
  }

  expect_failures = [var.tags]
}

run "tags_that_are_fine" {
  command = plan

  variables {
    tags = {
      (join("", [for n in range(128) : "k"])) = join("", [for n in range(256) : "v"])
      "Größe / Team"                          = "a+b=c@d:e_f.g-h"
      "empty"                                 = ""
    }
  }
}

run "a_host_with_a_scheme" {
  command = plan

  variables {
    connection = { host = "postgres://db.example.com", user = "sym_broker" }
  }

  expect_failures = [var.connection]
}

run "a_host_with_a_port" {
  command = plan

  variables {
    connection = { host = "db.example.com:5432", user = "sym_broker" }
  }

  expect_failures = [var.connection]
}

run "a_host_with_a_space" {
  command = plan

  variables {
    connection = { host = " db.example.com", user = "sym_broker" }
  }

  expect_failures = [var.connection]
}

run "a_host_with_a_database" {
  command = plan

  variables {
    connection = { host = "db.example.com/app", user = "sym_broker" }
  }

  expect_failures = [var.connection]
}

run "a_host_too_long" {
  command = plan

  variables {
    connection = { host = join("", [for n in range(254) : "h"]), user = "sym_broker" }
  }

  expect_failures = [var.connection]
}

run "hosts_that_are_fine" {
  command = plan

  variables {
    connection = { host = "10.1.2.3", user = "sym_broker" }
  }
}

run "an_address_of_version_6" {
  command = plan

  variables {
    connection = { host = "fd00:ec2::1:23", user = "sym_broker" }
  }
}

run "a_user_too_long_in_bytes" {
  command = plan

  variables {
    connection = { host = "db.example.com", user = join("", [for n in range(32) : "ü"]) }
  }

  expect_failures = [var.connection]
}

run "a_database_without_a_name" {
  command = plan

  variables {
    connection = { host = "db.example.com", database = "", user = "sym_broker" }
  }

  expect_failures = [var.connection]
}

run "a_resource_id_that_is_a_name" {
  command = plan

  variables {
    auth           = "iam"
    db_resource_id = "app-db"
  }

  expect_failures = [var.db_resource_id]
}

run "a_resource_id_that_is_an_arn" {
  command = plan

  variables {
    auth           = "iam"
    db_resource_id = "arn:aws:rds:eu-west-1:111111111111:db:app"
  }

  expect_failures = [var.db_resource_id]
}

run "every_resource_id" {
  command = plan

  variables {
    auth           = "iam"
    db_resource_id = "db-*"
  }

  expect_failures = [var.db_resource_id]
}

run "the_resource_id_of_a_proxy" {
  command = plan

  variables {
    auth           = "iam"
    db_resource_id = "prx-0123456789abcdef0"
  }
}

run "a_readers_resource_id_that_is_a_name" {
  command = plan

  variables {
    readers = { resource_ids = ["replica"] }
  }

  expect_failures = [var.readers]
}

run "a_reader_with_a_port_that_is_none" {
  command = plan

  variables {
    readers = { hosts = ["b.example.com:65536"] }
  }

  expect_failures = [var.readers]
}

run "a_reader_with_a_space" {
  command = plan

  variables {
    readers = { hosts = ["b.example.com c.example.com"] }
  }

  expect_failures = [var.readers]
}

run "a_cluster_by_its_endpoint" {
  command = plan

  variables {
    readers = { cluster_id = "app.cluster-abc.eu-west-1.rds.amazonaws.com" }
  }

  expect_failures = [var.readers]
}

run "a_cluster_by_its_arn" {
  command = plan

  variables {
    readers = { cluster_id = "arn:aws:rds:eu-west-1:111111111111:cluster:app" }
  }
}

run "a_topic_that_is_none" {
  command = plan

  variables {
    error_topic_arn = "errors"
  }

  expect_failures = [var.error_topic_arn]
}

run "a_topic_that_is_fifo" {
  command = plan

  variables {
    error_topic_arn = "arn:aws:sns:eu-west-1:111111111111:errors.fifo"
  }

  expect_failures = [var.error_topic_arn]
}

run "a_name_that_a_security_group_cannot_have" {
  command = plan

  variables {
    name = "sg-postgres"
  }

  expect_failures = [var.name]
}

run "a_name_too_long_for_the_sweeps_role" {
  command = plan

  variables {
    name = join("", [for n in range(59) : "n"])
  }

  expect_failures = [var.name]
}

run "no_concurrency_at_all" {
  command = plan

  variables {
    reserved_concurrency = 0
  }

  expect_failures = [var.reserved_concurrency]
}

run "a_security_group_by_its_name" {
  command = plan

  variables {
    security_group_ids = ["default"]
  }

  expect_failures = [var.security_group_ids]
}

run "too_many_security_groups" {
  command = plan

  variables {
    security_group_ids = ["sg-1", "sg-2", "sg-3", "sg-4", "sg-5"]
  }

  expect_failures = [var.security_group_ids]
}

run "a_subnet_by_its_name" {
  command = plan

  variables {
    subnet_ids = ["private-a"]
  }

  expect_failures = [var.subnet_ids]
}

# As Lambda counts: the settings as JSON, with the quotes inside escaped.
run "usernames_that_fit" {
  command = plan

  variables {
    usernames = {
      for n in range(91) : format("person%02d@example.com", n) => format("user%02d", n)
    }
  }

  assert {
    condition     = local._environment_bytes <= 4096
    error_message = "They do not fit."
  }

  # With a quote more or less of each person it would not be this.
  assert {
    condition = local._usernames_bytes >= (
      91 * length("\\\"person00@example.com\\\":\\\"user00\\\",")
    )
    error_message = "The quotes are not counted twice: ${local._usernames_bytes}"
  }
}

run "usernames_that_do_not_fit" {
  command = plan

  variables {
    usernames = {
      for n in range(92) :
      format("somebody%02d@example.com", n) => format("somebody%02d", n)
    }
  }

  expect_failures = [aws_lambda_function.this]
}

run "how_many_usernames_fit" {
  command = plan

  variables {
    usernames = {
      for n in range(101) :
      format("person%02d@example.com", n) => format("user%02d", n)
    }
  }

  assert {
    condition = strcontains(
      local._too_many_settings.exactly, "about 101 such people fit"
    )
    error_message = local._too_many_settings.exactly
  }
}

run "one_more_username" {
  command = plan

  variables {
    usernames = {
      for n in range(102) :
      format("person%02d@example.com", n) => format("user%02d", n)
    }
  }

  expect_failures = [aws_lambda_function.this]
}

run "a_suffix_too_long_for_a_role" {
  command = plan

  variables {
    name          = join("", [for n in range(58) : "n"])
    global_suffix = "-x"
  }

  expect_failures = [var.global_suffix]
}
