# What AWS would refuse, or cut short, only when something is made.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  lambda_subnet_ids    = ["subnet-1"]
  pg_connection_config = { host = "db.example.com", user = "sym_broker" }
  flow_vars            = { approvers = "ann@example.com, ben@example.com" }
  pg_targets           = [{ role_name = "readonly" }]
  sym_org_slug         = "acme"
}

run "names_too_long_for_a_database" {
  command = plan

  variables {
    db_enabled   = true
    db_namespace = "a-name-of-twenty-two-l"
    runtime_name = "another-of-thirty-one-character"
  }

  expect_failures = [var.db_namespace]
}

run "a_tag_in_other_capitals" {
  command = plan

  variables {
    tags = { environment = "prod" }
  }

  expect_failures = [var.tags]
}

run "a_tag_that_is_replaced" {
  command = plan

  variables {
    tags = { Environment = "prod" }
  }
}

run "names_without_a_database" {
  command = plan

  variables {
    db_namespace = "a-name-of-twenty-two-l"
    runtime_name = "another-of-thirty-one-character"
  }
}

run "a_host_with_a_scheme" {
  command = plan

  variables {
    pg_connection_config = { host = "postgres://db.example.com", user = "sym_broker" }
  }

  expect_failures = [var.pg_connection_config]
}

run "a_host_with_a_port" {
  command = plan

  variables {
    pg_connection_config = { host = "db.example.com:5432", user = "sym_broker" }
  }

  expect_failures = [var.pg_connection_config]
}

run "a_resource_id_that_is_a_name" {
  command = plan

  variables {
    pg_connection_config = {
      auth = "iam", host = "db.example.com", resource_id = "app-db"
      user = "sym_broker"
    }
  }

  expect_failures = [var.pg_connection_config]
}
