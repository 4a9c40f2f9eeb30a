# What AWS would refuse, or cut short, only when something is made.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  # Any file does where nothing is uploaded.
  package = "versions.tf"
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

run "a_namespace_that_a_security_group_cannot_have" {
  command = plan

  variables {
    namespace = "sg-example"
  }

  expect_failures = [var.namespace]
}

run "a_user_that_postgresql_keeps" {
  command = plan

  variables {
    broker_user = "pg_broker"
  }

  expect_failures = [var.broker_user]
}

run "authorities_in_a_secret" {
  variables {
    certificate_authorities = "-----BEGIN CERTIFICATE-----…"
  }

  assert {
    condition = (
      aws_lambda_function.seed.environment[0].variables[
        "SEED_CERTIFICATE_AUTHORITIES_ARN"
      ] == aws_secretsmanager_secret.authorities[0].arn
    )
    error_message = "The seed function does not know the secret."
  }

  assert {
    condition = contains([
      for statement in jsondecode(aws_iam_role_policy.seed.policy).Statement :
      statement.Sid
    ], "ReadAuthorities")
    error_message = "The seed function may not read the secret."
  }
}

run "a_suffix_too_long_for_a_role" {
  command = plan

  variables {
    namespace     = join("", [for n in range(46) : "n"])
    global_suffix = "-x1"
  }

  expect_failures = [var.global_suffix]
}
