# What an environment reads of its object variables, and what it refuses.

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

run "what_is_left_out_is_its_default" {
  command = plan

  variables {
    pg_targets = [
      { role_name = "readonly", label = null, max_duration = null },
      { role_name = "readwrite", max_duration = "60", default_duration = 30 },
    ]
  }

  assert {
    condition = jsonencode(local.database) == jsonencode({
      auth               = "secret"
      database           = "postgres"
      host               = "db.example.com"
      port               = 5432
      resource_id        = null
      security_group_ids = []
      sslmode            = "verify-full"
      subnet_ids         = ["subnet-1"]
      user               = "sym_broker"
    })
    error_message = "Another database: ${jsonencode(local.database)}"
  }

  assert {
    condition     = local.roles == ["readonly", "readwrite"]
    error_message = "Other roles: ${jsonencode(local.roles)}"
  }

  assert {
    condition     = local.max_duration == 3600
    error_message = "The longest duration is ${local.max_duration}."
  }

  assert {
    condition = output.targets == {
      "postgres-readonly" = {
        default_duration = 1800
        label            = "readonly"
        max_duration     = 3600
        role_name        = "readonly"
      }
      "postgres-readwrite" = {
        default_duration = 30
        label            = "readwrite"
        max_duration     = 60
        role_name        = "readwrite"
      }
    }
    error_message = "Other targets: ${jsonencode(output.targets)}"
  }
}

run "what_is_said_is_taken" {
  command = plan

  variables {
    pg_connection_config = {
      auth        = "iam"
      database    = "app"
      host        = "db.example.com"
      port        = "6432"
      resource_id = "db-ABC"
      sslmode     = "verify-ca"
      user        = "sym_broker"
    }
  }

  assert {
    condition = jsonencode(local.database) == jsonencode({
      auth               = "iam"
      database           = "app"
      host               = "db.example.com"
      port               = 6432
      resource_id        = "db-ABC"
      security_group_ids = []
      sslmode            = "verify-ca"
      subnet_ids         = ["subnet-1"]
      user               = "sym_broker"
    })
    error_message = "Another database: ${jsonencode(local.database)}"
  }
}

run "a_misspelt_field_of_the_connection" {
  command = plan

  variables {
    pg_connection_config = {
      dbname = "app", host = "db.example.com", user = "sym_broker"
    }
  }

  expect_failures = [var.pg_connection_config]
}

run "a_connection_that_is_no_object" {
  command = plan

  variables {
    pg_connection_config = "db.example.com"
  }

  expect_failures = [var.pg_connection_config]
}

run "a_port_in_words" {
  command = plan

  variables {
    pg_connection_config = {
      host = "db.example.com", port = "postgresql", user = "sym_broker"
    }
  }

  expect_failures = [var.pg_connection_config]
}

run "two_hosts" {
  command = plan

  variables {
    pg_connection_config = {
      host = ["a.example.com", "b.example.com"], user = "sym_broker"
    }
  }

  expect_failures = [var.pg_connection_config]
}

run "a_misspelt_field_of_a_target" {
  command = plan

  variables {
    pg_targets = [
      { role_name = "readonly" },
      { role_name = "readwrite", maxduration = 60 },
    ]
  }

  expect_failures = [var.pg_targets]
}

run "a_target_without_a_role" {
  command = plan

  variables {
    pg_targets = [{ label = "Read only" }]
  }

  expect_failures = [var.pg_targets]
}

run "a_duration_in_words" {
  command = plan

  variables {
    pg_targets = [{ role_name = "readonly", max_duration = "1h" }]
  }

  expect_failures = [var.pg_targets]
}

run "targets_that_are_no_list" {
  command = plan

  variables {
    pg_targets = { readonly = { role_name = "readonly" } }
  }

  expect_failures = [var.pg_targets]
}

run "targets_by_their_names" {
  command = plan

  variables {
    pg_targets = ["readonly"]
  }

  expect_failures = [var.pg_targets]
}
