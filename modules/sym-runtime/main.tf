data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  # Every name in the account starts with this.
  name          = "sym-${var.runtime_name}"
  function_name = "${local.name}-runtime"

  # What a team's flows are called, and so what the Runtime may start.
  flows_path      = "/sym/${var.runtime_name}/flows"
  machine_pattern = "${local.name}-*"

  account_id = data.aws_caller_identity.current.account_id
  dns_suffix = data.aws_partition.current.dns_suffix
  partition  = data.aws_partition.current.partition
  region     = data.aws_region.current.name

  # The Runtime's own account, and those where databases are.
  connector_account_ids = sort(setunion(
    [local.account_id], var.safelist_account_ids
  ))
}
