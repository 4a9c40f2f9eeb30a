data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  # The Runtime may start what is named after it.
  name = "sym-${var.runtime.runtime_name}-${var.flow_name}"

  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  region     = data.aws_region.current.name

  approvers = distinct(compact([
    for address in split(",", local.flow_vars.approvers) :
    lower(trimspace(address))
  ]))

  # What an e-mail address may look like, as the Runtime has it: no letter that
  # only looks like one of these.
  address = join("", [
    "^[A-Za-z0-9.!#$%&'*+/=?^_{|}~-]{1,64}@",
    "[A-Za-z0-9-]+([.][A-Za-z0-9-]+)+$",
  ])

  # A target's name is an ARN's friend: no underscores.
  _targets = {
    for target in local.listed_targets :
    "${var.flow_name}-${replace(target.role_name, "_", "-")}" => target
  }
  _roles = { for name, target in local._targets : name => target.role_name }

  # Rules can shorten what a target gives, and never lengthen it.
  _longest = {
    for name, target in local._targets : name => min(
      target.max_duration,
      coalesce(local._set[name].max_duration, target.max_duration)
    )
  }
  targets = {
    for name, target in local._targets : name => {
      default_duration = min(
        local._longest[name],
        coalesce(
          target.default_duration, local._set[name].default_duration, 1800
        ),
        coalesce(
          local._set[name].default_duration, target.default_duration, 1800
        ),
      )
      label        = coalesce(target.label, target.role_name)
      max_duration = local._longest[name]
      role_name    = target.role_name
    }
  }
}
