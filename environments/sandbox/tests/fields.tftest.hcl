# What an environment reads of its object variables, and what it refuses.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  sym_org_slug = "acme"
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
    condition     = local.roles == ["readonly", "readwrite"]
    error_message = "Other roles: ${jsonencode(local.roles)}"
  }

  assert {
    condition     = local.max_duration == 3600
    error_message = "The longest duration is ${local.max_duration}."
  }
}

run "without_a_word" {
  command = plan

  assert {
    condition     = local.max_duration == 600
    error_message = "The longest duration is ${local.max_duration}."
  }
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
