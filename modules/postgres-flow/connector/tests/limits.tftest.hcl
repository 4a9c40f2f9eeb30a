# What AWS would refuse only when something is made.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "222222222222" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::222222222222:role/sym/mock" }
  }
}

variables {
  flow_name    = "postgres"
  function_arn = "arn:aws:lambda:eu-west-1:222222222222:function:postgres"
  runtime = {
    connector_role_arn = "arn:aws:iam::111111111111:role/sym/SymRuntimeProd"
  }
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

run "a_function_with_a_version" {
  command = plan

  variables {
    function_arn = "arn:aws:lambda:eu-west-1:111111111111:function:f:3"
  }

  expect_failures = [var.function_arn]
}

run "a_function_by_its_name" {
  command = plan

  variables {
    function_arn = "sym-prod-postgres"
  }

  expect_failures = [var.function_arn]
}
