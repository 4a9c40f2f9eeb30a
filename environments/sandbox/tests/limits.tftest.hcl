# What AWS would refuse, or cut short, only when something is made.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  sym_org_slug = "acme"
}

run "names_too_long_for_a_database" {
  command = plan

  variables {
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
