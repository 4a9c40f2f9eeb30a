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
    for address in split(",", coalesce(var.flow_vars.approvers, ",")) :
    lower(trimspace(address))
  ]))

  # A target's name is an ARN's friend: no underscores.
  targets = {
    for target in var.targets :
    "${var.flow_name}-${replace(target.role_name, "_", "-")}" => {
      default_duration = coalesce(
        target.default_duration, min(1800, target.max_duration)
      )
      label        = coalesce(target.label, target.role_name)
      max_duration = target.max_duration
      role_name    = target.role_name
    }
  }
}
