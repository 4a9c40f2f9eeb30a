# The Runtime, which applies the rules, compiles them and reads the flow and its
# targets before they are written. If its function is not there yet, or its code
# is about to change, that happens in the apply. A condition here that referred
# to a resource which is about to change would put it off in the same way.

data "aws_lambda_invocation" "check_rules" {
  function_name = var.runtime.function_name
  qualifier     = var.runtime.check_alias

  input = jsonencode({
    step    = "check_rules"
    flow    = var.flow_name
    groups  = local.groups
    roles   = local.listed_targets[*].role_name
    targets = local.rules
    # As they will be written, but for ARNs that may not be known yet.
    documents = merge(
      {
        (var.flow_name) = jsonencode(merge(local._flow, {
          state_machine_arn    = "not known yet"
          lambda_connector_arn = "not known yet"
        }))
      },
      {
        for name, target in local._target :
        "${var.flow_name}/targets/${name}" => jsonencode(merge(target, {
          settings = {
            arn       = "not known yet"
            role_name = local._roles[name]
          }
        }))
      }
    )
    # The function does not read this. It is what puts the check off.
    code_version = var.runtime.code_version
  })

  lifecycle {
    precondition {
      condition = length(local.refused_rules) == 0
      error_message = format(
        "The rules of the flow %s cannot be used:\n%s",
        var.flow_name, join("\n", local.refused_rules)
      )
    }

    precondition {
      condition     = length(local.too_large) == 0
      error_message = <<-EOT
        These are larger than the 8 KB that a parameter can have:
        ${join(", ", local.too_large)}. Shorten the rules, or put them on
        several targets or flows; & < and > take six bytes each.
      EOT
    }

    postcondition {
      condition = try(length(jsondecode(self.result).problems) == 0, false)
      error_message = try(
        format(
          "The rules of the flow %s cannot be used:\n%s",
          var.flow_name, join("\n", [
            for problem in jsondecode(self.result).problems :
            "${problem.target}, ${problem.place}: ${problem.message}"
          ])
        ),
        "The Runtime did not say whether the rules can be used: ${self.result}"
      )
    }
  }
}

# What can be used, and still surprises somebody: a warning in the plan. The
# Runtime refuses such a request when it is made.
check "own_requests" {
  assert {
    condition = length(local.stranded) == 0
    error_message = format(
      join(" ", [
        "Nobody could approve what these people ask for themselves in the flow",
        "%s: %s. Name more approvers, ask for fewer approvals, or leave these",
        "people out of the rule's requesters.",
      ]),
      var.flow_name, join("; ", local.stranded)
    )
  }
}
